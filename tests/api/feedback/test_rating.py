"""The Rate page's API: what comes next, what it hides, guesses, and the report on the raters."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.feedback.people import add_answers, append_events, simulate_events
from tests.store.examples import make_round_answers
from yearling.api.feedback import rating_schemas as schemas
from yearling.feedback import FeedbackLog, JuryInvitation, Rating, create_round
from yearling.store import RoundQuestion, export_person_data, make_text

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is tea?"},
    {"role": "assistant", "content": "A drink."},
    {"role": "user", "content": [{"type": "text", "text": "From *where*?"}]},
]


def offer(api: RunningApi, *items: str, text: str = "From China.") -> None:
    """Publish answers as offers do: a text of its own, without model and author."""
    api.store.texts.add(make_text(item, "offer", {"messages": MESSAGES, "text": f"{text} ({item})"}) for item in items)


async def next_of(api: RunningApi, headers: dict[str, str] | None = None, skip: Sequence[str] = ()) -> schemas.NextJudgementView:
    response = await api.client.get("/v1/rating/next", params={"skip": ",".join(skip)} if skip else {}, headers=headers)
    assert response.status_code == 200, response.text
    return schemas.NextJudgementView.model_validate(response.json())


async def post(api: RunningApi, path: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    response = await api.client.post(f"/v1/feedback/{path}", json=body, headers=headers)
    assert response.status_code == 200, response.text
    done: dict[str, Any] = response.json()
    return done


async def wait_for_run(api: RunningApi) -> None:
    """Wait until the consensus in the background has read the whole log."""
    consensus = api.app.state.services.running_consensus
    deadline = time.monotonic() + 20
    while consensus.latest_run.record.up_to < consensus.log.index.last_act_sequence:
        assert time.monotonic() < deadline, "no run followed"
        consensus.request_run()
        await asyncio.sleep(0.05)


async def test_one_thing_at_a_time_until_nothing_is_left(start_api: ApiFactory) -> None:
    async with start_api() as api:
        empty = await next_of(api)
        assert (empty.kind, empty.id, empty.why, empty.team.total) == ("none", "", None, 0)
        offer(api, "o1", "o2")
        first = await next_of(api)
        assert first.item is not None
        assert (first.kind, first.why, first.item.item, first.item.text) == ("answer", "new", "o1", "From China. (o1)")
        assert first.question == "From *where*?"
        assert [(one.role, one.text) for one in first.earlier] == [("user", "What is tea?"), ("assistant", "A drink.")]
        assert (first.left, first.right, first.about, first.round) == (None, None, None, None)
        assert (first.team.judged, first.team.total, first.yours_today) == (0, 2, 0)
        second = await next_of(api, skip=[first.id])
        assert second.item is not None
        assert second.item.item == "o2"
        assert (await next_of(api, skip=[first.id, second.id])).kind == "none"

        rating = await post(api, "ratings", item="o1", value=1)
        after = await next_of(api)
        assert after.id == second.id
        assert (after.yours_today, after.team.judged) == (1, 1)
        await post(api, "ratings", item="o2", value=0)
        assert (await next_of(api)).kind == "none"
        await api.client.delete(f"/v1/feedback/events/{rating['id']}")  # undo
        again = await next_of(api)
        assert (again.id, again.yours_today) == (first.id, 1)


async def test_nothing_says_what_others_think(start_api: ApiFactory) -> None:
    async with start_api() as api:
        headers = [add_person(api.store, name)[1] for name in ("Ann", "Ben", "Cem")]
        offer(api, "o1")
        before = await next_of(api)
        for one in headers:
            await post(api, "ratings", one, item="o1", value=0)
        await wait_for_run(api)
        after = await next_of(api)
        assert (before.why, after.why) == ("new", "most_uncertain")
        assert after.model_dump(exclude={"why", "team"}) == before.model_dump(exclude={"why", "team"})
        assert {"fake-model", "Ann", "owner"}.isdisjoint(after.model_dump_json().split('"'))
        assert after.team.total == 1


@pytest.mark.slow
async def test_pairs_are_shown_in_an_order_that_is_random_but_stays(start_api: ApiFactory) -> None:
    async with start_api() as api:
        people = [add_person(api.store, f"Person {n}")[1] for n in range(12)]
        offer(api, "left", "right")
        await post(api, "comparisons", people[0], left="left", right="right", outcome="left")
        await wait_for_run(api)
        lefts = []
        for headers in people[1:]:
            for item in ("left", "right"):
                await post(api, "ratings", headers, item=item, value=1)
            shown = [await next_of(api, headers) for _ in range(3)]
            assert {one.kind for one in shown} == {"pair"}
            assert len({(one.id, one.left and one.left.item, one.right and one.right.item) for one in shown}) == 1
            assert shown[0].left
            lefts.append(shown[0].left.item)
        assert set(lefts) == {"left", "right"}
        for item in ("left", "right"):
            await post(api, "ratings", people[0], item=item, value=1)
        assert (await next_of(api, people[0])).kind == "none"  # who compared it the other way round is done with it


async def test_private_withdrawn_and_own_texts_are_never_shown(start_api: ApiFactory) -> None:
    async with start_api() as api:
        ann, headers = add_person(api.store, "Ann")
        answer = (await api.chat("A secret question")).json()["id"]
        await post(api, "ratings", item=answer, value=1)
        log = FeedbackLog(api.store)
        others = add_answers(log, ann.id, 2)
        log.rate(ann.id, others[0], 1)
        log.compare(ann.id, others[0], others[1], "left")
        note = log.add_note(ann.id, others[0], "A note that says enough.")
        edit = log.add_edit(ann.id, others[0], "A better answer.")
        await wait_for_run(api)
        assert (await next_of(api, headers)).kind == "none"  # the answers are private, and the texts are her own
        shown = await next_of(api)
        assert shown.item is not None
        assert (shown.kind, shown.item.item, shown.question, shown.about) == ("edit", edit.result, None, None)
        assert "secret" not in shown.model_dump_json()
        log.retract(ann.id, edit.id)
        shown = await next_of(api)
        assert (shown.kind, shown.item and shown.item.item) == ("note", note.note)
        log.retract(ann.id, note.id)
        assert (await next_of(api)).kind == "none"

        offer(api, "o1")
        first = await next_of(api)
        assert first.kind == "answer"
        api.store.texts.delete("o1", actor="test")  # withdrawn by its author
        assert (await next_of(api)).kind == "none"


async def test_a_note_is_shown_with_the_public_answer_that_it_is_about(start_api: ApiFactory) -> None:
    async with start_api() as api:
        ann, _ = add_person(api.store, "Ann")
        offer(api, "o1")
        FeedbackLog(api.store).add_note(ann.id, "o1", "It is from 2019.")
        await post(api, "ratings", item="o1", value=1)
        shown = await next_of(api)
        assert (shown.kind, shown.about, shown.question) == ("note", "From China. (o1)", "From *where*?")


async def test_jurors_are_asked_first_and_once(start_api: ApiFactory) -> None:
    async with start_api() as api:
        ann, headers = add_person(api.store, "Ann")
        offer(api, "o1", "o2", "o3")
        await post(api, "ratings", headers, item="o3", value=1)
        await wait_for_run(api)
        log = FeedbackLog(api.store)
        jury = JuryInvitation(
            id="call", created_utc=log.index.next_event_utc(), actor="yearling", item="o3", jurors=(log.pseudonym(ann.id),)
        )
        append_events(log, [jury])
        shown = await next_of(api, headers)
        assert (shown.why, shown.item and shown.item.item) == ("jury", "o3")
        await post(api, "ratings", headers, item="o3", value=0)
        assert (await next_of(api, headers)).why == "new"


async def test_rounds_that_lack_people_come_before_new_texts(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, headers = add_person(api.store, "Ann")
        moe, author = add_person(api.store, "Moe", "maintainer")
        questions = [RoundQuestion(question="Which tea?", wanted="Oolong.")]
        made = create_round(api.store, moe.id, title="Teas", questions=questions, people_per_pair=1, method="wanted")
        offer(api, "o1")
        assert (await next_of(api, headers)).why == "new"  # the question has no answers yet
        (pair,) = api.store.rounds.pairs([made.id])
        api.store.rounds.record_answers(pair.id, *make_round_answers(moe.id, wanted="Oolong."))
        shown = await next_of(api, headers)
        assert (shown.kind, shown.why, shown.team.total) == ("pair", "round", 2)
        assert shown.round is not None
        assert (shown.round.id, shown.round.title) == (made.id, "Teas")
        assert (await next_of(api, author)).why == "new"  # Moe wrote one of the answers
        assert shown.left is not None
        assert shown.right is not None
        await post(api, "comparisons", headers, left=shown.left.item, right=shown.right.item, outcome="right")
        assert (await next_of(api, headers)).why == "new"
        await wait_for_run(api)
        await post(api, "ratings", author, item="o1", value=1)
        assert (await next_of(api, author)).kind == "none"
        await post(api, "ratings", item="o1", value=1)
        assert (await next_of(api)).why == "most_uncertain"  # enough people have judged it, and one more still helps


@pytest.mark.slow
async def test_the_side_that_is_missing_comes_before_what_is_uncertain(start_api: ApiFactory) -> None:
    async with start_api() as api:
        consensus = api.app.state.services.running_consensus
        log, events = FeedbackLog(api.store), await asyncio.to_thread(simulate_events, num_raters=60)
        ann, headers = add_person(api.store, "Ann")

        rated: set[str] = set()

        def act() -> None:
            append_events(log, events)
            side_of = consensus.run_now().result.side_of
            actors = sorted({event.actor for event in events})
            first, second = [actor for actor in actors if side_of(actor) == 1][:2]
            for number, event in enumerate(events):
                # Who judges as people of side 1 do is on side 1. As a copy of one of them, nobody counts.
                if event.actor == (first if number % 2 else second) and event.item not in rated:
                    rated.add(event.item)
                    log.rate(ann.id, event.item, event.value)
            offer(api, "new", "one-sided")
            example = next(event for event in events if isinstance(event, Rating))
            ratings = [
                replace(example, id=f"x{actor}", created_utc=log.index.next_event_utc(), actor=actor, item="one-sided", value=1.0)
                for actor in [actor for actor in actors if side_of(actor) == 0][:8]
            ]
            append_events(log, ratings)
            consensus.run_now()

        await asyncio.to_thread(act)
        assert consensus.latest_run.snapshot.division.seen
        assert consensus.latest_run.result.side_of(log.pseudonym(ann.id)) == 1
        shown = await next_of(api, headers)
        assert (shown.why, shown.item and shown.item.item) == ("side_missing", "one-sided")
        assert (await next_of(api)).why == "new"  # nobody knows the owner's side


async def test_readers_and_odd_parameters_are_refused(start_api: ApiFactory) -> None:
    async with start_api() as api:
        _, reader = add_person(api.store, "Rea", "reader")
        assert (await api.client.get("/v1/rating/next", headers=reader)).status_code == 403
        guess = {"item": "o1", "guess": "helpful"}
        assert (await api.client.post("/v1/feedback/guesses", json=guess, headers=reader)).status_code == 403
        assert (await api.client.get("/v1/rating/report", headers=reader)).status_code == 200
        one = f"i-{'0' * 24}"
        for skip in ("x", f"{one},", f",{one}", f"{one} {one}", f"{one}\n", ",".join([one] * 101)):
            assert (await api.client.get("/v1/rating/next", params={"skip": skip})).status_code == 400, skip
        assert (await api.client.get("/v1/rating/next", params={"skip": ",".join([one] * 100)})).status_code == 200


@pytest.mark.slow
async def test_every_eighth_judgement_asks_for_a_guess(start_api: ApiFactory) -> None:
    async with start_api() as api:
        items = [f"o{n:02d}" for n in range(17)]
        offer(api, *items)
        asked = []
        for item in items[:-1]:
            asked.append((await next_of(api)).guess)
            await post(api, "ratings", item=item, value=1)
        assert [number for number, is_asked in enumerate(asked, start=1) if is_asked] == [8, 16]


async def test_guesses_are_private_and_count_once_others_have_judged(start_api: ApiFactory) -> None:
    async with start_api() as api:
        headers = [add_person(api.store, name)[1] for name in ("Ann", "Ben", "Cem")]
        offer(api, "o1", "o2")
        made = await post(api, "guesses", item="o1", guess="helpful")
        assert (made["made"], made["counted"], made["right"]) == (1, 0, 0)
        await post(api, "guesses", left="o2", right="o1", guess="left")
        for one in headers:
            await post(api, "ratings", one, item="o1", value=1)
            await post(api, "comparisons", one, left="o1", right="o2", outcome="left")
        report = (await api.client.get("/v1/rating/report")).json()
        assert report["guesses"] == {"object": "rating.guesses", "made": 2, "counted": 2, "right": 1}
        others = (await api.client.get("/v1/rating/report", headers=headers[0])).json()
        assert others["guesses"]["made"] == 0
        log = json.dumps((await api.client.get("/v1/consensus/log")).json())
        assert "guess" not in log
        for body, status in (
            ({"item": "o1", "guess": "not_helpful"}, 409),  # the first guess stays
            ({"left": "o1", "right": "o2", "guess": "left"}, 409),
            ({"item": "o1", "left": "o2", "right": "o1", "guess": "left"}, 400),
            ({"item": "o2", "guess": "left"}, 400),
            ({"left": "o2", "guess": "left"}, 400),
            ({"left": "o2", "right": "o2", "guess": "left"}, 400),
            ({"left": "o1", "right": "o2", "guess": "helpful"}, 400),
            ({"guess": "left"}, 400),
            ({"item": "unknown", "guess": "helpful"}, 404),
        ):
            response = await api.client.post("/v1/feedback/guesses", json=body)
            assert response.status_code == status, (body, response.text)
        answer = (await api.chat("Question")).json()["id"]
        response = await api.client.post("/v1/feedback/guesses", json={"item": answer, "guess": "helpful"})
        assert response.status_code == 404  # nobody else can read it


async def test_guesses_are_exported_and_deleted_with_their_person(start_api: ApiFactory, tmp_path: Any) -> None:
    async with start_api() as api:
        ann, headers = add_person(api.store, "Ann")
        offer(api, "o1")
        await post(api, "guesses", headers, item="o1", guess="helpful")
        with (tmp_path / "export.zip").open("wb") as file:
            assert export_person_data(api.store, ann.id, file)["guesses"] == 1
        api.store.delete_person(ann.id, actor="test")
        assert api.store.guesses.list(ann.id) == []


async def test_report_says_whose_feedback_it_is(start_api: ApiFactory) -> None:
    async with start_api() as api:
        added = [add_person(api.store, name) for name in ("Ann", "Ben", "Cem", "Dan")]
        add_person(api.store, "Rea", "reader")
        offer(api, "o1", "o2")
        for _, headers in added[:2]:
            await post(api, "ratings", headers, item="o1", value=1)
        report = schemas.RaterReportView.model_validate((await api.client.get("/v1/rating/report")).json())
        assert (report.members, report.judged, report.judgements, report.spread) == (5, None, None, None)
        await post(api, "ratings", added[2][1], item="o1", value=0)
        await post(api, "ratings", added[2][1], item="o2", value=0)
        await wait_for_run(api)
        report = schemas.RaterReportView.model_validate((await api.client.get("/v1/rating/report")).json())
        assert (report.members, report.judged, report.judgements, report.sides) == (5, 3, 4, None)
        consensus = (await api.client.get("/v1/consensus")).json()
        assert (consensus["raters"]["seen"], consensus["raters"]["counted"], consensus["raters"]["collapsed"]) == (3, 3, 0)
        assert report.spread is not None
        assert report.spread.effective_people == pytest.approx(16 / 6)
        assert report.agreement is not None
        assert report.agreement.pairs == 3
        assert report.agreement.equal_share == pytest.approx(1 / 3)
        api.store.people.close_account(added[3][0].id, actor="test")
        assert (await api.client.get("/v1/rating/report")).json()["members"] == 4
