"""Triage of answers: by case, over draws, in a run against an assistant, and again from stored outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evals.spec.test_check import CASE, CASES, write_spec
from yearling.chat import SPEC_SYSTEM_MESSAGE, BehaviourSpec, SpecCase, read_spec
from yearling.config import Settings
from yearling.errors import BadInput, NotFound, Unavailable
from yearling.evals import AssistantSubject, compare_runs, regrade_spec_outputs, run_spec, worst_outputs
from yearling.evals.spec.triage import SpecAnswer, is_case_met, summarise_spec, triage_case, twin_gap, twin_messages
from yearling.inference import FakeEngine, ScriptedAnswer, fake_served_model
from yearling.store import Store

PASSES = "  pass: {confident_wrong: 0.25, twin_gap: 0.5}\n"


@pytest.fixture
def spec(tmp_path: Path) -> BehaviourSpec:
    assert write_spec(tmp_path, CASES.replace("  score:", PASSES + "  score:", 1)) == []
    return read_spec(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened


def make_answers(case: SpecCase, *pairs: tuple[str, str]) -> list[SpecAnswer]:
    return [
        SpecAnswer(case_id=case.id, twin=twin, draw=draw, text=text)
        for draw, pair in enumerate(pairs)
        for twin, text in enumerate(pair)
    ]


def test_failing_answers_are_triaged_as_bug_policy_or_gap(spec: BehaviourSpec) -> None:
    case = spec.cases[1]
    outputs = triage_case(
        case,
        make_answers(
            case,
            ("I don't know of it.", "In 1648."),
            ("It ended in 1652.", "I think in 1648."),
            ("Perhaps in 1652.", "I don't know."),
        ),
    )
    assert [(output.label, output.triage, output.score) for output in outputs] == [
        ("says_unknown", "passed", 1.0),
        ("confident_right", "passed", 1.0),
        ("confident_wrong", "bug", -2.0),
        ("hedged_right", "policy", 0.8),
        ("hedged_wrong", "gap", -0.5),
        ("abstain", "gap", 0.3),
    ]
    assert [output.label for output in worst_outputs(outputs, 2)] == ["confident_wrong", "hedged_wrong"]


def test_case_is_met_within_its_rates_or_otherwise_without_a_bug(spec: BehaviourSpec) -> None:
    strict, lenient = spec.cases[1], spec.cases[0]
    right, wrong = ("I don't know.", "1648."), ("In 1652.", "1648.")
    assert is_case_met(strict, triage_case(strict, make_answers(strict, right, right))) is True
    assert is_case_met(strict, triage_case(strict, make_answers(strict, right, wrong))) is False
    assert (
        is_case_met(lenient, triage_case(lenient, make_answers(lenient, right, wrong))) is True
    )  # one of four, and a gap of one half
    assert is_case_met(lenient, triage_case(lenient, make_answers(lenient, wrong, wrong))) is False


def test_twin_gap_distinguishes_discernment_from_blanket_behaviour(spec: BehaviourSpec) -> None:
    case = spec.cases[0]
    gaps = [
        twin_gap(triage_case(case, make_answers(case, pair)))
        for pair in (("I don't know.", "1648."), ("I don't know.", "I don't know."), ("In 1652.", "1648."))
    ]
    assert gaps == [1.0, 0.0, 0.0]


def test_engine_failure_is_data(spec: BehaviourSpec) -> None:
    case = spec.cases[1]
    failed = SpecAnswer(case_id=case.id, twin=0, draw=0, text="", error="engine: it crashed")
    (output,) = triage_case(case, [failed])
    assert (output.label, output.triage, output.evidence) == ("engine_failed", "gap", "engine: it crashed")


def test_cases_for_a_person_are_not_judged(tmp_path: Path) -> None:
    person = '- {id: a.b.009, clause: calibrated, grader: person, judge: person, twins: [{user: "A"}, {user: "B"}]}\n'
    write_spec(tmp_path, CASES + person)
    spec = read_spec(tmp_path)
    outputs = triage_case(spec.cases[-1], make_answers(spec.cases[-1], ("Well.", "")))
    assert [(output.label, output.triage) for output in outputs] == [("unjudged", "person")] * 2
    summary = summarise_spec(spec, outputs)["all"]
    assert (summary["person"], summary["cases"], summary["mean_score"]) == (2, 0, None)


def test_confidence_is_requested_in_the_language_of_the_case(tmp_path: Path) -> None:
    write_spec(tmp_path, (CASE % 1).replace("  twins:", "  ask_confidence: true\n  twins:"))
    (case,) = read_spec(tmp_path).cases
    assert twin_messages(case, 0)[-1]["content"] == "Which year?\n\nSay how confident you are, as a percentage."
    assert case.twins[0].question == "Which year?"


def answer_by_question(_: Any, prompt: str) -> str | ScriptedAnswer:
    return "In 1648." if "哪一年" in prompt else "It ended in 1652."


async def test_run_asks_the_assistant_as_served_and_stores_an_exam_run(spec: BehaviourSpec, store: Store) -> None:
    engine = FakeEngine(answer_by_question)
    subject = AssistantSubject(fake_served_model("fake-model", engine))
    progress: list[tuple[int, int]] = []
    report = await run_spec(
        subject, spec, store, samples=2, parallel=3, progress=lambda done, total: progress.append((done, total))
    )
    assert progress[-1] == (12, 12)
    assert sorted((output.case_id, output.draw, output.twin) for output in report.outputs) == [
        (case.id, draw, twin) for case in sorted(spec.cases, key=lambda case: case.id) for draw in range(2) for twin in range(2)
    ]
    assert Counter((output.triage, output.twin) for output in report.outputs) == {("bug", 0): 6, ("passed", 1): 6}
    assert report.summary["clauses"]["calibrated"]["bug"] == 6
    assert report.summary["all"]["labels"] == {"confident_right": 6, "confident_wrong": 6}
    assert len({request.sampling.seed for request in engine.requests}) == 12
    assert {(request.sampling.temperature, request.sampling.top_p) for request in engine.requests} == {(0.2, 0.9)}
    run = store.exams.get(report.settings["exam_run"])
    metrics = {metric["name"]: metric["value"] for metric in run.summary["measures"]}
    assert (metrics["score"], metrics["passed"], metrics["bug"]) == (pytest.approx((1 - 2) / 2), 0.5, 0.5)
    assert store.exams.list_samples(run.id)[0].messages[0] == {"role": "system", "content": SPEC_SYSTEM_MESSAGE, "source": "spec"}
    assert store.samples.count() == 0, "exam answers are not stored among people's samples"
    repeated = await run_spec(subject, spec, store, samples=2)
    assert repeated.summary == report.summary
    assert compare_runs(store, run.id, repeated.settings["exam_run"]).paired.n == len(spec.cases)
    stored = store.spec_runs.add(
        report.outputs, model="m", model_hash="h", spec_version="v", cases_hash="c", settings={}, summary=report.summary
    )
    regraded = regrade_spec_outputs(spec, store.spec_runs.list_outputs(stored.id))
    assert regraded.summary == report.summary
    assert {output.id for output in regraded.outputs}.isdisjoint(output.id for output in report.outputs)


async def test_interrupted_run_resumes(spec: BehaviourSpec, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yearling.evals.subject.RETRY_PAUSE_S", 0.0)
    prompts: list[str] = []

    def subject_that_fails_after(count: int) -> AssistantSubject:
        def answer(_: Any, prompt: str) -> str | ScriptedAnswer:
            prompts.append(prompt)
            return ScriptedAnswer("x", fail_after=0) if len(prompts) > count else answer_by_question(_, prompt)

        return AssistantSubject(fake_served_model("fake-model", FakeEngine(answer, model_hash="same")))

    with pytest.raises(Unavailable):
        await run_spec(subject_that_fails_after(4), spec, store, parallel=1)
    prompts.clear()
    report = await run_spec(subject_that_fails_after(100), spec, store)
    assert len(prompts) == 2
    assert len(report.outputs) == 6
    assert len(store.exams.list()) == 1


async def test_unanswerable_case_is_a_gap_with_its_reason(spec: BehaviourSpec, store: Store) -> None:
    engine = FakeEngine(answer_by_question, context_tokens=40)
    report = await run_spec(AssistantSubject(fake_served_model("fake-model", engine)), spec, store)
    assert {(output.label, output.triage) for output in report.outputs} == {("engine_failed", "gap")}
    assert "context" in report.outputs[0].evidence
    with pytest.raises(NotFound):
        await run_spec(AssistantSubject(fake_served_model()), spec, store, clauses=["unheard-of"])
    with pytest.raises(BadInput):
        await run_spec(AssistantSubject(fake_served_model()), spec, store, samples=0)
