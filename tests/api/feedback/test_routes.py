"""Feedback and consensus over HTTP: what is recorded, what is hidden from whom, what is refused."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import httpx
import pytest

from tests.api.acting import newcomer
from tests.api.conftest import Bench, Maker
from tests.feedback.people import community, pour
from yearling.api.feedback import schemas
from yearling.api.feedback.routes import normalize_item_id
from yearling.feedback import FeedbackLog

UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


async def answered(api: Bench, count: int = 2) -> list[str]:
    """Ids of answers, as completions tell them."""
    return [(await api.chat(f"Question {number}")).json()["id"] for number in range(count)]


async def post(api: Bench, path: str, **body: Any) -> dict[str, Any]:
    reply = await api.client.post(f"/v1/feedback/{path}", json=body)
    assert reply.status_code == 200, reply.text
    done: dict[str, Any] = reply.json()
    schemas.RecordedEvent.model_validate(done)
    return done


async def get(api: Bench, path: str, **query: Any) -> dict[str, Any]:
    reply = await api.client.get(f"/v1/{path}", params=query)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def somebody_else(api: Bench) -> tuple[FeedbackLog, str]:
    """Another writer to the same store, such as a second server, and a person there."""
    return FeedbackLog(api.store), api.store.people.add("Ben").id


async def test_every_act_is_recorded_and_can_be_taken_back(bench: Maker) -> None:
    async with bench() as api:
        first, second = await answered(api)
        rating = await post(api, "ratings", item=first, value=1, tags=["clear"])
        assert rating["event"]["item"] == api.samples()[0].id  # the answer's sample, however the client names it
        assert rating["event"]["value"] == 1.0
        assert rating["standing"]["status"] == "needs_more_ratings"
        assert rating["standing"]["score"] is not None  # who rated may look
        comparison = await post(api, "comparisons", left=first, right=second, outcome="right")
        edit = await post(api, "edits", item=second, text="Better.")
        note = await post(api, "notes", item=first, text="From 2019.")
        for act in (rating, comparison, edit, note):
            reply = await api.client.delete(f"/v1/feedback/events/{act['id']}")
            assert reply.status_code == 200, reply.text
            assert reply.json()["event"]["event"] == act["id"]
            assert (await api.client.delete(f"/v1/feedback/events/{act['id']}")).status_code == 409
        log = await get(api, "consensus/log")
        assert [entry["event"]["kind"] for entry in log["data"] if entry["event"]["kind"] != "status_change"] == [
            "rating",
            "comparison",
            "edit",
            "note",
            *["retraction"] * 4,
        ]
        assert "2019" not in json.dumps([entry["event"].get("text") for entry in log["data"]])
        assert (await api.client.get(f"/v1/feedback/notes/{note['event']['note']}")).status_code == 404
        assert api.store.texts.list() == []


async def test_the_score_of_a_note_is_hidden_until_one_has_rated_it(bench: Maker) -> None:
    async with bench() as api:
        (answer,) = await answered(api, 1)
        mine = (await post(api, "notes", item=answer, text="Mine."))["event"]["note"]
        others, ben = somebody_else(api)
        theirs = others.add_note(ben, normalize_item_id(answer), "Theirs.").note
        view = schemas.NoteView.model_validate(await get(api, f"feedback/notes/{theirs}"))
        assert (view.text, view.yours, view.standing.score) == ("Theirs.", False, None)
        assert view.standing.reason == "no_quorum"
        assert view.standing.explanation[-1] == "Rate it to see what others think."
        item = schemas.ItemView.model_validate(await get(api, f"consensus/items/{theirs}"))
        assert item.standing.score is None
        done = await post(api, f"notes/{theirs}/ratings", value=0.5, tags=["unclear"])
        assert done["kind"] == "note_rating"
        assert done["standing"]["score"] is not None
        assert (await get(api, f"feedback/notes/{theirs}"))["standing"]["score"] is not None
        # One's own note cannot be rated, and its score is no secret.
        reply = await api.client.post(f"/v1/feedback/notes/{mine}/ratings", json={"value": 1})
        assert reply.status_code == 409
        own = schemas.NoteView.model_validate(await get(api, f"feedback/notes/{mine}"))
        assert own.yours
        assert own.standing.score is not None


async def test_another_persons_act_cannot_be_taken_back(bench: Maker) -> None:
    async with bench() as api:
        (answer,) = await answered(api, 1)
        await post(api, "ratings", item=answer, value=1)
        others, ben = somebody_else(api)
        theirs = others.rate(ben, normalize_item_id(answer), 0)
        reply = await api.client.delete(f"/v1/feedback/events/{theirs.id}")
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
        assert not others.index.withdrawal_of(theirs.id)


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
async def test_what_cannot_be_is_refused_in_the_one_envelope(
    bench: Maker, path: str, body: dict[str, Any], status: int, param: str | None
) -> None:
    async with bench() as api:
        (answer,) = await answered(api, 1)
        body = {name: answer if value == "ANSWER" else value for name, value in body.items()}
        reply = await api.client.post(f"/v1/feedback/{path}", json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (status, param), reply.text
        assert api.store.events.head().sequence == 0
        for gone in (f"feedback/notes/{UNKNOWN}", "consensus/items/nothing", "consensus/items/%00"):
            assert (await api.client.get(f"/v1/{gone}")).status_code == 404
        for query in ("consensus/log?after=-1", "consensus/log?limit=0", "feedback/queue?limit=1000", "consensus?limit=x"):
            assert (await api.client.get(f"/v1/{query}")).status_code == 400


@pytest.mark.slow
async def test_the_queue_asks_for_what_others_wrote(bench: Maker) -> None:
    async with bench() as api:
        first, second = (normalize_item_id(answer) for answer in await answered(api))
        others, ben = somebody_else(api)
        await post(api, "ratings", item=first, value=1)
        note = others.add_note(ben, first, "Theirs.")
        edit = others.add_edit(ben, first, "Better.")
        await post(api, "comparisons", left=first, right=second, outcome="left")
        deadline = time.monotonic() + 20
        while True:  # new items wait for the full run in the background
            queue = schemas.RatingQueueView.model_validate(await get(api, "feedback/queue"))
            if {wanted.item for wanted in queue.data} == {second, note.note}:
                break
            assert time.monotonic() < deadline, queue
        wanted = {one.item: one for one in queue.data}
        assert (wanted[note.note].kind, wanted[note.note].text, wanted[note.note].about) == ("note", "Theirs.", first)
        assert wanted[second].kind == "answer"
        await post(api, f"notes/{note.note}/ratings", value=1)
        await post(api, "ratings", item=edit.result, value=1)
        assert [one["item"] for one in (await get(api, "feedback/queue", limit=5))["data"]] == [second]


@pytest.mark.slow
async def test_the_consensus_shows_what_bridges_and_divides_and_hides_what_one_may_still_rate(bench: Maker) -> None:
    async with bench() as api:
        pour(FeedbackLog(api.store), community(num_raters=60, comparisons=20))
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
        shown = {item["item"]: item for item in (await get(api, "consensus"))["items"]}
        assert shown[hidden]["axis"] is not None
        explained = schemas.ItemView.model_validate(await get(api, f"consensus/items/{sorted(decided)[0]}"))
        assert explained.standing.score is not None
        assert explained.pairs
        assert (await get(api, "consensus", limit=1))["has_more"]


@pytest.mark.slow
async def test_a_rating_is_in_its_items_score_within_a_second(bench: Maker) -> None:
    async with bench() as api:
        pour(FeedbackLog(api.store), community(num_raters=60))
        for number in range(12):  # enough for the ratings of a newcomer to count
            await post(api, "ratings", item=f"i{number}", value=1)
        deadline = time.monotonic() + 20
        while (await get(api, "consensus/items/i11"))["standing"]["provisional"]:
            assert time.monotonic() < deadline, "no full run followed"
        others, ben = somebody_else(api)
        others.rate(ben, "i20", 1)
        before = sum(side["ratings"] for side in (await post(api, "ratings", item="i20", value=1))["standing"]["score"]["sides"])
        started = time.perf_counter()
        after = await post(api, "ratings", item="i21", value=1)
        assert time.perf_counter() - started < 1.0
        assert after["standing"]["provisional"]
        assert before > 0


async def test_the_public_log_can_be_walked_page_by_page(bench: Maker) -> None:
    async with bench() as api:
        empty = schemas.LogPage.model_validate(await get(api, "consensus/log"))
        assert (empty.data, empty.entries, empty.has_more) == ([], 0, False)
        pour(FeedbackLog(api.store), community(num_raters=10, num_items=5))
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
async def test_administrators_set_aside_vouch_and_call_juries_in_public(bench: Maker) -> None:
    async with bench() as api:
        (answer,) = await answered(api, 1)
        await post(api, "ratings", item=answer, value=1)
        others, ben = somebody_else(api)
        theirs = others.rate(ben, normalize_item_id(answer), 0)
        removal = await post(api, "removals", event=theirs.id, reason="spam")
        assert (removal["kind"], removal["standing"]["item"]) == ("removal", normalize_item_id(answer))
        vouch = await post(api, "vouches", account=ben)
        assert vouch["event"]["account"] == others.pseudonym(ben)
        reply = await api.client.post("/v1/feedback/juries", json={"item": answer})
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "conflict")  # nobody is there to be drawn
        assert (await api.client.get(f"/v1/feedback/juries/{answer}")).status_code == 404
        pour(others, community())
        jury = await post(api, "juries", item="i2")
        assert jury["event"]["jurors"]
        view = schemas.JuryView.model_validate(await get(api, "feedback/juries/i2"))
        assert (view.invited, view.answered, view.finding, view.yours) == (len(jury["event"]["jurors"]), 0, "", False)
        kinds = [one["event"]["kind"] for one in (await get(api, "consensus/log", limit=1000))["data"]]
        assert {"removal", "vouch", "jury_invitation"} <= set(kinds)
        for path, body in (
            ("removals", {"event": theirs.id, "reason": "again"}),
            ("vouches", {"account": api.store.people.owner().id}),
        ):
            assert (await api.client.post(f"/v1/feedback/{path}", json=body)).status_code == 409


async def test_members_remove_nothing_and_call_no_jury(bench: Maker) -> None:
    async with bench() as api:
        (answer,) = await answered(api, 1)
        await post(api, "ratings", item=answer, value=1)
        others, ben = somebody_else(api)
        theirs = others.rate(ben, normalize_item_id(answer), 0)
        _, mia = newcomer(api.store, "Mia")
        for path, body in (("removals", {"event": theirs.id, "reason": "spam"}), ("juries", {"item": answer})):
            reply = await api.client.post(f"/v1/feedback/{path}", json=body, headers=mia)
            assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
            assert "Only an administrator" in reply.json()["error"]["message"]


async def test_the_routes_are_behind_the_same_gate(bench: Maker) -> None:
    async with bench(api_keys=("key",)) as api:
        for path in ("feedback/queue", "consensus", "consensus/log"):
            assert (await api.client.get(f"/v1/{path}")).status_code == 401
        reply: httpx.Response = await api.client.post("/v1/feedback/ratings", content=b"{}")
        assert reply.status_code == 401


@pytest.mark.parametrize(
    ("given", "known_as"),
    [
        (f"chatcmpl-{UNKNOWN}", UNKNOWN),
        (f"resp_{UNKNOWN.replace('-', '')}", UNKNOWN),
        (UNKNOWN, UNKNOWN),
        ("chatcmpl-x", "chatcmpl-x"),
    ],
)
def test_answers_are_known_by_their_sample(given: str, known_as: str) -> None:
    assert normalize_item_id(given) == known_as
