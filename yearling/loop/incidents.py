"""Turns reviewed incidents into exam cases, checks models on them, and records the result of each incident."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput, NotFound
from yearling.store import INCIDENT_EXAM, ExamRun, GradedSample, Incident, IncidentCheck, Store

if TYPE_CHECKING:
    from yearling.evals import Exam, Subject


@dataclass(frozen=True, slots=True)
class IncidentCaseResult:
    """One incident in a run of the exam: whether every answer passed, None if an answer is missing."""

    incident_id: str
    passed: bool | None


def accept_incident(store: Store, incident_id: str, *, reviewed_by: str, review: str, case: Mapping[str, Any]) -> Incident:
    """Accept an incident with the case that a reviewer wrote: `user` and at least one check, as in a custom exam.

    Every later release must pass the case. Raises BadInput for an invalid case, NotFound, Conflict if it was reviewed.
    """
    from yearling.evals import parse_incident_case

    parse_incident_case(incident_id, case)
    return store.incidents.accept(incident_id, reviewed_by=reviewed_by, review=review, case=case)


def open_incident_exam(store: Store) -> Exam:
    """The exam of all accepted incidents. Raises NotFound without any."""
    from yearling.evals import build_incident_exam

    exam = build_incident_exam(store.incidents.list(state={"accepted"}))
    if exam is None:
        raise NotFound("There is no accepted incident.", advice="Accept one with `yearling incident accept`.")
    return exam


async def check_incidents(
    store: Store, subject: Subject, *, fresh: bool = False, progress: Callable[[int, int], None] | None = None
) -> tuple[ExamRun, list[IncidentCaseResult]]:
    """Run the exam of incidents on a model and record each result. An interrupted run resumes.

    Raises NotFound without an accepted incident, and what running an exam raises.
    """
    from yearling.evals import run_exam

    exam = await asyncio.to_thread(open_incident_exam, store)
    run = await run_exam(exam, subject, store, fresh=fresh, progress=progress)
    return run, await asyncio.to_thread(record_incident_results, store, run)


def record_incident_results(store: Store, run: ExamRun) -> list[IncidentCaseResult]:
    """Record for each incident whether the model of a finished run passed its case. Recording a run again changes nothing.

    An incident whose answer is missing is not recorded. Raises BadInput for a run of another exam or an unfinished one.
    """
    if run.exam != INCIDENT_EXAM or run.finished_utc is None:
        raise BadInput(f"The run {run.id} is no finished run of the exam {INCIDENT_EXAM}.")
    results = incident_results(store.exams.list_samples(run.id))
    known = {check.incident_id for check in store.incidents.checks() if check.exam_run_id == run.id}
    existing = {incident.id for incident in store.incidents.list()}
    store.incidents.record_checks(
        [
            IncidentCheck(
                incident_id=result.incident_id,
                model=run.model,
                model_hash=run.model_hash,
                passed=result.passed,
                exam_run_id=run.id,
            )
            for result in results
            if result.passed is not None and result.incident_id in existing - known
        ]
    )
    return results


def incident_results(samples: tuple[GradedSample, ...]) -> list[IncidentCaseResult]:
    """The result of each incident. One bad answer of several fails it."""
    by_case: defaultdict[str, list[GradedSample]] = defaultdict(list)
    for sample in samples:
        by_case[sample.case_key].append(sample)
    return [IncidentCaseResult(key, _case_passed(members)) for key, members in sorted(by_case.items())]


def _case_passed(samples: list[GradedSample]) -> bool | None:
    if any(sample.score < 1 and not sample.error for sample in samples):
        return False
    return None if any(sample.error for sample in samples) else True
