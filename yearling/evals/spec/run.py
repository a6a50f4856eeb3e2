"""The behaviour spec as an exam: each twin of each case is put to the assistant as served, and what it says is triaged.

    report = await run_spec(AssistantSubject(served), load_spec(), store)

The exams' runner asks, stores and resumes; two models meet the same draws, so that `compare` pairs their runs. There an answer is
judged by itself. The report looks at all twins of a draw together, for what no single answer shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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
    """One answer by itself: its worth is the score, and the triage is counted. Where a person must judge, the score is 0."""

    name = "spec"
    version = "1"
    card = GraderCard(grader="spec", kind="rules", note="Patterns in words, which nobody's labels have been held against yet.")

    def __init__(self, spec: BehaviourSpec) -> None:
        self._cases = {case.id: case for case in spec.cases}

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        of, twin = self._cases[case.data["case"]], case.data["twin"]
        (found,) = triage_case(of, [SpecAnswer(case_id=of.id, twin=twin, draw=0, text=response.text)])
        judged = found.triage != "person"
        return Verdict(
            score=found.score if judged else 0.0,
            label=found.label,
            ratios={name: (float(found.triage == name), 1.0) for name in ("passed", *_FAILING_TRIAGES)} if judged else {},
            detail={"triage": found.triage, "evidence": found.evidence},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecReport:
    """What a run found."""

    outputs: tuple[SpecOutput, ...]
    summary: dict[str, Any]
    settings: dict[str, Any]


def build_spec_exam(
    spec: BehaviourSpec, *, clauses: Sequence[str] = (), samples: int | None = None, max_tokens: int = DEFAULT_MAX_TOKENS
) -> Exam:
    """`samples` answers per twin, or as many as each case says. Raises NotFound for an unknown clause, BadInput."""
    if (samples is not None and samples < 1) or max_tokens < 1:
        raise BadInput("samples and max_tokens must be at least 1.")
    for clause_id in clauses:
        spec.clause(clause_id)
    chosen = [case for case in spec.cases if not clauses or case.clause in clauses]
    return Exam(
        name="spec",
        title="The behaviour spec, each answer by itself",
        cases=tuple(_case(case, twin, samples) for case in chosen for twin in range(len(case.twins))),
        grader=TriageGrader(spec),
        sampling={"temperature": DEFAULT_SAMPLING.temperature, "top_p": DEFAULT_SAMPLING.top_p, "max_tokens": max_tokens},
        source=f"spec {spec.version}",
        licence="Apache-2.0",
        description="Clauses, and cases whose twins fail over-correction too, put as people put them.",
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
    progress: ExamProgress | None = None,
) -> SpecReport:
    """Put every twin of every case to the subject, or go on with that, and triage what it says. Raises as `run_exam`."""
    exam = build_spec_exam(spec, clauses=clauses, samples=samples, max_tokens=max_tokens)
    run = await run_exam(exam, subject, store, concurrency=parallel, fresh=fresh, progress=progress)
    replies = [_answer_from_sample(sample) for sample in store.exams.list_samples(run.id)]
    settings = {"clauses": list(clauses), "samples": samples, "max_tokens": max_tokens, "exam_run": run.id}
    return _report(spec, replies, settings)


def regrade_spec_outputs(spec: BehaviourSpec, outputs: Sequence[SpecOutput]) -> SpecReport:
    """Triage stored answers again by the spec and the graders as they are now; answers to cases that are gone are left out."""
    replies = [_answer_from_output(output) for output in outputs]
    return _report(spec, replies, {"regraded": sorted({output.run_id for output in outputs})})


def worst_outputs(outputs: Sequence[SpecOutput], count: int) -> list[SpecOutput]:
    """The failing outputs that are worth least, worst first."""
    failing = [output for output in outputs if output.triage in _FAILING_TRIAGES]
    return sorted(failing, key=lambda output: output.score)[:count]


def _report(spec: BehaviourSpec, replies: Sequence[SpecAnswer], settings: dict[str, Any]) -> SpecReport:
    by_case: defaultdict[str, list[SpecAnswer]] = defaultdict(list)
    for reply in replies:
        by_case[reply.case_id].append(reply)
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
