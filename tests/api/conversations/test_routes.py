"""Conversations: list, search, folders, changes, comparisons, and complete deletion."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.turn_client import events_of, exchange, get_tree, start_turn, text_of
from yearling.api.conversations import comparison_schemas, schemas
from yearling.inference import EnginePool, FakeEngine, ScriptedAnswer

T = TypeVar("T")


async def poll(fetch: Callable[[], Awaitable[T]], is_done: Callable[[T], bool]) -> T:
    """Ask the server until the answer is as wanted, for a minute at most."""
    async with asyncio.timeout(60):
        while True:
            answer = await fetch()
            if is_done(answer):
                return answer
            await asyncio.sleep(0.02)


async def wait_for_events(api: RunningApi, turn: str, number: int) -> None:
    async def fetch() -> int:
        return int((await api.client.get(f"/v1/turns/{turn}")).json()["events"])

    await poll(fetch, lambda events: events >= number)


async def wait_for_messages(api: RunningApi, conversation: str, number: int) -> list[dict[str, Any]]:
    async def fetch() -> list[dict[str, Any]]:
        return list((await get_tree(api.client, conversation))["tree"])

    return await poll(fetch, lambda messages: len(messages) >= number)


async def list_conversations(api: RunningApi, **query: Any) -> list[dict[str, Any]]:
    response = await api.client.get("/v1/chats", params=query)
    assert response.status_code == 200, response.text
    schemas.ConversationList.model_validate(response.json())
    return list(response.json()["data"])


async def test_list_search_and_folders(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Sunny.", "晴天。"])) as api:
        first, _ = await exchange(api.client, "What is the weather in Berlin?")
        second, _ = await exchange(api.client, "北京天气怎么样？")
        assert [entry["id"] for entry in await list_conversations(api)] == [second["conversation"], first["conversation"]]
        hit = (await list_conversations(api, q="berlin"))[0]
        assert (hit["id"], hit["message"]) == (first["conversation"], first["question"])
        assert "Berlin" in hit["snippet"]
        assert [entry["id"] for entry in await list_conversations(api, q="天气")] == [second["conversation"]]
        assert await list_conversations(api, q="Madrid") == []
        folder = (await api.client.post("/v1/folders", json={"name": "Weather"})).json()
        path = f"/v1/chats/{first['conversation']}"
        changed = await api.client.patch(path, json={"folder": folder["id"], "title": "Berlin"})
        assert (changed.json()["folder"], changed.json()["title"]) == (folder["id"], "Berlin")
        assert [entry["id"] for entry in await list_conversations(api, folder=folder["id"])] == [first["conversation"]]
        assert (await api.client.get("/v1/folders")).json()["data"][0]["conversations"] == 1
        assert (await api.client.post("/v1/folders", json={"name": "Weather"})).status_code == 409
        renamed = await api.client.patch(f"/v1/folders/{folder['id']}", json={"name": "Climate"})
        assert renamed.json()["name"] == "Climate"
        assert (await api.client.delete(f"/v1/folders/{folder['id']}")).status_code == 200
        assert (await get_tree(api.client, first["conversation"]))["folder"] is None, "the conversation stays"


async def test_pagination_returns_every_conversation_once(start_api: ApiFactory) -> None:
    async with start_api() as api:
        created = [(await api.client.post("/v1/chats", json={"title": str(n)})).json()["id"] for n in range(5)]
        page = (await api.client.get("/v1/chats", params={"limit": 3})).json()
        second_page = (await api.client.get("/v1/chats", params={"limit": 3, "after": page["next"]})).json()
        assert [entry["id"] for entry in page["data"] + second_page["data"]] == created[::-1]
        assert second_page["next"] is None
        assert (await api.client.get("/v1/chats", params={"after": "nonsense"})).status_code == 400


async def test_branch_in_use_can_be_changed(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["one", "two"])) as api:
        turn, _ = await exchange(api.client)
        first = turn["answers"][0]["message"]
        await exchange(api.client, conversation=turn["conversation"], kind="regenerate", message=first)
        path = f"/v1/chats/{turn['conversation']}"
        assert (await api.client.patch(path, json={"leaf": first})).json()["leaf"] == first
        other, _ = await exchange(api.client)
        response = await api.client.patch(path, json={"leaf": other["answers"][0]["message"]})
        assert response.status_code == 404, "a leaf must belong to the conversation"


async def test_deleting_a_conversation_removes_all_its_data(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Unrepeatable answer.", "Another one."])) as api:
        turn, _ = await exchange(api.client, "Unspeakable question", effort="low")
        keep, _ = await exchange(api.client, "Keep this")
        owner = api.store.people.owner().id
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][1]
        edit = await api.client.post(
            f"/v1/chats/{turn['conversation']}/messages/{answer['id']}/edit", json={"text": "Inimitable edit"}
        )
        assert edit.status_code == 200, edit.text
        sha256 = api.store.blobs.put(b"an unmistakable attachment")
        api.store.blobs.add_reference(sha256, "message", answer["id"])
        path = f"/v1/chats/{turn['conversation']}"
        deleted = (await api.client.delete(path)).json()
        assert deleted["messages"] == 3
        assert (await api.client.get(path)).status_code == 404
        assert [sample.request_id for sample in api.samples() if sample.request_id == turn["id"]] == []
        assert len(api.store.conversations.list_messages(keep["conversation"], person_id=owner)) == 2
        assert (await api.client.get(f"/v1/turns/{turn['id']}")).status_code == 404, "the turn is gone from memory too"
        stored_bytes = b"".join(file.read_bytes() for file in api.settings.data_dir.rglob("*") if file.is_file())
        for words in (b"Unrepeatable", b"Unspeakable", b"Inimitable", b"unmistakable", b"unspeakable"):
            assert words not in stored_bytes


async def test_deleting_a_conversation_stops_its_turns(start_api: ApiFactory) -> None:
    engine = FakeEngine([ScriptedAnswer("x" * 4000, delay_s=0.002)])
    async with start_api(engine) as api:
        turn = await start_turn(api.client)
        assert (await api.client.delete(f"/v1/chats/{turn['conversation']}")).status_code == 200
        assert engine.active == 0
        assert api.samples() == []


async def test_deleting_a_message_deletes_its_descendants(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["one", "two"])) as api:
        turn, _ = await exchange(api.client, "A")
        conversation_id, answer = turn["conversation"], turn["answers"][0]["message"]
        more, _ = await exchange(api.client, "B", conversation=conversation_id, message=answer)
        deleted = (await api.client.delete(f"/v1/chats/{conversation_id}/messages/{more['question']}")).json()
        assert (deleted["messages"], deleted["samples"]) == (2, 1)
        conversation = await get_tree(api.client, conversation_id)
        assert [entry["text"] for entry in conversation["tree"]] == ["A", "one"]
        assert conversation["leaf"] == answer


async def test_editing_an_answer_adds_an_edit_to_the_log(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Pariss."])) as api:
        turn, _ = await exchange(api.client, "Capital of France?")
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][1]
        path = f"/v1/chats/{turn['conversation']}/messages"
        edited = (await api.client.post(f"{path}/{answer['id']}/edit", json={"text": "Paris."})).json()
        schemas.EditedMessage.model_validate(edited)
        entry = api.store.events.entries()[-1].event
        assert (entry["kind"], entry["item"], entry["id"]) == ("edit", answer["sample"], edited["event"])
        conversation = await get_tree(api.client, turn["conversation"])
        assert conversation["leaf"] == edited["message"]["id"]
        assert (conversation["tree"][2]["edit_of"], conversation["tree"][2]["edit_event"]) == (answer["id"], edited["event"])
        assert (await api.client.post(f"{path}/{turn['question']}/edit", json={"text": "?"})).status_code == 400
        await exchange(api.client, "And of Spain?", conversation=turn["conversation"], message=edited["message"]["id"])
        said = [entry["content"] for entry in api.samples()[-1].messages if entry["role"] == "assistant"]
        assert said == ["Paris."], "the conversation continues from the edited answer"


async def test_tree_contains_own_ratings(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Hi"])) as api:
        turn, _ = await exchange(api.client)
        sample = (await get_tree(api.client, turn["conversation"]))["tree"][1]["sample"]
        done = await api.client.post("/v1/feedback/ratings", json={"item": sample, "value": 1, "tags": ["clear"]})
        rating = (await get_tree(api.client, turn["conversation"]))["tree"][1]["rating"]
        assert rating == {"event": done.json()["id"], "value": 1.0, "tags": ["clear"]}
        await api.client.delete(f"/v1/feedback/events/{rating['event']}")
        assert (await get_tree(api.client, turn["conversation"]))["tree"][1]["rating"] is None


# Comparisons


async def start_comparison(api: RunningApi, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Start a turn with two answers; returns the turn and the open comparison."""
    turn = await start_turn(api.client, "Which?", compare=True, **fields)
    events = await events_of(api.client, turn["id"])
    assert events[-1]["state"] == "finished"
    for event in events:
        if event["type"] == "answer":
            assert not {"model", "sample", "usage"} & event.keys()
    comparison = (await api.client.get(f"/v1/comparisons/{turn['comparison']}")).json()
    comparison_schemas.ComparisonView.model_validate(comparison)
    return turn, comparison


