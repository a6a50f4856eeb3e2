"""The task that answers questions: nobody waits for it, a restart loses nothing, and no failure stops it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from yearling.api.feedback import round_answering
from yearling.api.feedback.round_answering import CUT_OFF_ERROR, EMPTY_ERROR, EQUAL_ERROR, STOPPED_ERROR, RoundAnswering
from yearling.api.http.metrics import ServerMetrics
from yearling.api.services import AdmissionController
from yearling.chat import SPEC_SYSTEM_MESSAGE
from yearling.errors import StorageFailed
from yearling.feedback import FeedbackLog, create_round
from yearling.inference import EnginePool, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.store import Round, RoundPair, RoundQuestion, Store
from yearling.tasks.active_judgements import ActiveJudgements
from yearling.tasks.item_answers import ItemAnswer, find_item_answers


@pytest.fixture
def log(tmp_path: Any) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


def by_question(*answers: str | ScriptedAnswer) -> FakeEngine:
    """An engine that gives these answers to each question in turn, and the last one again and again."""
    asked: dict[str, int] = {}

    def answer(_: Any, prompt: str) -> str | ScriptedAnswer:
        question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        asked[question] = asked.get(question, 0) + 1
        return answers[min(asked[question], len(answers)) - 1]

    return FakeEngine(answer, max_sequences=1)


@asynccontextmanager
async def answering(
    log: FeedbackLog, engine: FakeEngine, other: FakeEngine | None = None
) -> AsyncGenerator[tuple[RoundAnswering, AdmissionController], None]:
    pool = EnginePool.from_open_models([fake_served_model("fake", engine), fake_served_model("other", other or FakeEngine())])
    admission = AdmissionController(8, ServerMetrics(pool.status))
    task = RoundAnswering(
        log, pool, admission, owner_id=log.store.people.owner().id, quiet_s=0.0, retry_pause_s=0.0, idle_poll_s=60.0
    )
    task.start()
    try:
        yield task, admission
    finally:
        await task.close()
        assert engine.active == 0


def ask(log: FeedbackLog, *questions: str, wanted: str = "", **values: Any) -> Round:
    entries = [RoundQuestion(question=question, wanted=wanted) for question in questions]
    method = "wanted" if wanted else "sampling"
    owner = log.store.people.owner().id
    return create_round(log.store, owner, **{"title": "Round", "questions": entries, "method": method, **values})


async def wait_for(check: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not await asyncio.to_thread(check):
        assert time.monotonic() < deadline, "nothing happened in time"
        await asyncio.sleep(0.005)


async def answered(log: FeedbackLog, record: Round) -> list[RoundPair]:
    await wait_for(lambda: log.store.rounds.get(record.id).state != "answering")
    return log.store.rounds.pairs([record.id])


def text_of(store: Store, item: str | None) -> Any:
    return store.texts.get(item or "").content["text"]


async def test_each_question_gets_two_different_answers_with_samples_and_public_texts(log: FeedbackLog) -> None:
    record = ask(log, "One?", "Two?")
    async with answering(log, by_question("First.", "Second.")) as (task, _):
        pairs = await answered(log, record)
        assert [pair.state for pair in pairs] == ["ready", "ready"]
        log.store.rounds.close(record.id, actor="test")
        task.wake()
    store, items = log.store, [item or "" for pair in pairs for item in (pair.left_item, pair.right_item)]
    assert store.samples.count() == len(store.texts.list()) == 4
    for pair in pairs:
        assert {text_of(store, pair.left_item), text_of(store, pair.right_item)} == {"First.", "Second."}
        assert pair.attempts == 1
    for item in items:
        sample = store.samples.get(item, person_id=record.person_id)
        text = store.texts.get(item)
        assert (sample.kept, text.kind, text.person_id) == ("full", "answer", None)
        assert sample.output_text == text.content["text"]
        assert text.content["messages"] == list(sample.messages)
        assert [message["content"] for message in sample.messages] == [SPEC_SYSTEM_MESSAGE, sample.messages[1]["content"]]
        assert sample.sampling.temperature == round_answering.DISTINCT_TEMPERATURE
    assert len({store.samples.get(item, person_id=record.person_id).sampling.seed for item in items}) == 4


async def test_answers_are_kept_in_full_whatever_the_retention_setting_says(log: FeedbackLog) -> None:
    log.store.samples.retention = "none"
    record = ask(log, "One?")
    async with answering(log, by_question("First.", "Second.")):
        (pair,) = await answered(log, record)
    answers = find_item_answers(log.store, [pair.left_item or "", pair.right_item or ""], ActiveJudgements())
    assert all(isinstance(answer, ItemAnswer) and answer.answer_ids for answer in answers.values())


async def test_wanted_answer_stands_beside_one_of_the_model_after_the_same_prompt(log: FeedbackLog) -> None:
    record = ask(log, "One?", wanted="What I want.")
    async with answering(log, by_question("What I want.", " What I want. ", "Something else.")):
        (pair,) = await answered(log, record)
    texts = [log.store.texts.get(item or "") for item in (pair.left_item, pair.right_item)]
    assert {text.content["text"]: text.person_id for text in texts} == {
        "What I want.": record.person_id,
        "Something else.": None,
    }
    first, second = find_item_answers(log.store, [text.id for text in texts], ActiveJudgements()).values()
    assert isinstance(first, ItemAnswer)
    assert isinstance(second, ItemAnswer)
    assert first.messages == second.messages
    assert log.store.samples.count() == 1


async def test_two_models_answer_the_same_prompt_in_random_order(log: FeedbackLog) -> None:
    questions = [f"Question {number}?" for number in range(12)]
    record = ask(log, *questions, method="models", models=["fake", "other"])
    async with answering(log, FakeEngine(["Mine."]), FakeEngine(["Theirs."])):
        pairs = await answered(log, record)
    lefts = {text_of(log.store, pair.left_item) for pair in pairs}
    firsts = {text_of(log.store, min(pair.left_item or "", pair.right_item or "")) for pair in pairs}
    assert lefts == firsts == {"Mine.", "Theirs."}  # ids sort by time, so a fixed order would tell the model


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (("Same.",), EQUAL_ERROR),
        ((" ",), EMPTY_ERROR),
        ((ScriptedAnswer("For ever. ", end_of_turn=False),), CUT_OFF_ERROR),
        ((ScriptedAnswer("Fails.", fail_after=2),), "The model stopped unexpectedly and has been restarted."),
    ],
)
async def test_pair_fails_after_three_attempts_with_a_reason(
    log: FeedbackLog, answers: tuple[Any, ...], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round_answering, "MAX_ANSWER_TOKENS", 20)
    record = ask(log, "One?")
    async with answering(log, by_question(*answers)):
        (pair,) = await answered(log, record)
        assert (pair.state, pair.error, pair.attempts) == ("failed", error, 3)
        # A round without a single pair to judge has ended.
        await wait_for(lambda: log.store.rounds.get(record.id).state == "closed")
    assert log.store.samples.count() == 0
    assert log.store.texts.list() == []


async def test_failure_of_one_model_or_one_question_does_not_stop_the_others(log: FeedbackLog) -> None:
    gone = ask(log, "One?", method="models", models=["fake", "uninstalled"])
    good = ask(log, "Two?")
    calls = iter([RuntimeError("a bug")])

    def answer(request: Any, prompt: str) -> str:
        if error := next(calls, None):
            raise error
        return f"Answer {request.sampling.seed}"

    async with answering(log, FakeEngine(answer)):
        assert (await answered(log, gone))[0].error.startswith("The model 'uninstalled'")
        assert (await answered(log, good))[0].state == "ready"


async def test_interrupted_pair_is_answered_later_and_leaves_no_second_samples(log: FeedbackLog) -> None:
    slow = ScriptedAnswer("A slow answer.", delay_s=0.05)
    record = ask(log, "One?")
    engine = by_question("First.", slow, "Second.")
    async with answering(log, engine) as (_, admission):
        await wait_for(lambda: engine.active and len(engine.requests) == 2)
        served = fake_served_model("fake", engine)
        reservation = admission.reserve_answers(served, 1)
        started = time.perf_counter()
        await wait_for(lambda: engine.active == 0)
        assert time.perf_counter() - started < 0.3, "a request waited for the answer of a round"
        await asyncio.sleep(0.05)
        assert (engine.active, engine.cancelled, len(engine.requests)) == (0, 1, 2), "it goes on only when nobody generates"
        assert log.store.rounds.pairs([record.id])[0].attempts == 0
        reservation.release()
        (pair,) = await answered(log, record)
    assert {text_of(log.store, pair.left_item), text_of(log.store, pair.right_item)} == {"First.", "Second."}
    assert len(engine.requests) == 3, "the finished answer was kept"
    assert log.store.samples.count() == len(log.store.texts.list()) == 2
    assert pair.attempts == 1


async def test_nothing_starts_before_it_has_been_quiet_for_a_while(log: FeedbackLog) -> None:
    engine = by_question("First.", "Second.")
    record = ask(log, "One?")
    async with answering(log, FakeEngine()) as (_, admission):
        assert admission.quiet_s < 5
    async with answering(log, engine) as (task, admission):
        task.quiet_s = 0.3
        admission.reserve_answers(fake_served_model("fake", engine), 1).release()
        await asyncio.sleep(0.1)
        assert engine.requests == []
        await answered(log, record)


async def test_restart_goes_on_where_it_stopped(log: FeedbackLog) -> None:
    record = ask(log, "One?", "Two?", "Three?")
    slow = by_question("First.", ScriptedAnswer("Second.", delay_s=0.02))
    async with answering(log, slow):
        await wait_for(lambda: len(slow.requests) == 4 and slow.active)
        started = time.perf_counter()
    assert time.perf_counter() - started < 1, "stopping took long"
    states = [pair.state for pair in log.store.rounds.pairs([record.id])]
    assert states == ["ready", "waiting", "waiting"]
    assert log.store.rounds.pairs([record.id])[1].attempts == 0
    assert log.store.samples.count() == 2
    before = log.store.rounds.pairs([record.id])[0]
    async with answering(log, by_question("First.", "Second.")):
        pairs = await answered(log, record)
    assert pairs[0] == before
    assert [pair.state for pair in pairs] == ["ready"] * 3
    assert log.store.samples.count() == len(log.store.texts.list()) == 6


async def test_question_that_stops_the_process_is_given_up(log: FeedbackLog) -> None:
    record = ask(log, "One?", "Two?")
    for _ in range(3):  # a process that is killed records no outcome
        log.store.rounds.begin_attempt(log.store.rounds.pairs([record.id])[0].id)
    engine = by_question("First.", "Second.")
    async with answering(log, engine):
        first, second = await answered(log, record)
    assert (first.state, first.error) == ("failed", STOPPED_ERROR)
    assert second.state == "ready"
    assert len(engine.requests) == 2


async def test_closed_or_deleted_round_is_not_answered(log: FeedbackLog) -> None:
    closed, deleted, last = ask(log, "One?"), ask(log, "Two?"), ask(log, "Three?")
    log.store.rounds.close(closed.id, actor="test")
    engine = by_question(ScriptedAnswer("Slow.", delay_s=0.05), "Second.", "Third.")
    async with answering(log, engine) as (task, _):
        await wait_for(lambda: engine.active)
        await asyncio.to_thread(log.store.rounds.delete, deleted.id, actor="test")
        task.interrupt()
        await answered(log, last)
    assert all("Two?" not in str(text.content) for text in log.store.texts.list())
    assert log.store.rounds.pairs([closed.id])[0].state == "waiting"


async def test_error_of_the_storage_ends_nothing(log: FeedbackLog, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [StorageFailed("The disk is full."), RuntimeError("a bug")]
    find = log.store.rounds.next_waiting

    def next_waiting() -> Any:
        if errors:
            raise errors.pop()
        return find()

    monkeypatch.setattr(log.store.rounds, "next_waiting", next_waiting)
    record = ask(log, "One?")
    async with answering(log, by_question("First.", "Second.")):
        assert (await answered(log, record))[0].state == "ready"
    assert errors == []
