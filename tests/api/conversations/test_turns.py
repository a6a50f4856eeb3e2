"""Turns: what they store in the tree, and the events that readers get when they disconnect and reconnect."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.live import KEY
from tests.api.turn_client import events_of, exchange, get_tree, read, start_turn, text_of
from tests.api.turn_drill import drill
from yearling.api.conversations import schemas
from yearling.inference import FakeEngine, ScriptedAnswer


async def wait_until_ended(api: RunningApi, turn: dict[str, Any]) -> dict[str, Any]:
    await events_of(api.client, turn["id"])
    ended: dict[str, Any] = (await api.client.get(f"/v1/turns/{turn['id']}")).json()
    return ended


async def test_turn_stores_question_and_answer(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Grüße!"])) as api:
        turn, events = await exchange(api.client, "Hello there")
        schemas.TurnView.model_validate(turn)
        for event in events:
            schemas.TurnEventView.model_validate(event)
        assert events[0]["type"] == "start"
        assert events[-1] == {"type": "end", "state": "finished", "title": "Hello there"}
        assert text_of(events) == "Grüße!"
        conversation = await get_tree(api.client, turn["conversation"])
        schemas.ConversationTree.model_validate(conversation)
        question, answer = conversation["tree"]
        assert (question["role"], question["text"], question["parent"]) == ("user", "Hello there", None)
        assert (answer["role"], answer["text"], answer["parent"]) == ("assistant", "Grüße!", question["id"])
        assert answer["id"] == turn["answers"][0]["message"] == conversation["leaf"]
        assert (conversation["title"], conversation["messages"]) == ("Hello there", 2)
        sample = api.samples()[0]
        assert (answer["sample"], answer["model"], answer["finish_reason"]) == (sample.id, "fake-model", "stop")
        assert sample.output_text == "Grüße!"
        assert sample.request_id == turn["id"]


async def test_model_sees_only_the_branch(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["one", "two", "three"])) as api:
        first, _ = await exchange(api.client, "A")
        conversation_id, answer = first["conversation"], first["answers"][0]["message"]
        await exchange(api.client, "B", conversation=conversation_id, message=answer)
        other, _ = await exchange(api.client, "C", conversation=conversation_id, message=answer)
        prompt = [(entry["role"], entry["content"]) for entry in api.samples()[-1].messages if entry["role"] != "system"]
        assert prompt == [("user", "A"), ("assistant", "one"), ("user", "C")]
        conversation = await get_tree(api.client, conversation_id)
        siblings = [entry["text"] for entry in conversation["tree"] if entry["parent"] == answer]
        assert siblings == ["B", "C"]
        assert conversation["leaf"] == other["answers"][0]["message"]


async def test_regenerate_adds_a_sibling(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["one", "two"])) as api:
        turn, _ = await exchange(api.client, "A")
        again, events = await exchange(
            api.client, conversation=turn["conversation"], kind="regenerate", message=turn["answers"][0]["message"]
        )
        assert text_of(events) == "two"
        assert again["question"] == turn["question"]
        conversation = await get_tree(api.client, turn["conversation"])
        assert [entry["text"] for entry in conversation["tree"] if entry["parent"] == turn["question"]] == ["one", "two"]


async def test_continue_extends_a_cut_answer(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Once upon a time"])) as api:
        turn, events = await exchange(api.client, "Tell me", max_tokens=4)
        assert text_of(events) == "Once"
        first = turn["answers"][0]["message"]
        fields, _ = await exchange(api.client, conversation=turn["conversation"], kind="continue", message=first, max_tokens=5)
        cut, rest = api.samples()
        assert rest.prompt_ids == cut.prompt_ids + cut.output_ids, "exactly what the model saw and emitted"
        conversation = await get_tree(api.client, turn["conversation"])
        assert [entry["continues"] for entry in conversation["tree"]] == [False, False, True]
        assert conversation["tree"][2]["parent"] == first
        refused = await api.client.post(
            f"/v1/chats/{turn['conversation']}/turns", json={"kind": "continue", "message": turn["question"]}
        )
        assert refused.status_code == 400
        await exchange(api.client, "And?", conversation=turn["conversation"], message=fields["answers"][0]["message"])
        answers = [entry["content"] for entry in api.samples()[-1].messages if entry["role"] == "assistant"]
        assert answers == ["Once" + rest.output_text], "the model sees one answer"


async def test_continue_rejects_a_complete_answer(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Done."])) as api:
        turn, _ = await exchange(api.client)
        body = {"kind": "continue", "message": turn["answers"][0]["message"]}
        response = await api.client.post(f"/v1/chats/{turn['conversation']}/turns", json=body)
        assert response.status_code == 409


async def test_every_reader_gets_every_event_once(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("abcdefgh", delay_s=0.002)])) as api:
        turn = await start_turn(api.client)
        all_events, late = await asyncio.gather(events_of(api.client, turn["id"]), events_of(api.client, turn["id"]))
        assert all_events == late
        numbers = [number async for number, _, _ in read(api.client, turn["id"])]
        assert numbers == list(range(1, len(all_events) + 1))
        assert await events_of(api.client, turn["id"], after=3) == all_events[3:]
        response = await api.client.get(f"/v1/turns/{turn['id']}/events", headers={"last-event-id": str(len(all_events))})
        assert response.status_code == 204, "204 stops browsers from reconnecting"


async def test_turn_runs_without_readers_and_stops_on_request(start_api: ApiFactory) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.002)])
    async with start_api(engine) as api:
        turn = await start_turn(api.client)
        await asyncio.sleep(0.03)
        assert engine.active == 1, "the turn runs without a reader"
        response = await api.client.post(f"/v1/turns/{turn['id']}/stop")
        assert response.json()["state"] == "stopped"
        assert engine.active == 0
        events = await events_of(api.client, turn["id"])
        assert events[-1]["state"] == "stopped"
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][1]
        assert answer["text"] == text_of(events) != ""
        assert answer["finish_reason"] == "cancelled"
        assert answer["sample"] == api.samples()[0].id
        assert (await api.client.post(f"/v1/turns/{turn['id']}/stop")).json()["state"] == "stopped", (
            "stopping again has no effect"
        )


async def test_stop_before_the_first_token_keeps_the_question_and_releases_capacity(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("x", first_delay_s=30)])) as api:
        turn = await start_turn(api.client)
        await api.client.post(f"/v1/turns/{turn['id']}/stop")
        assert (await wait_until_ended(api, turn))["state"] == "stopped"
        assert api.app.state.services.admission._num_in_flight == {"fake-model": 0}
        roles = [entry["role"] for entry in (await get_tree(api.client, turn["conversation"]))["tree"]]
        assert roles[0] == "user"


async def test_failed_turn_keeps_its_partial_text(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("Hello", fail_after=3)])) as api:
        turn, events = await exchange(api.client)
        kinds = [event["type"] for event in events]
        assert kinds[-2:] == ["error", "end"]
        assert events[-2]["error"]["code"] == "unavailable"
        assert events[-1]["state"] == "failed"
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][1]
        assert (answer["text"], answer["finish_reason"]) == ("Hel", "error")


async def test_rejected_question_is_not_stored(start_api: ApiFactory) -> None:
    async with start_api() as api:
        conversation_id = (await api.client.post("/v1/chats", json={})).json()["id"]
        for body in ({"text": "Hi", "model": "no such model"}, {"text": "  "}, {"text": "Hi", "mode": "no such mode"}):
            response = await api.client.post(f"/v1/chats/{conversation_id}/turns", json=body)
            assert response.status_code in (400, 404), body
        assert (await get_tree(api.client, conversation_id))["tree"] == []


async def test_long_chat_omits_its_oldest_messages(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["ok"], context_tokens=400)) as api:
        turn, _ = await exchange(api.client, "a" * 150)
        conversation_id = turn["conversation"]
        for letter in "bcd":
            turn, _ = await exchange(api.client, letter * 80, conversation=conversation_id, message=turn["answers"][0]["message"])
        prompt = [entry["content"] for entry in api.samples()[-1].messages if entry["role"] == "user"]
        assert prompt[-1] == "d" * 80
        assert "a" * 150 not in prompt
        assert turn["left_out"] >= 2


@pytest.mark.parametrize("number", [b"\xb2", b"-1", b"1e3", b"9" * 5000, b"\xff"])
async def test_number_of_the_last_event_can_be_anything(start_api: ApiFactory, number: bytes) -> None:
    """A superscript two is a digit for Python, and no number."""
    async with start_api(FakeEngine(["Hi"])) as api:
        turn, events = await exchange(api.client)
        headers = [(b"last-event-id", number)]
        response = await api.client.get(f"/v1/turns/{turn['id']}/events", headers=headers)
        assert response.status_code == 200
        assert response.text.count("data: ") == len(events)


async def test_temporary_chat_stores_nothing(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Whispered."])) as api:
        body = {"messages": [{"role": "user", "text": "a secret that nobody keeps"}]}
        turn = (await api.client.post("/v1/temporary/turns", json=body)).json()
        events = await events_of(api.client, turn["id"])
        assert text_of(events) == "Whispered."
        assert events[-1]["state"] == "finished"
        assert api.samples() == []
        assert (await api.client.get("/v1/chats")).json()["data"] == []
        await api.app.state.services.assistant.close()
        for path in api.settings.data_dir.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert b"secret that nobody" not in content, path
                assert b"Whispered" not in content, path


@pytest.mark.parametrize("retention", ["metadata", "none"])
async def test_conversation_is_stored_whatever_the_retention(start_api: ApiFactory, retention: str) -> None:
    async with start_api(FakeEngine(["Hi"]), retention=retention) as api:
        turn, _ = await exchange(api.client)
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][1]
        assert answer["text"] == "Hi"
        assert (answer["sample"] is None) == (retention == "none")


async def test_stopping_server_stores_partial_text(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.002)])) as api:
        turn = await start_turn(api.client)
        await asyncio.sleep(0.03)
        await api.app.state.services.turns.close()
        owner = api.store.people.owner().id
        answer = api.store.conversations.list_messages(turn["conversation"], person_id=owner)[1]
        assert answer.content.startswith("x")
        assert answer.finish_reason == "cancelled"


async def test_delta_size_does_not_grow_with_the_chat(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["abcdefgh"])) as api:
        sizes = []
        turn: dict[str, Any] = {}
        for _ in range(4):
            fields = {"conversation": turn["conversation"], "message": turn["answers"][0]["message"]} if turn else {}
            turn = await start_turn(api.client, "x" * 200, **fields)
            sizes.append(sum([size async for _, event, size in read(api.client, turn["id"]) if event["type"] == "delta"]))
        assert len(set(sizes)) == 1


@pytest.mark.slow
async def test_broken_connections_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """Some rounds of the drill. `python -m tests.api.turn_drill 50` runs more."""
    assert await drill(5, tmp_path) == []


async def test_turn_ends_when_its_callback_fails(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:

        async def broken(*_: Any) -> None:
            raise RuntimeError("a bug")

        api.app.state.services.turns._on_saved = broken
        with capture_logs() as logs:
            turn, events = await exchange(api.client)
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["turn_finalization_failed"]
        assert events[-1]["state"] == "failed"
        assert (await get_tree(api.client, turn["conversation"]))["tree"][1]["text"] == "Hi"


@pytest.mark.slow
async def test_continued_answer_equals_an_uncut_answer(served: str) -> None:
    headers = {"x-api-key": KEY}
    async with httpx.AsyncClient(base_url=served.removesuffix("/v1"), headers=headers, timeout=250) as client:
        question: dict[str, Any] = {"text": "Tell me a long story about a dog and a river.", "temperature": 0.0, "compare": False}
        _, all_events = await exchange(client, **question, max_tokens=24)
        cut, first = await exchange(client, **question, max_tokens=12)
        conversation_id, answer = cut["conversation"], cut["answers"][0]["message"]
        _, rest = await exchange(
            client, conversation=conversation_id, kind="continue", message=answer, temperature=0.0, max_tokens=12
        )
        assert text_of(rest)
        assert text_of(first) + text_of(rest) == text_of(all_events)
