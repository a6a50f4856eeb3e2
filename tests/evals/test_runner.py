"""Exam runs: paired, stored once, resumed, and the same however they are interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.evals.sample_exams import UnprovenContains, make_exam, wrong_on
from yearling.config import Settings
from yearling.errors import BadInput, Unavailable
from yearling.evals import (
    AssistantSubject,
    Case,
    EngineSubject,
    Exam,
    SubjectResponse,
    compare_runs,
    find_gating_objection,
    regrade_run,
    run_exam,
)
from yearling.inference import FakeEngine, ScriptedAnswer, fake_served_model
from yearling.records import SamplingSettings
from yearling.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


async def test_run_stores_questions_answers_and_verdicts(store: Store) -> None:
    exam = make_exam(6, samples_per_case=2)
    run = await run_exam(exam, EngineSubject(wrong_on(3)), store)
    samples = store.exams.list_samples(run.id)
    assert len(samples) == 12
    assert {sample.case_key for sample in samples if sample.score == 0} == {"case 3"}
    first = samples[0]
    assert first.prompt_ids
    assert first.output_text == "Say 0!"
    assert bytes(first.output_ids[:6]) == b"Say 0!"
    assert first.grader == "contains@1"
    assert first.seed == exam.sample_seed(0, exam.cases[0], 0) != samples[1].seed
    assert run.summary["samples"] == 12
    assert run.summary["measures"][0]["value"] == pytest.approx(10 / 12)
    assert run.summary["draws"]["worst"] == pytest.approx(5 / 6)
    assert run.summary["parts"]["even"]["value"] == 1.0
    assert run.summary["measures"][1]["name"] == "letters"


async def test_assistant_subject_adds_its_system_message_and_stores_nothing_among_peoples_samples(store: Store) -> None:
    run = await run_exam(make_exam(2), AssistantSubject(wrong_on()), store)
    sample = store.exams.list_samples(run.id)[0]
    assert [message["role"] for message in sample.messages] == ["system", "user"]
    assert len(sample.logprobs) == len(sample.output_ids) > 0
    assert store.samples.count() == 0
    bare = await run_exam(make_exam(2), EngineSubject(wrong_on()), store)
    assert len(store.exams.list_samples(bare.id)[0].prompt_ids) < len(sample.prompt_ids)


async def test_repeated_runs_give_the_same_verdicts(store: Store) -> None:
    runs = [await run_exam(make_exam(), EngineSubject(wrong_on(1)), store, fresh=True) for _ in range(3)]
    verdicts = [[(s.case_key, s.seed, s.output_ids, s.verdict) for s in store.exams.list_samples(run.id)] for run in runs]
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert runs[0].summary == runs[2].summary


@pytest.mark.parametrize("alone", [True, False])
async def test_engine_that_repeats_only_alone_is_asked_one_case_at_a_time(store: Store, alone: bool) -> None:
    engine = FakeEngine([ScriptedAnswer("Say 0!", delay_s=0.001)])
    engine.capabilities = replace(engine.capabilities, repeats_only_alone=alone)
    max_active = num_active = 0

    class CountingSubject(EngineSubject):
        async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
            nonlocal max_active, num_active
            num_active += 1
            max_active = max(max_active, num_active)
            try:
                return await super().respond(case, sampling)
            finally:
                num_active -= 1

    await run_exam(make_exam(6), CountingSubject(fake_served_model(engine=engine)), store)
    assert (max_active == 1) == alone


async def test_interrupted_run_resumes_with_the_missing_samples(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.evals.subject.RETRY_PAUSE_S", 0.0)
    exam = make_exam(40)
    prompts: list[str] = []

    def subject(fail_after: int) -> EngineSubject:
        def answer(_: object, prompt: str) -> str | ScriptedAnswer:
            prompts.append(prompt)
            return ScriptedAnswer("x", fail_after=0) if len(prompts) > fail_after else ScriptedAnswer("Say", end_of_turn=True)

        return EngineSubject(fake_served_model(engine=FakeEngine(answer, model_hash="same")))

    with pytest.raises(Unavailable):
        await run_exam(exam, subject(25), store, concurrency=1)
    open_run = store.exams.list()[0]
    before = store.exams.list_samples(open_run.id)
    assert len(before) == 25
    prompts.clear()
    run = await run_exam(exam, subject(10_000), store, concurrency=4)
    assert run.id == open_run.id
    assert len(prompts) == 15
    after = {sample.case_key: sample for sample in store.exams.list_samples(run.id)}
    assert len(after) == 40
    assert all(after[sample.case_key] == sample for sample in before)


async def test_no_sample_is_lost_when_some_are_stored_while_others_are_drawn(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yearling.evals.runner.FLUSH_S", 0.005)
    engine = FakeEngine(lambda _, prompt: ScriptedAnswer("x", first_delay_s=0.002 * (len(prompt) % 7)))
    run = await run_exam(make_exam(150), EngineSubject(fake_served_model(engine=engine)), store)
    assert len(store.exams.stored_sample_keys(run.id)) == 150


async def test_unanswerable_and_ungradable_cases_fail_with_their_boundary_and_reason(store: Store) -> None:
    cases = (
        Case(key="long", messages=({"role": "user", "content": "x" * 5000},), data={"word": "x"}),
        Case(key="defect", messages=({"role": "user", "content": "x"},), data={"raises": True}),
    )
    run = await run_exam(make_exam(cases=cases), EngineSubject(wrong_on()), store)
    defect, long = store.exams.list_samples(run.id)
    assert (long.verdict["boundary"], defect.verdict["boundary"]) == ("engine", "grader")
    assert "context" in long.error
    assert defect.error == "ValueError: a defect"
    assert run.summary["errors"] == 2
    assert regrade_run(make_exam(cases=cases), store, run.id).changed == ()


async def test_regrading_finds_a_changed_grader(store: Store) -> None:
    exam = make_exam(4)
    run = await run_exam(exam, EngineSubject(wrong_on(2)), store)
    assert regrade_run(exam, store, run.id).changed == ()
    exam.grader.grade = lambda case, response: type(exam.grader)().grade(case, SubjectResponse(text="Say 1!"))  # type: ignore[method-assign]
    assert len(regrade_run(exam, store, run.id).changed) == 3


async def test_comparison_pairs_runs_case_by_case(store: Store) -> None:
    exam = make_exam(60)
    champion = await run_exam(exam, EngineSubject(wrong_on(*range(0, 60, 3))), store)
    challenger = await run_exam(exam, EngineSubject(wrong_on(1)), store)
    comparison = compare_runs(store, champion.id, challenger.id)
    assert comparison.interval.value == pytest.approx(19 / 60)
    assert (comparison.paired.wins, comparison.paired.losses) == (20, 1)
    assert [pair.key for pair in comparison.most_changed(better=False)] == ["case 1"]
    assert comparison.most_changed(better=True)[0].champion_text == "No."
    assert comparison.paired.p_better < 0.001
    assert compare_runs(store, challenger.id, champion.id).paired.p_worse < 0.001


async def test_exam_whose_grader_is_unproven_may_decide_nothing(store: Store) -> None:
    objections = []
    for exam in (make_exam(8), make_exam(8, name="unproven", grader=UnprovenContains())):
        champion, challenger = [await run_exam(exam, EngineSubject(served), store) for served in (wrong_on(0, 1), wrong_on())]
        objections.append(find_gating_objection(compare_runs(store, champion.id, challenger.id)))
    assert objections == ["", "its grader (contains@1) has not passed its own exam"]


async def test_runs_of_different_exams_cannot_be_compared(store: Store) -> None:
    run = await run_exam(make_exam(6), EngineSubject(wrong_on()), store)
    other = await run_exam(make_exam(6, sampling={"temperature": 1.0}), EngineSubject(wrong_on()), store)
    with pytest.raises(BadInput, match="paired"):
        compare_runs(store, run.id, other.id)


async def test_options_are_answered_by_log_probability(store: Store) -> None:
    case = Case(key="a", messages=({"role": "user", "content": "?"},), options=("yes", "no"), data={"word": "no"})
    response = await EngineSubject(wrong_on()).respond(case, SamplingSettings())
    assert len(response.option_logprobs) == 2
    assert response.option_tokens == (3, 2)
    assert response.text == "no"
    served = await AssistantSubject(wrong_on()).respond(case, SamplingSettings())
    assert len(served.prompt_ids) > len(response.prompt_ids)


def test_invalid_exams_are_rejected() -> None:
    case = make_exam(1).cases[0]
    for changes in ({"cases": ()}, {"cases": (case, case)}, {"samples_per_case": 0}, {"sampling": {"seed": 1}}):
        with pytest.raises(BadInput):
            make_exam(**changes)


def test_hash_covers_everything_that_decides_a_verdict() -> None:
    def exam(**changes: object) -> Exam:
        return make_exam(2, **changes)

    hashes = {
        exam().hash,
        exam(samples_per_case=2).hash,
        exam(sampling={"temperature": 1.0}).hash,
        exam(cases=make_exam(3).cases).hash,
    }
    assert len(hashes) == 4
    assert exam().hash == exam(title="Other").hash
