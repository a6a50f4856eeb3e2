"""Runs the behaviour spec as an exam: the assistant as served answers each twin of each case, and its answers are triaged.

    report = await run_spec(AssistantSubject(served), load_spec(), store)

The exam runner draws, stores and resumes. Two models get the same draws, so `compare_runs` can pair their runs. The exam grades
each answer by itself; the report compares the answers to all twins of a draw, for what no single answer shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from yearling.chat import DEFAULT_SAMPLING, BehaviourSpec, SpecCase
from yearling.errors import BadInput
from yearling.evals.case import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.evals.runner import ExamProgress, run_exam
from yearling.evals.spec.triage import SpecAnswer, summarise_spec, triage_case, twin_messages
from yearling.evals.subject import Subject
from yearling.store import GradedSample, SpecOutput, Store

DEFAULT_MAX_TOKENS = 160
_FAILING_TRIAGES = ("bug", "gap", "policy")


class TriageGrader:
    """Grades one answer by itself: the score of its label, with the triage counted. The score is 0 if a person must judge."""

    name = "spec"
    version = "1"
    card = GraderCard(grader="spec", kind="rules", note="Patterns in words, not yet compared with human labels.")

    def __init__(self, spec: BehaviourSpec) -> None:
        self._cases = {case.id: case for case in spec.cases}

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class."""
        spec_case = self._cases[case.data["case"]]
        answer = SpecAnswer(case_id=spec_case.id, twin=case.data["twin"], draw=0, text=response.text)
        (output,) = triage_case(spec_case, [answer])
        is_graded = output.triage != "person"
        return Verdict(
            score=output.score if is_graded else 0.0,
            label=output.label,
            ratios={name: (float(output.triage == name), 1.0) for name in ("passed", *_FAILING_TRIAGES)} if is_graded else {},
            detail={"triage": output.triage, "evidence": output.evidence},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecReport:
    """The triaged outputs of a run, their summary, and the settings of the run."""

    outputs: tuple[SpecOutput, ...]
    summary: dict[str, Any]
    settings: Mapping[str, Any]


def build_spec_exam(
    spec: BehaviourSpec, *, clauses: Sequence[str] = (), samples: int | None = None, max_tokens: int = DEFAULT_MAX_TOKENS
) -> Exam:
    """The exam with `samples` answers per twin, or as many as each case says; `clauses` selects cases.

    Raises NotFound for an unknown clause, and BadInput for counts below 1.
    """
    if (samples is not None and samples < 1) or max_tokens < 1:
        raise BadInput("`samples` and `max_tokens` must be at least 1.")
    for clause_id in clauses:
        spec.clause(clause_id)
    selected = [case for case in spec.cases if not clauses or case.clause in clauses]
    return Exam(
        name="spec",
        title="The behaviour spec, each answer by itself",
        cases=tuple(_case(case, twin, samples) for case in selected for twin in range(len(case.twins))),
        grader=TriageGrader(spec),
        sampling={"temperature": DEFAULT_SAMPLING.temperature, "top_p": DEFAULT_SAMPLING.top_p, "max_tokens": max_tokens},
        source=f"spec {spec.version}",
        licence="Apache-2.0",
        description="Clauses with cases as people phrase them; twins catch over-correction too.",
    )


async def run_spec(
    subject: Subject,
    spec: BehaviourSpec,
    store: Store,
    *,
    clauses: Sequence[str] = (),
    samples: int | None = None,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    parallel: int | None = None,
    fresh: bool = False,
    finished_since: datetime | None = None,
    progress: ExamProgress | None = None,
) -> SpecReport:
    """Run the spec on a subject, resuming an interrupted run, and triage the answers. Options and errors as `run_exam`."""
    exam = build_spec_exam(spec, clauses=clauses, samples=samples, max_tokens=max_tokens)
    run = await run_exam(
        exam, subject, store, concurrency=parallel, fresh=fresh, finished_since=finished_since, progress=progress
    )
    answers = [_answer_from_sample(sample) for sample in store.exams.list_samples(run.id)]
    settings = {"clauses": list(clauses), "samples": samples, "max_tokens": max_tokens, "exam_run": run.id}
    return _report(spec, answers, settings)


def regrade_spec_outputs(spec: BehaviourSpec, outputs: Sequence[SpecOutput]) -> SpecReport:
    """Triage stored answers again with the current spec and graders. Answers to cases that no longer exist are left out."""
    answers = [_answer_from_output(output) for output in outputs]
    return _report(spec, answers, {"regraded": sorted({output.run_id for output in outputs})})


def worst_outputs(outputs: Sequence[SpecOutput], count: int) -> list[SpecOutput]:
    """The failing outputs with the lowest scores, worst first."""
    failing = [output for output in outputs if output.triage in _FAILING_TRIAGES]
    return sorted(failing, key=lambda output: output.score)[:count]


def _report(spec: BehaviourSpec, answers: Sequence[SpecAnswer], settings: Mapping[str, object]) -> SpecReport:
    by_case: defaultdict[str, list[SpecAnswer]] = defaultdict(list)
    for answer in answers:
        by_case[answer.case_id].append(answer)
    outputs = [output for case in spec.cases for output in triage_case(case, by_case[case.id])]
    return SpecReport(outputs=tuple(outputs), summary=summarise_spec(spec, outputs), settings=settings)


def _case(case: SpecCase, twin: int, samples: int | None) -> Case:
    return Case(
        key=f"{case.id}/{twin}",
        messages=twin_messages(case, twin),
        data={
            "case": case.id,
            "twin": twin,
            "facts": dict(case.twins[twin].facts),
            "grader": case.grader,
            "judge": case.judge,
            "policy": list(case.policy),
            "bug": list(case.bug),
            "score": dict(case.score),
        },
        part=case.clause,
        cluster=case.id,
        num_samples=samples or case.samples,
    )


def _answer_from_sample(sample: GradedSample) -> SpecAnswer:
    case_id, _, twin = sample.case_key.rpartition("/")
    error = f"engine: {sample.error}" if sample.error else ""
    return SpecAnswer(case_id=case_id, twin=int(twin), draw=sample.draw, text=sample.output_text, error=error)


def _answer_from_output(output: SpecOutput) -> SpecAnswer:
    return SpecAnswer(
        case_id=output.case_id,
        twin=output.twin,
        draw=output.draw,
        text=output.output_text,
        sample_id=output.sample_id,
        error=output.evidence if output.label == "engine_failed" else "",
    )
