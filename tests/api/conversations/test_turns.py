"""Turns of conversations: what goes into the tree, and what a reader gets who comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.api.conftest import Bench, Maker
from tests.api.live import KEY
from tests.api.talking import events_of, exchange, read, start, tree, words_of
from tests.api.turn_drill import drill
from yearling.api.conversations import schemas
from yearling.inference import FakeEngine, ScriptedAnswer


async def ended(api: Bench, turn: dict[str, Any]) -> dict[str, Any]:
    await events_of(api.client, turn["id"])
    return (await api.client.get(f"/v1/turns/{turn['id']}")).json()


async def test_a_question_and_its_answer_go_into_the_tree(bench: Maker) -> None:
    async with bench(FakeEngine(["Grüße!"])) as api:
        turn, events = await exchange(api.client, "Hello there")
        schemas.TurnView.model_validate(turn)
        for event in events:
            schemas.TurnEventView.model_validate(event)
        assert events[0]["type"] == "start"
        assert events[-1] == {"type": "end", "state": "finished", "title": "Hello there"}
        assert words_of(events) == "Grüße!"
        found = await tree(api.client, turn["conversation"])
        schemas.ConversationTree.model_validate(found)
        question, answer = found["tree"]
        assert (question["role"], question["text"], question["parent"]) == ("user", "Hello there", None)
        assert (answer["role"], answer["text"], answer["parent"]) == ("assistant", "Grüße!", question["id"])
        assert answer["id"] == turn["answers"][0]["message"] == found["leaf"]
        assert (found["title"], found["messages"]) == ("Hello there", 2)
        sample = api.samples()[0]
        assert (answer["sample"], answer["model"], answer["finish_reason"]) == (sample.id, "fake-model", "stop")
        assert sample.output_text == "Grüße!"
        assert sample.request_id == turn["id"]


async def test_the_model_sees_the_branch_and_nothing_else(bench: Maker) -> None:
    async with bench(FakeEngine(["one", "two", "three"])) as api:
        first, _ = await exchange(api.client, "A")
        where, answer = first["conversation"], first["answers"][0]["message"]
        await exchange(api.client, "B", conversation=where, message=answer)
        other, _ = await exchange(api.client, "C", conversation=where, message=answer)
        seen = [(one["role"], one["content"]) for one in api.samples()[-1].messages if one["role"] != "system"]
        assert seen == [("user", "A"), ("assistant", "one"), ("user", "C")]
        found = await tree(api.client, where)
        siblings = [one["text"] for one in found["tree"] if one["parent"] == answer]
        assert siblings == ["B", "C"]
        assert found["leaf"] == other["answers"][0]["message"]


async def test_regenerating_makes_a_sibling(bench: Maker) -> None:
    async with bench(FakeEngine(["one", "two"])) as api:
        turn, _ = await exchange(api.client, "A")
        again, events = await exchange(
            api.client, conversation=turn["conversation"], kind="regenerate", message=turn["answers"][0]["message"]
        )
        assert words_of(events) == "two"
        assert again["question"] == turn["question"]
        found = await tree(api.client, turn["conversation"])
        assert [one["text"] for one in found["tree"] if one["parent"] == turn["question"]] == ["one", "two"]


async def test_an_answer_that_was_cut_goes_on_where_it_stopped(bench: Maker) -> None:
    async with bench(FakeEngine(["Once upon a time"])) as api:
        turn, events = await exchange(api.client, "Tell me", max_tokens=4)
        assert words_of(events) == "Once"
        first = turn["answers"][0]["message"]
        more, _ = await exchange(api.client, conversation=turn["conversation"], kind="continue", message=first, max_tokens=5)
        cut, rest = api.samples()
        assert rest.prompt_ids == cut.prompt_ids + cut.output_ids, "exactly what the model saw and emitted"
        found = await tree(api.client, turn["conversation"])
        assert [one["continues"] for one in found["tree"]] == [False, False, True]
        assert found["tree"][2]["parent"] == first
        refused = await api.client.post(
            f"/v1/conversations/{turn['conversation']}/turns", json={"kind": "continue", "message": turn["question"]}
        )
        assert refused.status_code == 400
        await exchange(api.client, "And?", conversation=turn["conversation"], message=more["answers"][0]["message"])
        said = [one["content"] for one in api.samples()[-1].messages if one["role"] == "assistant"]
        assert said == ["Once" + rest.output_text], "the model sees one answer"


async def test_a_complete_answer_cannot_be_gone_on_with(bench: Maker) -> None:
    async with bench(FakeEngine(["Done."])) as api:
        turn, _ = await exchange(api.client)
        body = {"kind": "continue", "message": turn["answers"][0]["message"]}
        reply = await api.client.post(f"/v1/conversations/{turn['conversation']}/turns", json=body)
        assert reply.status_code == 409


async def test_every_reader_gets_every_event_once(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("abcdefgh", delay_s=0.002)])) as api:
        turn = await start(api.client)
        whole, late = await asyncio.gather(events_of(api.client, turn["id"]), events_of(api.client, turn["id"]))
        assert whole == late
        numbers = [number async for number, _, _ in read(api.client, turn["id"])]
        assert numbers == list(range(1, len(whole) + 1))
        assert await events_of(api.client, turn["id"], after=3) == whole[3:]
        reply = await api.client.get(f"/v1/turns/{turn['id']}/events", headers={"last-event-id": str(len(whole))})
        assert reply.status_code == 204, "browsers come back on their own, until they are told so"


async def test_a_turn_goes_on_when_its_reader_leaves_and_stops_when_told_from_elsewhere(bench: Maker) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.002)])
    async with bench(engine) as api:
        turn = await start(api.client)
        await asyncio.sleep(0.03)
        assert engine.active == 1, "nobody reads, and it goes on"
        reply = await api.client.post(f"/v1/turns/{turn['id']}/stop")
        assert reply.json()["state"] == "stopped"
        assert engine.active == 0
        events = await events_of(api.client, turn["id"])
        assert events[-1]["state"] == "stopped"
        answer = (await tree(api.client, turn["conversation"]))["tree"][1]
        assert answer["text"] == words_of(events) != ""
        assert answer["finish_reason"] == "cancelled"
        assert answer["sample"] == api.samples()[0].id
        assert (await api.client.post(f"/v1/turns/{turn['id']}/stop")).json()["state"] == "stopped", "twice is harmless"


async def test_a_stop_before_the_first_word_leaves_the_question_and_no_place_taken(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("x", first_delay_s=30)])) as api:
        turn = await start(api.client)
        await api.client.post(f"/v1/turns/{turn['id']}/stop")
        assert (await ended(api, turn))["state"] == "stopped"
        assert api.app.state.services.admission._num_in_flight == {"fake-model": 0}
        roles = [one["role"] for one in (await tree(api.client, turn["conversation"]))["tree"]]
        assert roles[0] == "user"


async def test_a_failure_keeps_what_was_said(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("Hello", fail_after=3)])) as api:
        turn, events = await exchange(api.client)
        kinds = [event["type"] for event in events]
        assert kinds[-2:] == ["error", "end"]
        assert events[-2]["error"]["code"] == "unavailable"
        assert events[-1]["state"] == "failed"
        answer = (await tree(api.client, turn["conversation"]))["tree"][1]
        assert (answer["text"], answer["finish_reason"]) == ("Hel", "error")


async def test_what_cannot_be_answered_is_not_stored(bench: Maker) -> None:
    async with bench() as api:
        where = (await api.client.post("/v1/conversations", json={})).json()["id"]
        for body in ({"text": "Hi", "model": "no such model"}, {"text": "  "}, {"text": "Hi", "mode": "no such mode"}):
            reply = await api.client.post(f"/v1/conversations/{where}/turns", json=body)
            assert reply.status_code in (400, 404), body
        assert (await tree(api.client, where))["tree"] == []


async def test_a_chat_longer_than_the_context_leaves_its_beginning_out(bench: Maker) -> None:
    async with bench(FakeEngine(["ok"], context_tokens=400)) as api:
        turn, _ = await exchange(api.client, "a" * 150)
        where = turn["conversation"]
        for letter in "bcd":
            turn, _ = await exchange(api.client, letter * 80, conversation=where, message=turn["answers"][0]["message"])
        seen = [one["content"] for one in api.samples()[-1].messages if one["role"] == "user"]
        assert seen[-1] == "d" * 80
        assert "a" * 150 not in seen
        assert turn["left_out"] >= 2


async def test_a_temporary_chat_leaves_no_trace(bench: Maker) -> None:
    async with bench(FakeEngine(["Whispered."])) as api:
        body = {"messages": [{"role": "user", "text": "a secret that nobody keeps"}]}
        turn = (await api.client.post("/v1/temporary/turns", json=body)).json()
        events = await events_of(api.client, turn["id"])
        assert words_of(events) == "Whispered."
        assert events[-1]["state"] == "finished"
        assert api.samples() == []
        assert (await api.client.get("/v1/conversations")).json()["data"] == []
        await api.app.state.services.turns._temporary_assistant.close()
        for path in api.settings.data_dir.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert b"secret that nobody" not in content, path
                assert b"Whispered" not in content, path


@pytest.mark.parametrize("retention", ["metadata", "none"])
async def test_a_conversation_is_kept_whatever_is_kept_of_samples(bench: Maker, retention: str) -> None:
    async with bench(FakeEngine(["Hi"]), retention=retention) as api:
        turn, _ = await exchange(api.client)
        answer = (await tree(api.client, turn["conversation"]))["tree"][1]
        assert answer["text"] == "Hi"
        assert (answer["sample"] is None) == (retention == "none")


async def test_a_server_that_stops_keeps_what_was_said(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.002)])) as api:
        turn = await start(api.client)
        await asyncio.sleep(0.03)
        await api.app.state.services.turns.close()
        owner = api.store.people.owner().id
        answer = api.store.conversations.list_messages(turn["conversation"], person_id=owner)[1]
        assert answer.content.startswith("x")
        assert answer.finish_reason == "cancelled"


async def test_deltas_are_as_long_in_a_long_chat_as_in_a_short_one(bench: Maker) -> None:
    async with bench(FakeEngine(["abcdefgh"])) as api:
        sizes = []
        turn: dict[str, Any] = {}
        for _ in range(4):
            more = {"conversation": turn["conversation"], "message": turn["answers"][0]["message"]} if turn else {}
            turn = await start(api.client, "x" * 200, **more)
            sizes.append(sum([size async for _, event, size in read(api.client, turn["id"]) if event["type"] == "delta"]))
        assert len(set(sizes)) == 1


@pytest.mark.slow
async def test_nothing_is_lost_or_doubled_over_broken_connections(tmp_path: Path) -> None:
    """A few rounds of the drill; `python -m tests.api.turn_drill 50` runs more."""
    assert await drill(5, tmp_path) == []


async def test_a_turn_ends_even_when_what_follows_it_fails(bench: Maker) -> None:
    async with bench(FakeEngine(["Hi"])) as api:

        async def broken(*_: Any) -> None:
            raise RuntimeError("a bug")

        api.app.state.services.turns._on_saved = broken
        with capture_logs() as logs:
            turn, events = await exchange(api.client)
        assert [one["event"] for one in logs if one["log_level"] == "error"] == ["turn_finalization_failed"]
        assert events[-1]["state"] == "failed"
        assert (await tree(api.client, turn["conversation"]))["tree"][1]["text"] == "Hi"


@pytest.mark.slow
async def test_the_real_model_goes_on_as_if_it_had_never_been_cut(served: str) -> None:
    headers = {"x-api-key": KEY}
    async with httpx.AsyncClient(base_url=served.removesuffix("/v1"), headers=headers, timeout=250) as client:
        asked = {"text": "Tell me a long story about a dog and a river.", "temperature": 0.0, "compare": False}
        _, whole = await exchange(client, **asked, max_tokens=24)
        cut, first = await exchange(client, **asked, max_tokens=12)
        where, answer = cut["conversation"], cut["answers"][0]["message"]
        _, rest = await exchange(client, conversation=where, kind="continue", message=answer, temperature=0.0, max_tokens=12)
        assert words_of(rest)
        assert words_of(first) + words_of(rest) == words_of(whole)