async def test_comparison_hides_models_until_the_choice(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Mine."])) as api:
        turn, comparison = await start_comparison(api, against="other/model")
        assert comparison["state"] == "open"
        assert (comparison["left_model"], comparison["right_model"]) == (None, None)
        conversation = await get_tree(api.client, turn["conversation"])
        schemas.ConversationTree.model_validate(conversation)
        for message in conversation["tree"][1:]:
            assert (message["model"], message["sample"], message["finish_reason"]) == (None, None, None)
        path = f"/v1/comparisons/{comparison['id']}/choice"
        told = (await api.client.post(path, json={"outcome": "right", "tags": ["clear"]})).json()
        assert {told["left_model"], told["right_model"]} == {"fake-model", "other/model"}
        texts = {message["id"]: message for message in conversation["tree"]}
        said_by = {"fake-model": "Mine.", "other/model": "Other."}
        assert texts[told["left"]]["text"] == said_by[told["left_model"]], "each side names its own model"
        (event,) = (entry.event for entry in api.store.events.entries() if entry.event["kind"] == "comparison")
        shown = {entry["id"]: entry for entry in (await get_tree(api.client, turn["conversation"]))["tree"]}
        assert (event["kind"], event["id"], event["outcome"]) == ("comparison", told["event"], "right")
        assert (event["left"], event["right"]) == (shown[told["left"]]["sample"], shown[told["right"]]["sample"])
        assert (await get_tree(api.client, turn["conversation"]))["leaf"] == told["right"]
        assert (await api.client.post(path, json={"outcome": "left"})).status_code == 409


async def test_sides_of_a_comparison_are_random(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Mine."])) as api:
        left = set()
        for _ in range(40):
            turn = await start_turn(api.client, "Which?", compare=True, against="other/model")
            left.add(text_of(await events_of(api.client, turn["id"]), 0))
            if len(left) == 2:
                break
        assert left == {"Mine.", "Other."}


async def test_skipping_a_comparison_records_no_judgement(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One.", "Two."])) as api:
        _, comparison = await start_comparison(api)
        path = f"/v1/comparisons/{comparison['id']}/choice"
        assert (await api.client.post(path, json={"outcome": "skip"})).json()["state"] == "skipped"
        assert api.store.events.entries() == []


async def test_failed_choice_leaves_the_comparison_open(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["One.", "Two."]), retention="none") as api:
        _, comparison = await start_comparison(api)
        path = f"/v1/comparisons/{comparison['id']}"
        assert (await api.client.post(f"{path}/choice", json={"outcome": "left"})).status_code == 409
        assert (await api.client.get(path)).json()["state"] == "open"


async def test_comparison_with_a_failed_side_is_dropped(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine([ScriptedAnswer("Hello", fail_after=2)])) as api:
        turn = await start_turn(api.client, compare=True, against="other/model")
        events = await events_of(api.client, turn["id"])
        assert sorted(event["type"] for event in events if event["type"] in ("answer", "error")) == ["answer", "error"]
        conversation = await get_tree(api.client, turn["conversation"])
        assert conversation["comparisons"] == []
        assert {entry["model"] for entry in conversation["tree"][1:]} == {"fake-model", "other/model"}


async def test_identical_answers_are_not_offered_for_judgement(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Same.", "Same. "])) as api:
        turn, events = await exchange(api.client, "Which?", compare=True)
        assert events[-1]["state"] == "finished"
        conversation = await get_tree(api.client, turn["conversation"])
        assert conversation["comparisons"] == []
        assert [entry["model"] for entry in conversation["tree"][1:]] == ["fake-model", "fake-model"], "nothing is hidden"


async def test_an_answer_without_end_does_not_block_the_choice(start_api: ApiFactory) -> None:
    """The person stops it, and can say that the complete answer is better."""
    endless = ScriptedAnswer("again and " * 4000, delay_s=0.002)
    async with start_api(FakeEngine([endless])) as api:
        turn = await start_turn(api.client, "Which?", compare=True, against="other/model")
        await wait_for_events(api, turn["id"], 20)
        complete = (await wait_for_messages(api, turn["conversation"], 2))[1]["id"]
        assert (await api.client.post(f"/v1/turns/{turn['id']}/stop")).json()["state"] == "stopped"
        comparison = (await api.client.get(f"/v1/comparisons/{turn['comparison']}")).json()
        assert comparison["state"] == "open"
        better = "left" if comparison["left"] == complete else "right"
        told = (await api.client.post(f"/v1/comparisons/{comparison['id']}/choice", json={"outcome": better})).json()
        assert told[f"{better}_model"] == "other/model"
        endings = {
            entry["model"]: entry["finish_reason"] for entry in (await get_tree(api.client, turn["conversation"]))["tree"][1:]
        }
        assert endings == {"fake-model": "cancelled", "other/model": "stop"}


async def test_two_stopped_answers_are_not_offered_for_judgement(start_api: ApiFactory) -> None:
    async with start_api(
        FakeEngine([ScriptedAnswer("ab" * 4000, delay_s=0.002), ScriptedAnswer("cd" * 4000, delay_s=0.002)])
    ) as api:
        turn = await start_turn(api.client, "Which?", compare=True)
        await wait_for_events(api, turn["id"], 40)
        await api.client.post(f"/v1/turns/{turn['id']}/stop")
        conversation = await get_tree(api.client, turn["conversation"])
        assert [bool(entry["text"]) for entry in conversation["tree"]] == [True, True, True]
        assert conversation["comparisons"] == []


# The model of a conversation


async def test_conversation_keeps_its_model(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Mine."])) as api:
        first, events = await exchange(api.client, "A", model="other/model")
        assert text_of(events) == "Other."
        conversation_id = first["conversation"]
        assert (await get_tree(api.client, conversation_id))["model"] == "other/model"
        again, events = await exchange(api.client, "B", conversation=conversation_id, message=first["answers"][0]["message"])
        assert text_of(events) == "Other.", "a question without a model is answered by the conversation's"
        chosen = await api.client.patch(f"/v1/chats/{conversation_id}", json={"model": "fake-model"})
        assert chosen.json()["model"] == "fake-model"
        await api.client.patch(f"/v1/chats/{conversation_id}", json={"title": "Renamed"})
        _, events = await exchange(api.client, "C", conversation=conversation_id, message=again["answers"][0]["message"])
        assert text_of(events) == "Mine."
        back = await api.client.patch(f"/v1/chats/{conversation_id}", json={"model": None})
        assert back.json()["model"] is None
        too_long = await api.client.patch(f"/v1/chats/{conversation_id}", json={"model": "m" * 301})
        assert (too_long.status_code, too_long.json()["error"]["param"]) == (400, "model")


async def test_answer_is_continued_by_the_model_that_began_it(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Mine."])) as api:
        turn, _ = await exchange(api.client, "A", model="other/model", max_tokens=2)
        conversation_id, answer = turn["conversation"], turn["answers"][0]["message"]
        await api.client.patch(f"/v1/chats/{conversation_id}", json={"model": "fake-model"})
        await exchange(api.client, conversation=conversation_id, kind="continue", message=answer)
        conversation = await get_tree(api.client, conversation_id)
        assert [entry["model"] for entry in conversation["tree"]] == [None, "other/model", "other/model"]
        assert conversation["model"] == "fake-model", "the choice for the next question stays"


async def test_messages_call_their_model_as_the_list_of_models_does(
    start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint gives its models names for people, which the catalogue does not know."""
    monkeypatch.setattr(EnginePool, "title", lambda _, name: f"The model {name}")
    async with start_api(FakeEngine(["Mine."])) as api:
        turn, _ = await exchange(api.client, "A", model="other/model")
        titles = {entry["id"]: entry["title"] for entry in (await api.client.get("/v1/models")).json()["data"]}
        answer = (await get_tree(api.client, turn["conversation"]))["tree"][1]
        assert answer["model_title"] == titles["other/model"] == "The model other/model"


async def test_conversation_for_which_no_model_was_chosen_follows_the_default(start_api: ApiFactory) -> None:
    """A release, a rollback and a canary reach conversations that exist."""
    async with start_api(FakeEngine(["Mine."])) as api:
        turn, events = await exchange(api.client, "A")
        assert text_of(events) == "Mine."
        conversation_id = turn["conversation"]
        assert (await get_tree(api.client, conversation_id))["model"] is None
        api.app.state.services.pool.use_default("other/model")
        _, events = await exchange(api.client, "B", conversation=conversation_id, message=turn["answers"][0]["message"])
        assert text_of(events) == "Other."


@pytest.mark.parametrize("choose", ["turn", "conversation"])
async def test_conversation_follows_the_champion_again_once_somebody_chooses_it(start_api: ApiFactory, choose: str) -> None:
    async with start_api(FakeEngine(["Mine."])) as api:
        turn, _ = await exchange(api.client, "A", model="other/model")
        conversation_id, answer = turn["conversation"], turn["answers"][0]["message"]
        if choose == "turn":
            _, events = await exchange(api.client, "B", conversation=conversation_id, message=answer, model="champion")
            assert text_of(events) == "Mine."
        else:
            changed = await api.client.patch(f"/v1/chats/{conversation_id}", json={"model": "champion"})
            assert changed.json()["model"] is None
        assert (await get_tree(api.client, conversation_id))["model"] is None


async def test_conversation_whose_model_is_gone_says_so(start_api: ApiFactory) -> None:
    async with start_api(FakeEngine(["Mine."])) as api:
        turn, _ = await exchange(api.client, "A")
        path = f"/v1/chats/{turn['conversation']}"
        await api.client.patch(path, json={"model": "gone"})
        body = {"text": "B", "message": turn["answers"][0]["message"]}
        refused = await api.client.post(f"{path}/turns", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
        assert (await api.client.post(f"{path}/turns", json=body | {"model": "other/model"})).status_code == 200


@pytest.mark.parametrize(("rate", "answers"), [(1.0, 2), (0.0, 1)])
async def test_comparisons_are_offered_at_the_configured_rate(start_api: ApiFactory, rate: float, answers: int) -> None:
    async with start_api(FakeEngine(["One.", "Two."]), comparison_rate=rate) as api:
        turn, _ = await exchange(api.client)
        assert len(turn["answers"]) == answers
        again, _ = await exchange(api.client)
        assert len(again["answers"]) == 1, "comparisons are not offered twice in a row"
        declined, _ = await exchange(api.client, compare=False)
        assert len(declined["answers"]) == 1
