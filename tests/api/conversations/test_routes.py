"""Conversations as a person keeps them: listed, found, sorted, changed, compared, and deleted without a trace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Bench, Maker
from tests.api.talking import events_of, exchange, start, tree, words_of
from yearling.api.conversations import comparison_schemas, schemas
from yearling.inference import FakeEngine, ScriptedAnswer


async def listed(api: Bench, **query: Any) -> list[dict[str, Any]]:
    reply = await api.client.get("/v1/conversations", params=query)
    assert reply.status_code == 200, reply.text
    schemas.ConversationList.model_validate(reply.json())
    return list(reply.json()["data"])


async def test_conversations_are_listed_found_and_sorted_into_folders(bench: Maker) -> None:
    async with bench(FakeEngine(["Sunny.", "晴天。"])) as api:
        first, _ = await exchange(api.client, "What is the weather in Berlin?")
        second, _ = await exchange(api.client, "北京天气怎么样？")
        assert [one["id"] for one in await listed(api)] == [second["conversation"], first["conversation"]]
        hit = (await listed(api, q="berlin"))[0]
        assert (hit["id"], hit["message"]) == (first["conversation"], first["question"])
        assert "Berlin" in hit["snippet"]
        assert [one["id"] for one in await listed(api, q="天气")] == [second["conversation"]]
        assert await listed(api, q="Madrid") == []
        folder = (await api.client.post("/v1/folders", json={"name": "Weather"})).json()
        path = f"/v1/conversations/{first['conversation']}"
        changed = await api.client.patch(path, json={"folder": folder["id"], "title": "Berlin"})
        assert (changed.json()["folder"], changed.json()["title"]) == (folder["id"], "Berlin")
        assert [one["id"] for one in await listed(api, folder=folder["id"])] == [first["conversation"]]
        assert (await api.client.get("/v1/folders")).json()["data"][0]["conversations"] == 1
        assert (await api.client.post("/v1/folders", json={"name": "Weather"})).status_code == 409
        renamed = await api.client.patch(f"/v1/folders/{folder['id']}", json={"name": "Climate"})
        assert renamed.json()["name"] == "Climate"
        assert (await api.client.delete(f"/v1/folders/{folder['id']}")).status_code == 200
        assert (await tree(api.client, first["conversation"]))["folder"] is None, "what was in it stays"


async def test_pages_follow_each_other(bench: Maker) -> None:
    async with bench() as api:
        made = [(await api.client.post("/v1/conversations", json={"title": str(n)})).json()["id"] for n in range(5)]
        page = (await api.client.get("/v1/conversations", params={"limit": 3})).json()
        rest = (await api.client.get("/v1/conversations", params={"limit": 3, "after": page["next"]})).json()
        assert [one["id"] for one in page["data"] + rest["data"]] == made[::-1]
        assert rest["next"] is None
        assert (await api.client.get("/v1/conversations", params={"after": "nonsense"})).status_code == 400


async def test_the_branch_in_use_can_be_chosen(bench: Maker) -> None:
    async with bench(FakeEngine(["one", "two"])) as api:
        turn, _ = await exchange(api.client)
        first = turn["answers"][0]["message"]
        await exchange(api.client, conversation=turn["conversation"], kind="regenerate", message=first)
        path = f"/v1/conversations/{turn['conversation']}"
        assert (await api.client.patch(path, json={"leaf": first})).json()["leaf"] == first
        other, _ = await exchange(api.client)
        reply = await api.client.patch(path, json={"leaf": other["answers"][0]["message"]})
        assert reply.status_code == 404, "a leaf is a message of this conversation"


async def test_delete_means_delete(bench: Maker) -> None:
    async with bench(FakeEngine(["Unrepeatable answer.", "Another one."])) as api:
        turn, _ = await exchange(api.client, "Unspeakable question", effort="low")
        keep, _ = await exchange(api.client, "Keep this")
        owner = api.store.people.owner().id
        answer = (await tree(api.client, turn["conversation"]))["tree"][1]
        edit = await api.client.post(
            f"/v1/conversations/{turn['conversation']}/messages/{answer['id']}/edit", json={"text": "Inimitable edit"}
        )
        assert edit.status_code == 200, edit.text
        sha256 = api.store.blobs.put(b"an unmistakable attachment")
        api.store.blobs.add_reference(sha256, "message", answer["id"])
        path = f"/v1/conversations/{turn['conversation']}"
        gone = (await api.client.delete(path)).json()
        assert gone["messages"] == 3
        assert (await api.client.get(path)).status_code == 404
        assert [sample.request_id for sample in api.samples() if sample.request_id == turn["id"]] == []
        assert len(api.store.conversations.list_messages(keep["conversation"], person_id=owner)) == 2
        assert (await api.client.get(f"/v1/turns/{turn['id']}")).status_code == 404, "nor does memory hold its words"
        held = b"".join(file.read_bytes() for file in api.settings.data_dir.rglob("*") if file.is_file())
        for words in (b"Unrepeatable", b"Unspeakable", b"Inimitable", b"unmistakable", b"unspeakable"):
            assert words not in held


async def test_deleting_a_conversation_stops_what_runs_in_it(bench: Maker) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.002)])
    async with bench(engine) as api:
        turn = await start(api.client)
        assert (await api.client.delete(f"/v1/conversations/{turn['conversation']}")).status_code == 200
        assert engine.active == 0
        assert api.samples() == []


async def test_a_message_is_deleted_with_what_is_under_it(bench: Maker) -> None:
    async with bench(FakeEngine(["one", "two"])) as api:
        turn, _ = await exchange(api.client, "A")
        where, answer = turn["conversation"], turn["answers"][0]["message"]
        more, _ = await exchange(api.client, "B", conversation=where, message=answer)
        gone = (await api.client.delete(f"/v1/conversations/{where}/messages/{more['question']}")).json()
        assert (gone["messages"], gone["samples"]) == (2, 1)
        found = await tree(api.client, where)
        assert [one["text"] for one in found["tree"]] == ["A", "one"]
        assert found["leaf"] == answer


async def test_an_edited_answer_becomes_an_edit_in_the_log(bench: Maker) -> None:
    async with bench(FakeEngine(["Pariss."])) as api:
        turn, _ = await exchange(api.client, "Capital of France?")
        answer = (await tree(api.client, turn["conversation"]))["tree"][1]
        path = f"/v1/conversations/{turn['conversation']}/messages"
        edited = (await api.client.post(f"{path}/{answer['id']}/edit", json={"text": "Paris."})).json()
        schemas.EditedMessage.model_validate(edited)
        entry = api.store.events.entries()[-1].event
        assert (entry["kind"], entry["item"], entry["id"]) == ("edit", answer["sample"], edited["event"])
        found = await tree(api.client, turn["conversation"])
        assert found["leaf"] == edited["message"]["id"]
        assert (found["tree"][2]["edit_of"], found["tree"][2]["edit_event"]) == (answer["id"], edited["event"])
        assert (await api.client.post(f"{path}/{turn['question']}/edit", json={"text": "?"})).status_code == 400
        await exchange(api.client, "And of Spain?", conversation=turn["conversation"], message=edited["message"]["id"])
        said = [one["content"] for one in api.samples()[-1].messages if one["role"] == "assistant"]
        assert said == ["Paris."], "the conversation goes on from the better words"


async def test_ones_own_ratings_are_in_the_tree(bench: Maker) -> None:
    async with bench(FakeEngine(["Hi"])) as api:
        turn, _ = await exchange(api.client)
        sample = (await tree(api.client, turn["conversation"]))["tree"][1]["sample"]
        done = await api.client.post("/v1/feedback/ratings", json={"item": sample, "value": 1, "tags": ["clear"]})
        rating = (await tree(api.client, turn["conversation"]))["tree"][1]["rating"]
        assert rating == {"event": done.json()["id"], "value": 1.0, "tags": ["clear"]}
        await api.client.delete(f"/v1/feedback/events/{rating['event']}")
        assert (await tree(api.client, turn["conversation"]))["tree"][1]["rating"] is None


# Comparisons


async def compared(api: Bench, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A turn with two answers, and the open comparison."""
    turn = await start(api.client, "Which?", compare=True, **fields)
    events = await events_of(api.client, turn["id"])
    assert events[-1]["state"] == "finished"
    for event in events:
        if event["type"] == "answer":
            assert not {"model", "sample", "usage"} & event.keys()
    comparison = (await api.client.get(f"/v1/comparisons/{turn['comparison']}")).json()
    comparison_schemas.ComparisonView.model_validate(comparison)
    return turn, comparison


