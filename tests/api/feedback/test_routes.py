"""Feedback and consensus over HTTP: recording, hidden scores, and rejected requests."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.feedback.people import append_events, publish, simulate_events
from yearling.api.feedback import schemas
from yearling.api.feedback.routes import normalize_item_id
from yearling.feedback import FeedbackLog

UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


async def create_answers(api: RunningApi, count: int = 2) -> list[str]:
    """Create answers; returns the IDs of their completions."""
    return [(await api.chat(f"Question {number}")).json()["id"] for number in range(count)]


async def post(api: RunningApi, path: str, **body: Any) -> dict[str, Any]:
    response = await api.client.post(f"/v1/feedback/{path}", json=body)
    assert response.status_code == 200, response.text
    done: dict[str, Any] = response.json()
    schemas.RecordedEvent.model_validate(done)
    return done


async def get(api: RunningApi, path: str, **query: Any) -> dict[str, Any]:
    response = await api.client.get(f"/v1/{path}", params=query)
    assert response.status_code == 200, response.text
    body_json: dict[str, Any] = response.json()
    return body_json


def other_writer(api: RunningApi) -> tuple[FeedbackLog, str]:
    """A second feedback log on the same store, like that of a second server, and a person who writes to it."""
    return FeedbackLog(api.store), api.store.people.add("Ben").id


async def test_every_event_is_recorded_and_can_be_retracted(start_api: ApiFactory) -> None:
    async with start_api() as api:
        first, second = await create_answers(api)
        rating = await post(api, "ratings", item=first, value=1, tags=["clear"])
        assert rating["event"]["item"] == api.samples()[0].id  # the ID of the answer's sample, whichever ID the client sends
        assert rating["event"]["value"] == 1.0
        assert rating["standing"]["status"] == "needs_more_ratings"
        assert rating["standing"]["score"] is not None  # people who have rated see the score
        comparison = await post(api, "comparisons", left=first, right=second, outcome="right")
        edit = await post(api, "edits", item=second, text="Better.")
        note = await post(api, "notes", item=first, text="From 2019.")
        for act in (rating, comparison, edit, note):
            response = await api.client.delete(f"/v1/feedback/events/{act['id']}")
            assert response.status_code == 200, response.text
            assert response.json()["event"]["event"] == act["id"]
            assert (await api.client.delete(f"/v1/feedback/events/{act['id']}")).status_code == 409
        log = await get(api, "consensus/log")
        kinds = [entry["event"]["kind"] for entry in log["data"]]
        assert [kind for kind in kinds if kind not in ("status_change", "admission")] == [
            "rating",
            "comparison",
            "edit",
            "note",
            *["retraction"] * 4,
        ]
        assert "2019" not in json.dumps([entry["event"].get("text") for entry in log["data"]])
        assert (await api.client.get(f"/v1/feedback/notes/{note['event']['note']}")).status_code == 404
        assert api.store.texts.list() == []


async def test_note_score_is_hidden_until_rated(start_api: ApiFactory) -> None:
    async with start_api() as api:
        (answer,) = await create_answers(api, 1)
        own_note = (await post(api, "notes", item=answer, text="Mine."))["event"]["note"]
        others, ben = other_writer(api)
        publish(others, normalize_item_id(answer))
        other_note = others.add_note(ben, normalize_item_id(answer), "Theirs.").note
        view = schemas.NoteView.model_validate(await get(api, f"feedback/notes/{other_note}"))
        assert (view.text, view.yours, view.standing.score) == ("Theirs.", False, None)
        assert view.standing.reason == "no_quorum"
        assert view.standing.explanation[-1] == "Rate it to see what others think."
        item = schemas.ItemView.model_validate(await get(api, f"consensus/items/{other_note}"))
        assert item.standing.score is None
        done = await post(api, f"notes/{other_note}/ratings", value=0.5, tags=["unclear"])
        assert done["kind"] == "note_rating"
        assert done["standing"]["score"] is not None
        assert (await get(api, f"feedback/notes/{other_note}"))["standing"]["score"] is not None
        # People cannot rate their own notes, and see their scores.
        response = await api.client.post(f"/v1/feedback/notes/{own_note}/ratings", json={"value": 1})
        assert response.status_code == 409
        own = schemas.NoteView.model_validate(await get(api, f"feedback/notes/{own_note}"))
        assert own.yours
        assert own.standing.score is not None


async def test_event_of_another_person_cannot_be_retracted(start_api: ApiFactory) -> None:
    async with start_api() as api:
        (answer,) = await create_answers(api, 1)
        await post(api, "ratings", item=answer, value=1)
        others, ben = other_writer(api)
        publish(others, normalize_item_id(answer))
        other_note = others.rate(ben, normalize_item_id(answer), 0)
        response = await api.client.delete(f"/v1/feedback/events/{other_note.id}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
        assert not others.index.withdrawal_of(other_note.id)


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("ratings", {"item": UNKNOWN, "value": 1}, 404, "item"),
        ("ratings", {"item": "ANSWER", "value": 0.7}, 400, "value"),
        ("ratings", {"item": "ANSWER", "value": "1"}, 400, "value"),
        ("ratings", {"item": "ANSWER"}, 400, "value"),
        ("ratings", {"item": "ANSWER", "value": 1, "mood": 1}, 400, "mood"),
        ("ratings", {"item": "ANSWER", "value": 1, "tags": ["Mr Smith"]}, 400, "tags[0]"),
        ("ratings", {"item": "a\nb", "value": 1}, 400, "item"),
        ("ratings", {"item": "\x85\u2028", "value": 1}, 404, "item"),
        ("comparisons", {"left": "ANSWER", "right": "ANSWER", "outcome": "tie"}, 400, "right"),
        ("comparisons", {"left": "ANSWER", "right": UNKNOWN, "outcome": "tie"}, 404, "item"),
        ("comparisons", {"left": "ANSWER", "right": UNKNOWN, "outcome": "both"}, 400, "outcome"),
        ("notes", {"item": "ANSWER", "text": " "}, 400, "text"),
        ("notes", {"item": "ANSWER", "text": "x" * 6000}, 400, "text"),
        ("edits", {"item": UNKNOWN, "text": "x"}, 404, "item"),
        (f"notes/{UNKNOWN}/ratings", {"value": 1}, 404, None),
    ],
)
async def test_invalid_feedback_is_rejected(
    start_api: ApiFactory, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    async with start_api() as api:
        (answer,) = await create_answers(api, 1)
        body = {name: answer if value == "ANSWER" else value for name, value in body.items()}
        response = await api.client.post(f"/v1/feedback/{path}", json=body)
        assert (response.status_code, response.json()["error"]["param"]) == (status, param), response.text
        assert api.store.events.head().sequence == 0
        for unknown_path in (f"feedback/notes/{UNKNOWN}", "consensus/items/nothing", "consensus/items/%00"):
            assert (await api.client.get(f"/v1/{unknown_path}")).status_code == 404
        for query in ("consensus/log?after=-1", "consensus/log?limit=0", "feedback/queue?limit=1000", "consensus?limit=x"):
            assert (await api.client.get(f"/v1/{query}")).status_code == 400


@pytest.mark.slow
async def test_rating_queue_contains_items_of_others(start_api: ApiFactory) -> None:
    async with start_api() as api:
        first, second = (normalize_item_id(answer) for answer in await create_answers(api))
        others, ben = other_writer(api)
        publish(others, first, second)
        await post(api, "ratings", item=first, value=1)
        note = others.add_note(ben, first, "Theirs.")
        edit = others.add_edit(ben, first, "Better.")
        await post(api, "comparisons", left=first, right=second, outcome="left")
        deadline = time.monotonic() + 20
        while True:  # the next full run in the background adds new items
            queue = schemas.RatingQueueView.model_validate(await get(api, "feedback/queue"))
            if {queued.item for queued in queue.data} == {note.note}:  # an answer that was only compared is judged in its pair
                break
            assert time.monotonic() < deadline, queue
        others.rate(ben, second, 1)
        await post(api, "comparisons", left=second, right=first, outcome="right")
        while True:
            queue = schemas.RatingQueueView.model_validate(await get(api, "feedback/queue"))
            if {queued.item for queued in queue.data} == {second, note.note}:
                break
            assert time.monotonic() < deadline, queue
        queued = {entry.item: entry for entry in queue.data}
        assert (queued[note.note].kind, queued[note.note].text, queued[note.note].about) == ("note", "Theirs.", first)
        assert queued[second].kind == "answer"
        await post(api, f"notes/{note.note}/ratings", value=1)
        await post(api, "ratings", item=edit.result, value=1)
        assert [entry["item"] for entry in (await get(api, "feedback/queue", limit=5))["data"]] == [second]


@pytest.mark.slow
async def test_consensus_hides_scores_that_can_still_be_rated(start_api: ApiFactory) -> None:
    async with start_api() as api:
        append_events(FeedbackLog(api.store), simulate_events(num_raters=60, comparisons=20))
        view = schemas.ConsensusView.model_validate(await get(api, "consensus"))
        decided = {item.item for item in view.items if item.status != "needs_more_ratings"}
        assert decided
        assert {item.item for item in view.items if item.axis is not None} == decided
        assert set(view.bridges) | set(view.divides) <= decided
        assert view.pairs.compared > 0
        assert view.division.seen
        hidden = next(item.item for item in view.items if item.item not in decided)
        assert (await get(api, f"consensus/items/{hidden}"))["pairs"] == []
        rated = await post(api, "ratings", item=hidden, value=1)
        assert rated["standing"]["score"] is not None
        items_by_id = {item["item"]: item for item in (await get(api, "consensus"))["items"]}
        assert items_by_id[hidden]["axis"] is not None
        explained = schemas.ItemView.model_validate(await get(api, f"consensus/items/{sorted(decided)[0]}"))
        assert explained.standing.score is not None
        assert explained.pairs
        assert (await get(api, "consensus", limit=1))["has_more"]


@pytest.mark.slow
async def test_rating_updates_the_score_within_a_second(start_api: ApiFactory) -> None:
    async with start_api() as api:
        append_events(FeedbackLog(api.store), simulate_events(num_raters=60))
        for number in range(12):  # enough ratings for a new person's ratings to count
            await post(api, "ratings", item=f"i{number}", value=1)
        deadline = time.monotonic() + 20
        while (await get(api, "consensus/items/i11"))["standing"]["provisional"]:
            assert time.monotonic() < deadline, "no full run followed"
        others, ben = other_writer(api)
        others.rate(ben, "i20", 1)
        before = sum(side["ratings"] for side in (await post(api, "ratings", item="i20", value=1))["standing"]["score"]["sides"])
        started = time.perf_counter()
        after = await post(api, "ratings", item="i21", value=1)
        assert time.perf_counter() - started < 1.0
        assert after["standing"]["provisional"]
        assert before > 0


async def test_public_log_pages_form_a_hash_chain(start_api: ApiFactory) -> None:
    async with start_api() as api:
        empty = schemas.LogPage.model_validate(await get(api, "consensus/log"))
        assert (empty.data, empty.entries, empty.has_more) == ([], 0, False)
        append_events(FeedbackLog(api.store), simulate_events(num_raters=10, num_items=5))
        head, after = "0" * 64, 0
        while True:
            page = schemas.LogPage.model_validate(await get(api, "consensus/log", after=after, limit=7))
            for entry in page.data:
                line = json.dumps(entry.event, sort_keys=True, separators=(",", ":"))
                assert entry.previous_hash == head
                head = hashlib.sha256(f"{entry.sequence}\n{head}\n{line}".encode()).hexdigest()
                assert entry.hash == head
                after = entry.sequence
            if not page.has_more:
                break
        assert (after, head) == (page.entries, page.head)


@pytest.mark.slow
async def test_administrators_remove_and_invite_juries(start_api: ApiFactory) -> None:
    async with start_api() as api:
        (answer,) = await create_answers(api, 1)
        await post(api, "ratings", item=answer, value=1)
        others, ben = other_writer(api)
        publish(others, normalize_item_id(answer))
        other_note = others.rate(ben, normalize_item_id(answer), 0)
        removal = await post(api, "removals", event=other_note.id, reason="spam")
        assert (removal["kind"], removal["standing"]["item"]) == ("removal", normalize_item_id(answer))
        response = await api.client.post("/v1/feedback/juries", json={"item": answer})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")  # there is nobody to draw
        assert (await api.client.get(f"/v1/feedback/juries/{answer}")).status_code == 404
        append_events(others, simulate_events())
        jurors = (await post(api, "juries", item="i2"))["event"]["jurors"]
        assert len(jurors) == 12
        # The administrator counts from the first judgement, so the lot may fall on them too.
        is_juror = others.pseudonym(next(person.id for person in api.store.people.list() if person.id != ben)) in jurors
        view = schemas.JuryView.model_validate(await get(api, "feedback/juries/i2"))
        assert (view.invited, view.answered, view.finding, view.yours) == (12, 0, "", is_juror)
        kinds = [entry["event"]["kind"] for entry in (await get(api, "consensus/log", limit=1000))["data"]]
        assert {"removal", "admission", "jury_invitation"} <= set(kinds)
        again = {"event": other_note.id, "reason": "again"}
        assert (await api.client.post("/v1/feedback/removals", json=again)).status_code == 409


async def test_members_cannot_remove_or_invite_juries(start_api: ApiFactory) -> None:
    async with start_api() as api:
        (answer,) = await create_answers(api, 1)
        await post(api, "ratings", item=answer, value=1)
        others, ben = other_writer(api)
        publish(others, normalize_item_id(answer))
        other_note = others.rate(ben, normalize_item_id(answer), 0)
        _, mia = add_person(api.store, "Mia")
        for path, body in (("removals", {"event": other_note.id, "reason": "spam"}), ("juries", {"item": answer})):
            response = await api.client.post(f"/v1/feedback/{path}", json=body, headers=mia)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
            assert "Only an administrator" in response.json()["error"]["message"]


async def test_answers_of_others_cannot_be_judged(start_api: ApiFactory) -> None:
    async with start_api() as api:
        first, second = await create_answers(api)
        await post(api, "ratings", item=first, value=1)
        await post(api, "comparisons", left=first, right=second, outcome="left")
        _, ben = add_person(api.store, "Ben")
        for path, body in (
            ("ratings", {"item": first, "value": 0}),
            ("comparisons", {"left": first, "right": second, "outcome": "right"}),
            ("edits", {"item": first, "text": "Other words."}),
            ("notes", {"item": first, "text": "Context."}),
        ):
            response = await api.client.post(f"/v1/feedback/{path}", json=body, headers=ben)
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), path
        assert (await api.client.get("/v1/feedback/queue", headers=ben)).json()["data"] == []
        response = await api.client.post("/v1/feedback/juries", json={"item": first})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")


async def test_feedback_routes_require_authentication(start_api: ApiFactory) -> None:
    async with start_api(api_keys=("key",)) as api:
        for path in ("feedback/queue", "consensus", "consensus/log"):
            assert (await api.client.get(f"/v1/{path}")).status_code == 401
        response: httpx.Response = await api.client.post("/v1/feedback/ratings", content=b"{}")
        assert response.status_code == 401


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (f"chatcmpl-{UNKNOWN}", UNKNOWN),
        (f"resp_{UNKNOWN.replace('-', '')}", UNKNOWN),
        (UNKNOWN, UNKNOWN),
        ("chatcmpl-x", "chatcmpl-x"),
    ],
)
def test_item_ids_are_normalized_to_sample_ids(item: str, expected: str) -> None:
    assert normalize_item_id(item) == expected
