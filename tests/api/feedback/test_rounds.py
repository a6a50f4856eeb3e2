"""Question rounds over HTTP: from the questions to the end, blind on the way."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from tests.store.examples import make_graded
from yearling.feedback import pairs_to_judge
from yearling.inference import FakeEngine
from yearling.store import Store, make_text


def numbered_engine() -> FakeEngine:
    numbers = itertools.count()
    return FakeEngine(lambda request, prompt: f"Answer {next(numbers)}")


async def create(api: RunningApi, *questions: str, headers: Any = None, **fields: Any) -> dict[str, Any]:
    body = {"title": "Round", "questions": [{"question": question} for question in questions], **fields}
    response = await api.client.post("/v1/rounds", json=body, headers=headers)
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()
    return made


async def get(api: RunningApi, path: str, headers: Any = None, status: int = 200) -> Any:
    response = await api.client.get(path, headers=headers)
    assert response.status_code == status, response.text
    return response.json()


async def answered(api: RunningApi, round_id: str) -> None:
    api.app.state.services.round_answering.quiet_s = 0.0
    api.app.state.services.round_answering.wake()
    deadline = time.monotonic() + 20
    while (await get(api, f"/v1/rounds/{round_id}"))["state"] == "answering":
        assert time.monotonic() < deadline, "nothing happened in time"
        await asyncio.sleep(0.01)


async def judge(api: RunningApi, headers: Any, left: str | None, right: str | None) -> str:
    body = {"left": left, "right": right, "outcome": "left"}
    response = await api.client.post("/v1/feedback/comparisons", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


@pytest.mark.slow
async def test_three_people_judge_a_round_of_twenty_pairs_to_its_end(start_api: ApiFactory) -> None:
    async with start_api(numbered_engine()) as api:
        people = [add_person(api.store, name) for name in ("Ada", "Ben", "Cleo")]
        _, reader = add_person(api.store, "Rea", "reader")
        log = api.app.state.services.running_consensus.log
        made = await create(api, *(f"Question {number}?" for number in range(20)), people_per_pair=3)
        assert (made["state"], made["progress"]["waiting"], made["to_judge"]) == ("answering", 20, 0)
        await answered(api, made["id"])
        path = f"/v1/rounds/{made['id']}"
        for done, (person, headers) in enumerate(people):
            pairs = pairs_to_judge(log, person.id)
            assert (await get(api, path, headers))["to_judge"] == len(pairs) == 20
            assert (await get(api, path, reader))["to_judge"] == 0
            for count, pair in enumerate(pairs, start=1):
                await judge(api, headers, pair.left_item, pair.right_item)
                view = await get(api, path, headers)
                assert view["progress"]["judgements"] == 20 * done + count
                assert sum(pair["answers"] is not None for pair in view["pairs"]) == (20 if view["state"] == "closed" else count)
            assert view["state"] == ("closed" if done == 2 else "open")
            if done == 0:  # counts before the next consensus run, too
                team = (await get(api, "/v1/rating/next", headers))["team"]
                assert (team["judged"], team["total"]) == (20, 20)
        assert view["progress"] == {
            "pairs": 20,
            "waiting": 0,
            "failed": 0,
            "ready": 20,
            "complete": 20,
            "judgements": 60,
            "people": 3,
        }
        assert view["closed_utc"]
        assert (await get(api, "/v1/rounds"))["data"][0]["state"] == "closed"
        assert len(api.samples()) == 40
        await asyncio.to_thread(api.app.state.services.running_consensus.run_now)
        for asker in (None, people[0][1]):  # who judged the pairs, and who did not, is not asked about each answer by itself
            assert (await get(api, "/v1/feedback/queue", asker))["data"] == []


@pytest.mark.slow
async def test_answers_stay_hidden_until_the_pair_is_judged(start_api: ApiFactory) -> None:
    async with start_api(numbered_engine()) as api:
        (ada, as_ada), (_, as_maintainer) = add_person(api.store, "Ada"), add_person(api.store, "Max", "maintainer")
        made = await create(api, "One?", "Two?", headers=as_maintainer)
        await answered(api, made["id"])
        path = f"/v1/rounds/{made['id']}"
        pair, other = pairs_to_judge(api.app.state.services.running_consensus.log, ada.id)
        for headers in (as_ada, as_maintainer):
            view = await get(api, path, headers)
            assert [row["answers"] for row in view["pairs"]] == [None, None]
            assert [row["question"] for row in view["pairs"]] == ["One?", "Two?"]
            assert view["yours"] == (headers is as_maintainer)
            assert "Answer" not in str(view)
        event = await judge(api, as_ada, pair.left_item, pair.right_item)
        rows = {row["id"]: row for row in (await get(api, path, as_ada))["pairs"]}
        assert {answer["text"] for answer in rows[pair.id]["answers"]} <= {f"Answer {number}" for number in range(4)}
        assert [answer["item"] for answer in rows[pair.id]["answers"]] == [pair.left_item, pair.right_item]
        assert (rows[pair.id]["judged"], rows[other.id]["answers"]) == (True, None)
        assert (rows[pair.id]["preferences"], rows[other.id]["preferences"]) == ({"first": 1, "second": 0, "equal": 0}, None)
        assert "Answer" not in str(await get(api, path, as_maintainer))
        response = await api.client.delete(f"/v1/feedback/events/{event}", headers=as_ada)
        assert response.status_code == 200
        assert "Answer" not in str(await get(api, path, as_ada))
        response = await api.client.post(f"{path}/close", headers=as_maintainer)
        assert (response.status_code, response.json()["state"]) == (200, "closed")
        assert "Answer" in str(await get(api, path, as_maintainer))


async def test_deleting_a_round_keeps_judgements_without_words(start_api: ApiFactory) -> None:
    async with start_api(numbered_engine()) as api:
        ada, as_ada = add_person(api.store, "Ada")
        made = await create(api, "One?")
        await answered(api, made["id"])
        log = api.app.state.services.running_consensus.log
        (pair,) = pairs_to_judge(log, ada.id)
        event = await judge(api, as_ada, pair.left_item, pair.right_item)
        response = await api.client.delete(f"/v1/rounds/{made['id']}")
        assert response.status_code == 200, response.text
        await get(api, f"/v1/rounds/{made['id']}", status=404)
        assert api.samples() == []
        assert log.index.get_event(event).left == pair.left_item
        response = await api.client.post(
            "/v1/feedback/comparisons", json={"left": pair.left_item, "right": pair.right_item, "outcome": "tie"}, headers=as_ada
        )
        assert response.status_code == 404


@pytest.mark.parametrize("role", ["reader", "member"])
async def test_only_maintainers_make_and_end_rounds(start_api: ApiFactory, role: Any) -> None:
    async with start_api() as api:
        _, headers = add_person(api.store, "Ada", role)
        made = await create(api, "One?")
        assert (await get(api, "/v1/rounds", headers))["data"][0]["id"] == made["id"]
        calls = [
            ("POST", "/v1/rounds", {"title": "x", "questions": [{"question": "x"}]}),
            ("POST", "/v1/rounds/questions", {"csv": "x"}),
            ("GET", "/v1/rounds/suggestions?source=spec", None),
            ("POST", f"/v1/rounds/{made['id']}/close", None),
            ("DELETE", f"/v1/rounds/{made['id']}", None),
        ]
        for method, path, body in calls:
            assert (await api.client.request(method, path, json=body, headers=headers)).status_code == 403, path


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"title": "  "}, "title"),
        ({"questions": []}, "questions"),
        ({"questions": [{"question": "x"}] * 201}, "questions"),
        ({"questions": [{"question": "x" * 2001}]}, "questions[0].question"),
        ({"questions": [{"question": "x", "answer": "y" * 8001}], "method": "wanted"}, "questions[0].answer"),
        ({"questions": [{"question": "x", "answer": "y"}]}, "questions"),
        ({"people_per_pair": 0}, "people_per_pair"),
        ({"method": "models", "models": ["fake-model"]}, "models"),
        ({"method": "models", "models": ["fake-model", "unknown"]}, "models"),
        ({"method": "votes"}, "method"),
    ],
)
async def test_invalid_rounds_are_refused(start_api: ApiFactory, changes: dict[str, Any], param: str) -> None:
    async with start_api() as api:
        body = {"title": "Round", "questions": [{"question": "One?"}], **changes}
        response = await api.client.post("/v1/rounds", json=body)
        assert response.status_code in (400, 404)
        assert response.json()["error"]["param"] == param
        assert (await get(api, "/v1/rounds"))["data"] == []


async def test_questions_are_read_from_a_file(start_api: ApiFactory) -> None:
    async with start_api() as api:
        response = await api.client.post("/v1/rounds/questions", json={"csv": 'question,answer\n"One, two?",Yes\n'})
        assert response.json()["data"] == [{"question": "One, two?", "answer": "Yes"}]
        response = await api.client.post("/v1/rounds/questions", json={"csv": "One?\nTwo, three, four?\n"})
        assert (response.status_code, response.json()["error"]["message"][:6]) == (400, "Line 2")
        response = await api.client.post("/v1/rounds/questions", json={"csv": "x" * 1_000_001})
        assert response.status_code == 400


@pytest.mark.slow
async def test_suggestions_come_from_spec_exams_and_offers(start_api: ApiFactory) -> None:
    async with start_api() as api:
        spec = await get(api, "/v1/rounds/suggestions?source=spec")
        assert len(spec["data"]) > 50
        assert {row["exam"] for row in spec["data"]} == {"spec"}
        assert not all(row["gives_lessons"] for row in spec["data"])
        assert not any(row["gives_lessons"] for row in spec["data"] if len(row["question"].split()) >= 5)
        assert (await get(api, "/v1/rounds/suggestions?source=offers"))["data"] == []
        assert (await get(api, "/v1/rounds/suggestions?source=exams"))["data"] == []
        _add_offers_and_exams(api.store)
        offers = await get(api, "/v1/rounds/suggestions?source=offers")
        assert [row["question"] for row in offers["data"]] == ["Offered?"]
        exams = await get(api, "/v1/rounds/suggestions?source=exams")
        assert [(row["question"], row["exam"]) for row in exams["data"]] == [("Own?", "own")]
        assert exams["left_out"] == 1
        await get(api, "/v1/rounds/suggestions?source=other", status=400)


def _add_offers_and_exams(store: Store) -> None:
    """Offers, one without a question; and exams: one of another author, one that decided about a release, one that did not."""
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": " Offered? "}]
    store.texts.add(
        [
            make_text("offer-1", "offer", {"messages": messages, "text": "Yes."}),
            make_text("offer-2", "offer", {"text": "No question."}),
            make_text("answer", "answer", {"messages": messages, "text": "Yes."}),
        ]
    )
    for exam, grader, question in (("theirs", "number@1", "Theirs?"), ("gate", "checks@2", "Gate?"), ("own", "checks@2", "Own?")):
        run = store.exams.start_run(
            exam=exam,
            exam_hash="ab" * 32,
            subject="assistant",
            model="m",
            model_hash="m",
            grader=grader,
            seed=0,
            num_samples=2,
            settings={"title": exam.title()},
        )
        asked = ({"role": "system", "content": "s", "source": "spec"}, {"role": "user", "content": question})
        with_context = ({"role": "system", "content": "Be rude."}, {"role": "user", "content": "Context?"})
        store.exams.add_samples(
            run.id, [make_graded(case_key="1", messages=asked), make_graded(case_key="2", messages=with_context)]
        )
    store.gates.record(
        champion="a", challenger="b", decision="pass", body={"findings": [{"exam": "gate", "role": "target"}]}, actor="test"
    )