async def test_two_answers_hide_their_models_until_a_choice_was_made(bench: Maker) -> None:
    async with bench(FakeEngine(["Mine."])) as api:
        turn, comparison = await compared(api, against="other/model")
        assert comparison["state"] == "open"
        assert (comparison["left_model"], comparison["right_model"]) == (None, None)
        found = await tree(api.client, turn["conversation"])
        schemas.ConversationTree.model_validate(found)
        for message in found["tree"][1:]:
            assert (message["model"], message["sample"], message["finish_reason"]) == (None, None, None)
        path = f"/v1/comparisons/{comparison['id']}/choice"
        told = (await api.client.post(path, json={"outcome": "right", "tags": ["clear"]})).json()
        assert {told["left_model"], told["right_model"]} == {"fake-model", "other/model"}
        texts = {message["id"]: message for message in found["tree"]}
        said_by = {"fake-model": "Mine.", "other/model": "Other."}
        assert texts[told["left"]]["text"] == said_by[told["left_model"]], "each side is told rightly"
        event = api.store.events.entries()[-1].event
        shown = {one["id"]: one for one in (await tree(api.client, turn["conversation"]))["tree"]}
        assert (event["kind"], event["id"], event["outcome"]) == ("comparison", told["event"], "right")
        assert (event["left"], event["right"]) == (shown[told["left"]]["sample"], shown[told["right"]]["sample"])
        assert (await tree(api.client, turn["conversation"]))["leaf"] == told["right"]
        assert (await api.client.post(path, json={"outcome": "left"})).status_code == 409


