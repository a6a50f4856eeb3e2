"""`/v1/responses`: items in, items or events out, and following up what was said before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.acting import newcomer
from tests.api.conftest import Bench, Maker
from tests.chat.helpers import ADD, CALL, prompt_of
from yearling.api.openai import response_schemas as schemas
from yearling.inference import FakeEngine, ScriptedAnswer

TOOL = {"type": "function", **ADD["function"]}  # type: ignore[dict-item]


async def respond(api: Bench, given: Any = "Hi", **fields: Any) -> dict[str, Any]:
    reply = await api.client.post("/v1/responses", json={"input": given, **fields})
    assert reply.status_code == 200, reply.text
    schemas.ResponseObject.model_validate_json(reply.content)
    body: dict[str, Any] = reply.json()
    return body


async def events(api: Bench, given: Any = "Hi", **fields: Any) -> list[dict[str, Any]]:
    reply = await api.client.post("/v1/responses", json={"input": given, "stream": True, **fields})
    blocks = [block.split("\n") for block in reply.text.strip().split("\n\n")]
    parsed = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name.removeprefix("event: ") for name, _ in blocks] == [one["type"] for one in parsed]
    assert [one["sequence_number"] for one in parsed] == list(range(len(parsed)))
    return parsed


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


async def test_an_answer(bench: Maker) -> None:
    async with bench(FakeEngine(["Paris."])) as api:
        body = await respond(api, "Capital of France?", instructions="Be brief.", metadata={"a": "b"})
        assert text_of(body) == "Paris."
        assert body["status"] == "completed"
        assert body["metadata"] == {"a": "b"}
        assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + 7
        assert "system\nBe brief." in prompt_of(api.engine)


async def test_the_order_of_events(bench: Maker) -> None:
    async with bench(FakeEngine(["Hi!"])) as api:
        seen = await events(api)
        kinds = [one["type"].removeprefix("response.") for one in seen]
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
        assert "".join(one["delta"] for one in seen if one["type"].endswith("text.delta")) == "Hi!"
        schemas.ResponseObject.model_validate(seen[-1]["response"])
        assert seen[0]["response"]["output"] == []
        assert text_of(seen[-1]["response"]) == "Hi!"


async def test_reasoning_and_calls_are_items_of_their_own(bench: Maker) -> None:
    async with bench(FakeEngine(["Hm.", f"Adding. {CALL}{CALL}"])) as api:
        seen = await events(api, tools=[TOOL], reasoning={"effort": "low"})
        output = seen[-1]["response"]["output"]
        assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call"]
        assert len({item["id"] for item in output}) == 4
        assert output[0]["content"][0]["text"] == "Hm."
        assert json.loads(output[2]["arguments"]) == {"a": 1, "b": 2}
        done = [one["item"] for one in seen if one["type"] == "response.output_item.done"]
        assert done == output
        assert [one["arguments"] for one in seen if one["type"].endswith("arguments.done")] == [output[2]["arguments"]] * 2


async def test_a_conversation_with_a_tool_by_following_up(bench: Maker) -> None:
    async with bench(FakeEngine([CALL, "3.", "Again 3."])) as api:
        first = await respond(api, "Add 1 and 2.", tools=[TOOL], instructions="Once only.")
        call = first["output"][0]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "3"}
        second = await respond(api, [result], previous_response_id=first["id"], tools=[TOOL])
        assert text_of(second) == "3."
        assert second["previous_response_id"] == first["id"]
        prompt = prompt_of(api.engine)
        for text in ("Add 1 and 2.", '"add"', "<tool_response>\n3\n</tool_response>"):
            assert text in prompt
        assert "Once only." not in prompt, "instructions are for one turn"
        await respond(api, "Again?", previous_response_id=second["id"])
        assert "assistant\n3." in prompt_of(api.engine)
        assert "Add 1 and 2." in prompt_of(api.engine)


@pytest.mark.slow
async def test_items_of_every_kind(bench: Maker) -> None:
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
    async with bench() as api:
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


async def test_a_stored_response_can_be_read_and_deleted(bench: Maker) -> None:
    async with bench(FakeEngine([f"Adding. {CALL}"])) as api:
        made = await respond(api, tools=[TOOL], instructions="Be brief.")
        read = (await api.client.get(f"/v1/responses/{made['id']}")).json()
        schemas.ResponseObject.model_validate(read)
        for name in ("output", "usage", "model", "status", "instructions", "tools", "created_at"):
            assert read[name] == made[name]
        gone = (await api.client.delete(f"/v1/responses/{made['id']}")).json()
        assert gone == {"id": made["id"], "object": "response", "deleted": True}
        assert api.samples() == []
        for reply in (
            await api.client.get(f"/v1/responses/{made['id']}"),
            await api.client.delete(f"/v1/responses/{made['id']}"),
            await api.client.post("/v1/responses", json={"input": "x", "previous_response_id": made["id"]}),
        ):
            assert reply.status_code == 404


async def test_somebody_elses_response_does_not_exist(bench: Maker) -> None:
    async with bench(FakeEngine(["Secret."])) as api:
        made = await respond(api)
        _, other = newcomer(api.store, "other")
        api.client.headers.update(other)
        assert (await api.client.get(f"/v1/responses/{made['id']}")).status_code == 404
        assert (await api.client.delete(f"/v1/responses/{made['id']}")).status_code == 404
        reply = await api.client.post("/v1/responses", json={"input": "x", "previous_response_id": made["id"]})
        assert (reply.status_code, reply.json()["error"]["param"]) == (404, "previous_response_id")
        assert len(api.engine.requests) == 1


async def test_without_kept_words_nothing_can_be_followed_up(bench: Maker) -> None:
    for retention in ("metadata", "none"):
        async with bench(FakeEngine(["Hi"]), retention=retention) as api:
            made = await respond(api)
            reply = await api.client.post("/v1/responses", json={"input": "x", "previous_response_id": made["id"]})
            assert reply.status_code == 404


async def test_structured_output(bench: Maker) -> None:
    form = {
        "type": "json_schema",
        "name": "n",
        "schema": {"type": "object", "required": ["n"], "properties": {"n": {"const": 5}}},
    }
    async with bench() as api:
        assert json.loads(text_of(await respond(api, text={"format": form}))) == {"n": 5}
        assert json.loads(text_of(await respond(api, text={"format": {"type": "json_object"}}))) == {}


async def test_an_answer_cut_by_its_length_is_incomplete(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("abc", end_of_turn=False)])) as api:
        body = await respond(api, max_output_tokens=2)
        assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
        assert (await events(api, max_output_tokens=2))[-1]["type"] == "response.incomplete"


async def test_a_failure_in_mid_stream(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("Hello", fail_after=2)])) as api:
        last = (await events(api))[-1]
        assert last["type"] == "error"
        assert last["code"] == last["error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "c"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"type": "reasoning", "id": "x"}]}, "input"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
    ],
)
async def test_what_is_refused_names_its_field(bench: Maker, fields: dict[str, Any], param: str) -> None:
    async with bench() as api:
        reply = await api.client.post("/v1/responses", json={"input": "Hi", **fields})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text
