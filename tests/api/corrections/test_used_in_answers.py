"""Corrections in the answers of OpenAI's routes: what an answer used is reported, and `corrections: false` keeps them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.turn_client import exchange
from tests.chat.helpers import prompt_of
from yearling.api.openai import chat_schemas, response_schemas
from yearling.inference import FakeEngine

QUESTION, ANSWER = "When do we open?", "At nine, not eight."
CHAT = ("/v1/chat/completions", "messages")
RESPONSES = ("/v1/responses", "input")


async def correct(api: RunningApi) -> str:
    added = await api.client.post("/v1/corrections", json={"question": QUESTION, "answer": ANSWER})
    assert added.status_code == 200, added.text
    return str(added.json()["correction"]["id"])


async def ask(api: RunningApi, route: tuple[str, str], **fields: Any) -> Any:
    path, messages = route
    body = {messages: [{"role": "user", "content": QUESTION}], **fields}
    answer = await api.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    if fields.get("stream"):
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
        return list(map(json.loads, lines))
    model = chat_schemas.ChatCompletion if route is CHAT else response_schemas.ResponseObject
    model.model_validate_json(answer.content)
    return answer.json()


def assert_used(report: Sequence[dict[str, Any]], correction_id: str) -> None:
    (used,) = report
    assert used.pop("created_utc")
    assert used == {"id": correction_id, "kind": "correction", "question": QUESTION, "own": True}


@pytest.mark.parametrize("route", [CHAT, RESPONSES])
async def test_an_answer_says_which_correction_it_used(start_api: ApiFactory, route: tuple[str, str]) -> None:
    async with start_api(FakeEngine(["At nine."])) as api:
        assert "corrections" not in await ask(api, route), "there is none yet"
        correction_id = await correct(api)
        assert_used((await ask(api, route))["corrections"], correction_id)
        assert ANSWER in prompt_of(api.engine)


@pytest.mark.parametrize("route", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [False, True])
async def test_corrections_are_left_out_on_request(start_api: ApiFactory, route: tuple[str, str], stream: bool) -> None:
    async with start_api(FakeEngine(["At nine."])) as api:
        await correct(api)
        answer = await ask(api, route, corrections=False, stream=stream)
        assert "corrections" not in json.dumps(answer)
        assert ANSWER not in prompt_of(api.engine)


async def test_a_stream_says_it_first(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["At nine."])) as api:
        correction_id = await correct(api)
        chunks = await ask(api, CHAT, stream=True)
        assert_used(chunks[0]["corrections"], correction_id)
        assert not any("corrections" in chunk for chunk in chunks[1:])
        events = await ask(api, RESPONSES, stream=True)
        reports = [event["response"]["corrections"] for event in events if "response" in event]
        assert [event["type"] for event in events if "response" in event][::2] == ["response.created", "response.completed"]
        assert len(reports) == 3
        for report in reports:
            assert_used(report, correction_id)


async def test_a_response_is_continued_without_the_turn_of_the_correction(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["At nine."])) as api:
        await correct(api)
        first = await ask(api, RESPONSES)
        stored = (await api.client.get(f"/v1/responses/{first['id']}")).json()
        assert "corrections" not in stored, "what it used then is not stored with a response"
        following = await api.client.post("/v1/responses", json={"input": "And on Sunday?", "previous_response_id": first["id"]})
        assert "corrections" not in following.json()
        assert ANSWER not in prompt_of(api.engine)
        assert prompt_of(api.engine).count(QUESTION) == 1


@pytest.mark.slow
async def test_an_answer_is_continued_from_what_it_was_shown_while_that_stands(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["At nine, and until five."])) as api:
        correction_id = await correct(api)

        async def begin_and_continue(*acts: tuple[str, str, dict[str, Any] | None]) -> bool:
            """Whether the rest of an answer was made from exactly what its beginning was made from."""
            turn, _ = await exchange(api.client, QUESTION, max_tokens=4)
            for method, path, body in acts:
                assert (await api.client.request(method, path, json=body)).status_code == 200
            first = turn["answers"][0]["message"]
            await exchange(api.client, conversation=turn["conversation"], kind="continue", message=first, max_tokens=5)
            begun, rest = api.samples()[-2:]
            assert (ANSWER in prompt_of(api.engine)) == any(ANSWER in message["content"] for message in rest.messages)
            return rest.prompt_ids == begun.prompt_ids + begun.output_ids

        path = f"/v1/corrections/{correction_id}"
        assert await begin_and_continue(), "nothing has changed"
        assert not await begin_and_continue(("PATCH", path, {"active": False}))
        assert await begin_and_continue(), "it is off in both"
        assert not await begin_and_continue(("PATCH", path, {"active": True}))
        assert not await begin_and_continue(("PATCH", path, {"answer": "At ten."}))
        assert not await begin_and_continue(("DELETE", path, None))