async def test_the_sides_are_drawn_by_lot(bench: Maker) -> None:
    async with bench(FakeEngine(["Mine."])) as api:
        left = set()
        for _ in range(40):
            turn = await start(api.client, "Which?", compare=True, against="other/model")
            left.add(words_of(await events_of(api.client, turn["id"]), 0))
            if len(left) == 2:
                break
        assert left == {"Mine.", "Other."}


async def test_a_comparison_can_be_skipped_without_a_judgement(bench: Maker) -> None:
    async with bench(FakeEngine(["One."])) as api:
        _, comparison = await compared(api)
        path = f"/v1/comparisons/{comparison['id']}/choice"
        assert (await api.client.post(path, json={"outcome": "skip"})).json()["state"] == "skipped"
        assert api.store.events.entries() == []


async def test_a_choice_that_cannot_be_recorded_leaves_the_comparison_open(bench: Maker) -> None:
    async with bench(FakeEngine(["One."]), retention="none") as api:
        _, comparison = await compared(api)
        path = f"/v1/comparisons/{comparison['id']}"
        assert (await api.client.post(f"{path}/choice", json={"outcome": "left"})).status_code == 409
        assert (await api.client.get(path)).json()["state"] == "open"


async def test_a_comparison_of_which_one_side_failed_is_none(bench: Maker) -> None:
    async with bench(FakeEngine([ScriptedAnswer("Hello", fail_after=2)])) as api:
        turn = await start(api.client, compare=True, against="other/model")
        events = await events_of(api.client, turn["id"])
        assert sorted(event["type"] for event in events if event["type"] in ("answer", "error")) == ["answer", "error"]
        found = await tree(api.client, turn["conversation"])
        assert found["comparisons"] == []
        assert {one["model"] for one in found["tree"][1:]} == {"fake-model", "other/model"}


@pytest.mark.parametrize(("rate", "answers"), [(1.0, 2), (0.0, 1)])
async def test_comparisons_are_offered_at_the_rate_that_is_set(bench: Maker, rate: float, answers: int) -> None:
    async with bench(FakeEngine(["One."]), comparison_rate=rate) as api:
        turn, _ = await exchange(api.client)
        assert len(turn["answers"]) == answers
        again, _ = await exchange(api.client)
        assert len(again["answers"]) == 1, "never twice in a row"
        declined, _ = await exchange(api.client, compare=False)
        assert len(declined["answers"]) == 1
