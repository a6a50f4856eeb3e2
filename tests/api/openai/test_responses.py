"""`/v1/responses`: input items, output items or events, and continuing earlier responses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.chat.helpers import ADD, CALL, prompt_of
from yearling.api.openai import response_schemas as schemas
from yearling.inference import FakeEngine, ScriptedAnswer

ADD_FUNCTION: Any = ADD["function"]
TOOL = {"type": "function", **ADD_FUNCTION}


async def respond(api: RunningApi, input_items: Any = "Hi", **fields: Any) -> dict[str, Any]:
    reply = await api.client.post("/v1/responses", json={"input": input_items, **fields})
    assert reply.status_code == 200, reply.text
    schemas.ResponseObject.model_validate_json(reply.content)
    body: dict[str, Any] = reply.json()
    return body


async def events(api: RunningApi, input_items: Any = "Hi", **fields: Any) -> list[dict[str, Any]]:
    reply = await api.client.post("/v1/responses", json={"input": input_items, "stream": True, **fields})
    blocks = [block.split("\n") for block in reply.text.strip().split("\n\n")]
    parsed = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name.removeprefix("event: ") for name, _ in blocks] == [entry["type"] for entry in parsed]
    assert [entry["sequence_number"] for entry in parsed] == list(range(len(parsed)))
    return parsed


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def test_response_has_openai_form(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Paris."])) as api:
        body = await respond(api, "Capital of France?", instructions="Be brief.", metadata={"a": "b"})
        assert text_of(body) == "Paris."
        assert body["status"] == "completed"
        assert body["metadata"] == {"a": "b"}
        assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + 7
        assert "system\nBe brief." in prompt_of(api.engine)


async def test_event_order(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi!"])) as api:
        stream_events = await events(api)
        kinds = [entry["type"].removeprefix("response.") for entry in stream_events]
        assert kinds == [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            *["output_text.delta"] * 3,
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed",
        ]
        assert "".join(entry["delta"] for entry in stream_events if entry["type"].endswith("text.delta")) == "Hi!"
        schemas.ResponseObject.model_validate(stream_events[-1]["response"])
        assert stream_events[0]["response"]["output"] == []
        assert text_of(stream_events[-1]["response"]) == "Hi!"


async def test_reasoning_and_calls_are_separate_items(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hm.", f"Adding. {CALL}{CALL}"])) as api:
        stream_events = await events(api, tools=[TOOL], reasoning={"effort": "low"})
        output = stream_events[-1]["response"]["output"]
        assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
        assert len({item["id"] for item in output}) == 4
        assert output[0]["content"][0]["text"] == "Hm."
        assert json.loads(output[2]["arguments"]) == {"a": 1, "b": 2}
        done = [entry["item"] for entry in stream_events if entry["type"] == "response.output_item.done"]
        assert done == output
        assert [entry["arguments"] for entry in stream_events if entry["type"].endswith("arguments.done")] == [
            output[2]["arguments"]
        ] * 2


async def test_tool_conversation_with_previous_response_id(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([CALL, "3.", "Again 3."])) as api:
        first = await respond(api, "Add 1 and 2.", tools=[TOOL], instructions="Once only.")
        call = first["output"][0]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "3"}
        second = await respond(api, [result], previous_response_id=first["id"], tools=[TOOL])
        assert text_of(second) == "3."
        assert second["previous_response_id"] == first["id"]
        prompt = prompt_of(api.engine)
        for text in ("Add 1 and 2.", '"add"', "<tool_response>\n3\n</tool_response>"):
            assert text in prompt
        assert "Once only." not in prompt, "instructions apply to one response"
        await respond(api, "Again?", previous_response_id=second["id"])
        assert "assistant\n3." in prompt_of(api.engine)
        assert "Add 1 and 2." in prompt_of(api.engine)


@pytest.mark.slow
async def test_input_items_of_every_kind(start_api: ApiFactory) -> None:
    items = [
        {"role": "developer", "content": "Be kind."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Add."}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Done.", "annotations": []}]},
        {"role": "user", "content": "Thanks"},
    ]
    async with start_api() as api:
        await respond(api, items)
        messages = api.samples()[0].messages
        assert [message["role"] for message in messages] == [
            "developer",
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "user",
        ]
        assert [call["id"] for call in messages[2]["tool_calls"]] == ["c1", "c2"]


async def test_stored_response_can_be_read_and_deleted(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([f"Adding. {CALL}"])) as api:
        created = await respond(api, tools=[TOOL], instructions="Be brief.")
        read = (await api.client.get(f"/v1/responses/{created['id']}")).json()
        schemas.ResponseObject.model_validate(read)
        for name in ("output", "usage", "model", "status", "instructions", "tools", "created_at"):
            assert read[name] == created[name]
        deleted = (await api.client.delete(f"/v1/responses/{created['id']}")).json()
        assert deleted == {"id": created["id"], "object": "response", "deleted": True}
        assert api.samples() == []
        for reply in (
            await api.client.get(f"/v1/responses/{created['id']}"),
            await api.client.delete(f"/v1/responses/{created['id']}"),
            await api.client.post("/v1/responses", json={"input": "x", "previous_response_id": created["id"]}),
        ):
            assert reply.status_code == 404


async def test_response_of_another_person_returns_404(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Secret."])) as api:
        created = await respond(api)
        _, other = add_person(api.store, "other")
        api.client.headers.update(other)
        assert (await api.client.get(f"/v1/responses/{created['id']}")).status_code == 404
        assert (await api.client.delete(f"/v1/responses/{created['id']}")).status_code == 404
        reply = await api.client.post("/v1/responses", json={"input": "x", "previous_response_id": created["id"]})
        assert (reply.status_code, reply.json()["error"]["param"]) == (404, "previous_response_id")
        assert len(api.engine.requests) == 1


async def test_response_without_stored_text_cannot_be_continued(start_api: ApiFactory) -> None:
    for retention in ("metadata", "none"):
        async with start_api(FakeEngine(["Hi"]), retention=retention) as api:
            created = await respond(api)
            reply = await api.client.post("/v1/responses", json={"input": "x", "previous_response_id": created["id"]})
            assert reply.status_code == 404


async def test_structured_output(start_api: ApiFactory) -> None:
    form = {
        "type": "json_schema",
        "name": "n",
        "schema": {"type": "object", "required": ["n"], "properties": {"n": {"const": 5}}},
    }
    async with start_api() as api:
        assert json.loads(text_of(await respond(api, text={"format": form}))) == {"n": 5}
        assert json.loads(text_of(await respond(api, text={"format": {"type": "json_object"}}))) == {}


async def test_answer_cut_by_its_length_is_incomplete(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("abc", end_of_turn=False)])) as api:
        body = await respond(api, max_output_tokens=2)
        assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert (await events(api, max_output_tokens=2))[-1]["type"] == "response.incomplete"


async def test_failure_in_mid_stream_ends_with_an_error_event(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("Hello", fail_after=2)])) as api:
        last = (await events(api))[-1]
        assert last["type"] == "error"
        assert last["code"] == last["error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "sometimes"}, "truncation"),
        ({"include": ["everything"]}, "include[0]"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "conversation"),
        ({"conversation": "conv_1", "store": False}, "store"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tools": [{"type": "code_interpreter"}]}, "tools[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "computer_call", "id": "x"}]}, "input[0]"),
        ({"input": [{"type": "reasoning", "id": "x"}]}, "input"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
    ],
)
async def test_rejection_names_the_field(start_api: ApiFactory, fields: dict[str, Any], param: str) -> None:
    async with start_api() as api:
        reply = await api.client.post("/v1/responses", json={"input": "Hi", **fields})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text
