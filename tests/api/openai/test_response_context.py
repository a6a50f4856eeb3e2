"""What comes before a response: references to stored items, conversations, and conversations that are too long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.api.openai.test_responses import TOOL, events, respond, text_of
from tests.chat.helpers import CALL, prompt_of
from yearling.inference import FakeEngine


async def refused(api: RunningApi, **fields: Any) -> tuple[int, str]:
    reply = await api.client.post("/v1/responses", json={"input": "Hi", **fields})
    return reply.status_code, reply.json()["error"]["param"]


# References


async def test_references_stand_for_the_items_of_earlier_responses(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hm.", f"Adding. {CALL}{CALL}", "3."])) as api:
        first = await respond(api, "Add.", tools=[TOOL], reasoning={"effort": "low"})
        reasoning, message, call, other_call = first["output"]
        items = [
            {"role": "user", "content": "Add."},
            {"type": "item_reference", "id": reasoning["id"]},
            {"id": message["id"]},
            {"type": "item_reference", "id": call["id"]},
            {"type": "item_reference", "id": other_call["id"]},
            {"type": "function_call_output", "call_id": call["call_id"], "output": "3"},
        ]
        assert text_of(await respond(api, items, tools=[TOOL])) == "3."
        messages = api.samples()[-1].messages
        assert [entry["role"] for entry in messages if "source" not in entry] == ["user", "assistant", "tool"]
        answer = messages[-2]
        assert answer["content"] == "Adding. "
        assert [entry["id"] for entry in answer["tool_calls"]] == [call["call_id"], other_call["call_id"]]


async def test_a_stored_response_has_the_ids_of_the_original(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hm.", f"Adding. {CALL}{CALL}"])) as api:
        created = await respond(api, "Add.", tools=[TOOL], reasoning={"effort": "low"})
        read = (await api.client.get(f"/v1/responses/{created['id']}")).json()
        assert read["output"] == created["output"][1:]


@pytest.mark.parametrize("item", ["msg_1", "msg_" + "0" * 32 + "0", "nothing", "fc_" + "f" * 33])
async def test_an_unknown_reference_is_refused(start_api: ApiFactory, item: str) -> None:
    async with start_api() as api:
        for fields in ({"type": "item_reference"}, {"type": None}, {}):
            assert await refused(api, input=[{"role": "user", "content": "x"}, {"id": item, **fields}]) == (404, "input[1].id")


async def test_items_that_are_not_stored_cannot_be_referred_to(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Secret."])) as api:
        for fields in ({"store": False}, {}):
            created = await respond(api, **fields)
            reference = [{"type": "item_reference", "id": created["output"][0]["id"]}]
            if fields:
                assert await refused(api, input=reference) == (404, "input[0].id")
        number_beyond = [{"type": "item_reference", "id": f"{created['output'][0]['id']}7"}]
        assert await refused(api, input=number_beyond) == (404, "input[0].id")
        _, other = add_person(api.store, "other")
        api.client.headers.update(other)
        assert await refused(api, input=reference) == (404, "input[0].id")


async def test_references_have_a_ceiling_of_characters(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.api.openai.response_requests.MAX_REFERENCED_CHARS", 20)
    async with start_api(FakeEngine(["Ten chars."])) as api:
        created = await respond(api)
        reference = {"type": "item_reference", "id": created["output"][0]["id"]}
        await respond(api, [reference, reference, {"role": "user", "content": "Hi"}])
        assert await refused(api, input=[reference] * 3) == (400, "input")


async def test_a_refusal_of_an_earlier_answer_is_text(start_api: ApiFactory) -> None:
    refusal = {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]}
    async with start_api() as api:
        await respond(api, [{"role": "user", "content": "x"}, refusal, {"role": "user", "content": "Why?"}])
        assert "assistant\nI cannot." in prompt_of(api.engine)


# Log-probabilities and other fields


@pytest.mark.parametrize("fields", [{"top_logprobs": 2}, {"include": ["message.output_text.logprobs"]}], ids=str)
async def test_log_probabilities_of_the_text(start_api: ApiFactory, fields: dict[str, Any]) -> None:
    async with start_api(FakeEngine(["añb"])) as api:
        (message,) = (await respond(api, **fields))["output"]
        logprobs = message["content"][0]["logprobs"]
        assert bytes(byte for token in logprobs for byte in token["bytes"]).decode() == "añb"
        assert {len(token["top_logprobs"]) for token in logprobs} == {fields.get("top_logprobs", 0)}
        streamed = await events(api, **fields)
        deltas = [entry for entry in streamed if entry["type"] == "response.output_text.delta"]
        assert [token for entry in deltas for token in entry["logprobs"]] == logprobs
        assert streamed[-1]["response"]["output"][0]["content"][0]["logprobs"] == logprobs


async def test_fields_without_effect_are_accepted(start_api: ApiFactory) -> None:
    async with start_api() as api:
        body = await respond(
            api, include=["reasoning.encrypted_content", "web_search_call.action.sources"], truncation="disabled"
        )
        assert body["output"][0]["content"][0]["logprobs"] == []
        assert (body["truncation"], body["store"], body["conversation"]) == ("disabled", True, None)


# Replayed streams


async def test_events_of_a_stored_response_can_be_streamed_again(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([f"Adding. {CALL}"])) as api:
        created = await respond(api, tools=[TOOL])
        path = f"/v1/responses/{created['id']}"
        reply = await api.client.get(path, params={"stream": "true"})
        assert reply.headers["content-type"].startswith("text/event-stream")
        replayed = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: ")]
        assert replayed[0]["type"] == "response.created"
        assert replayed[-1]["type"] == "response.completed"
        assert [entry["sequence_number"] for entry in replayed] == list(range(len(replayed)))
        assert replayed[-1]["response"] == (await api.client.get(path)).json()
        assert replayed[-1]["response"]["output"] == created["output"]
        later = await api.client.get(path, params={"stream": "true", "starting_after": 3})
        assert later.text == reply.text[reply.text.index("event: " + replayed[4]["type"]) :]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"starting_after": 1}, "starting_after"),
        ({"include[]": "message.output_text.logprobs"}, "include"),
        ({"stream": "x"}, "stream"),
    ],
    ids=str,
)
async def test_queries_that_cannot_be_answered_are_refused(start_api: ApiFactory, query: dict[str, Any], param: str) -> None:
    async with start_api() as api:
        created = await respond(api)
        reply = await api.client.get(f"/v1/responses/{created['id']}", params=query)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
        assert (
            await api.client.get(f"/v1/responses/{created['id']}", params={"include[]": "reasoning.encrypted_content"})
        ).is_success


# Conversations


async def test_a_conversation_gains_input_and_output_of_each_response(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([CALL, "It is 3.", "Bye."])) as api:
        begun = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"}]
        conversation = (await api.client.post("/v1/conversations", json={"items": begun})).json()["id"]
        first = await respond(api, "Add.", conversation=conversation, tools=[TOOL])
        assert first["conversation"] == {"id": conversation}
        output = [{"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "3"}]
        await events(api, output, conversation={"id": conversation}, tools=[TOOL])
        for text in ("Be kind.", "user\nHello", "user\nAdd.", '"add"', "<tool_response>\n3"):
            assert text in prompt_of(api.engine)
        listed = (await api.client.get(f"/v1/conversations/{conversation}/items", params={"order": "asc"})).json()["data"]
        kinds = [item["role"] if item["type"] == "message" else item["type"] for item in listed]
        assert kinds == ["system", "user", "user", "function_call", "function_call_output", "assistant"]
        assert listed[-1]["content"][0]["text"] == "It is 3."
        assert (await api.client.get("/v1/chats")).json()["data"] == [], "people's chat history is apart"


async def test_a_failed_response_leaves_the_conversation_as_it_was(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(context_tokens=200)) as api:
        conversation = (await api.client.post("/v1/conversations", json={})).json()["id"]
        assert await refused(api, input="x" * 300, conversation=conversation) == (400, "messages")
        assert (await api.client.get(f"/v1/conversations/{conversation}/items")).json()["data"] == []


async def test_an_unknown_conversation_is_refused(start_api: ApiFactory) -> None:
    async with start_api() as api:
        created = (await api.client.post("/v1/conversations", json={})).json()["id"]
        for unknown in ("conv_1", f"conv_{'0' * 32}"):
            assert await refused(api, conversation=unknown) == (404, "conversation")
        _, other = add_person(api.store, "other")
        api.client.headers.update(other)
        assert await refused(api, conversation=created) == (404, "conversation")


# Truncation


async def test_truncation_auto_leaves_out_the_oldest_messages(start_api: ApiFactory) -> None:
    turns = [{"role": role, "content": f"{role} {number} " + "x" * 60} for number in range(9) for role in ("user", "assistant")]
    items = [*turns, {"role": "user", "content": "And now?"}]
    async with start_api(FakeEngine(["Fine."], context_tokens=600)) as api:
        assert await refused(api, input=items) == (400, "messages")
        body = await respond(api, items, truncation="auto", instructions="Be brief.")
        assert (text_of(body), body["truncation"]) == ("Fine.", "auto")
        prompt = prompt_of(api.engine)
        assert "Be brief." in prompt
        assert "And now?" in prompt
        assert "user 0" not in prompt
        assert await refused(api, input="x" * 700, truncation="auto") == (400, "messages"), "one message is never cut"
