"""Exams as JSON, with their cases and the name of their grader, so that stored answers can be graded where the data is missing.

A grader is code and is not archived. The program that reads the archive must have the same version of it, and the hash of the
exam proves that cases, sampling and grader are those of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yearling.chat import load_spec
from yearling.errors import UserError
from yearling.evals.case import Case, Exam, Grader
from yearling.evals.drift import DriftGrader
from yearling.evals.exams.catalogue import open_exam
from yearling.evals.exams.constraints import EnvironmentGrader
from yearling.evals.exams.custom import CustomExamGrader
from yearling.evals.exams.gsm8k import NumberGrader
from yearling.evals.exams.ifeval import IFEvalGrader
from yearling.evals.exams.incidents import build_incident_exam
from yearling.evals.exams.persistbench import MemoryUseGrader
from yearling.evals.exams.question_answering import ChineseAnswerGrader, ConfidenceGrader, ShortAnswerGrader
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.exams.truthfulqa import MultipleChoiceGrader, ReferenceOverlapGrader
from yearling.evals.exams.xstest import RefusalGrader
from yearling.evals.graders.judge import JudgeAccuracyGrader
from yearling.evals.runner import close_grader, grade_response, response_from_sample, verdict_to_json
from yearling.evals.spec.run import SpecReport, TriageGrader, regrade_spec_outputs
from yearling.evals.summary import summarise
from yearling.store import INCIDENT_EXAM, ExamRun, GradedSample, Incident, SpecOutput, SpecRun
from yearling.tasks import environment_names

_GRADERS: Mapping[str, Callable[[], Grader]] = {
    grader.name: grader
    for grader in (
        ChineseAnswerGrader,
        ConfidenceGrader,
        CustomExamGrader,
        DriftGrader,
        JudgeAccuracyGrader,
        MemoryUseGrader,
        MultipleChoiceGrader,
        NumberGrader,
        ReferenceOverlapGrader,
        RefusalGrader,
        ShortAnswerGrader,
    )
}
_ENVIRONMENT = "environment:"


@dataclass(frozen=True, slots=True)
class SampleRegrade:
    """The stored samples of a run with what the grader says now. `changed` are (case key, draw) of other verdicts."""

    samples: tuple[GradedSample, ...]
    changed: tuple[tuple[str, int], ...]


def exam_to_json(exam: Exam) -> dict[str, Any]:
    """An exam as plain JSON."""
    return {
        "name": exam.name,
        "title": exam.title,
        "grader": f"{exam.grader.name}@{exam.grader.version}",
        "sampling": dict(exam.sampling),
        "samples": exam.samples_per_case,
        "cases": [
            {
                "key": case.key,
                "messages": list(case.messages),
                "data": dict(case.data),
                "options": list(case.options),
                "part": case.part,
                "cluster": case.cluster,
                "samples": case.num_samples,
            }
            for case in exam.cases
        ],
    }


def exam_from_json(value: Mapping[str, Any], folders: ExamDataFolders | None = None) -> Exam | str:
    """The exam, or why this program cannot grade it. `folders` has the published checkers that some graders run.

    Raises KeyError, TypeError, AttributeError or BadInput for anything else.
    """
    name, _, version = str(value["grader"]).rpartition("@")
    try:
        grader = _find_grader(name, folders)
    except UserError as error:
        return f"its grader cannot start here: {error.message} {error.advice}".strip()
    if grader is None:
        return f"this program has no grader {name[:100]!r}"
    if grader.version != version:
        return f"it was graded by {name}@{version}, and this program has version {grader.version}"
    return Exam(
        name=value["name"],
        title=value["title"],
        cases=tuple(
            Case(
                key=case["key"],
                messages=tuple(case["messages"]),
                data=case["data"],
                options=tuple(case["options"]),
                part=case["part"],
                cluster=case["cluster"],
                num_samples=case["samples"],
            )
            for case in value["cases"]
        ),
        grader=grader,
        sampling=value["sampling"],
        samples_per_case=value["samples"],
    )


def rebuild_exam(run: ExamRun, folders: ExamDataFolders, incidents: list[Incident]) -> Exam | None:
    """The exam as it was when the run was recorded, or None if its data is missing or has changed since."""
    try:
        exam = _rebuild_incidents(run, incidents) if run.exam == INCIDENT_EXAM else open_exam(run.exam, folders)
        if exam is None:
            return None
        exam = replace(
            exam,
            cases=exam.cases[: run.settings["cases"]],
            samples_per_case=run.settings["samples"],
            sampling=run.settings["sampling"],
        )
    except (UserError, OSError, KeyError):
        return None
    return exam if exam.hash == run.exam_hash else None


def regrade_samples(exam: Exam, samples: tuple[GradedSample, ...]) -> SampleRegrade:
    """Grade stored answers again. A sample of a case that the exam does not have counts as changed."""
    cases = {case.key: case for case in exam.cases}
    regraded, changed = [], []
    try:
        for sample in samples:
            case = cases.get(sample.case_key)
            if case is None:
                changed.append((sample.case_key, sample.draw))
                continue
            response = response_from_sample(sample)
            verdict = grade_response(exam.grader, case, response)
            stored = verdict_to_json(verdict, response)
            again = replace(sample, score=verdict.score, label=verdict.label, verdict=stored, error=verdict.error)
            if again != sample or (sample.cluster, sample.part) != (case.cluster_key, case.part):
                changed.append((sample.case_key, sample.draw))
            regraded.append(again)
    finally:
        close_grader(exam.grader)
    return SampleRegrade(tuple(regraded), tuple(changed))


def summarise_again(exam: Exam, samples: tuple[GradedSample, ...]) -> dict[str, object]:
    """The summary that a run of the exam would get from these samples."""
    return summarise(exam.grader, samples)


def _find_grader(name: str, folders: ExamDataFolders | None) -> Grader | None:
    """The grader of that name. Environments that are not part of this program are not opened: the name may be a stranger's."""
    if name.removeprefix(_ENVIRONMENT) in environment_names() and name.startswith(_ENVIRONMENT):
        return EnvironmentGrader(name.removeprefix(_ENVIRONMENT))
    if name == TriageGrader.name:
        return TriageGrader(load_spec())
    if name == IFEvalGrader.name:
        return IFEvalGrader((folders or ExamDataFolders(Path("exams"))).downloaded_folder(name))
    return _GRADERS[name]() if name in _GRADERS else None


def _rebuild_incidents(run: ExamRun, incidents: list[Incident]) -> Exam | None:
    """The exam of those incidents that had been accepted when the run began."""
    accepted = [each for each in incidents if each.reviewed_utc is not None and each.reviewed_utc <= run.created_utc]
    return build_incident_exam(accepted)


def regrade_spec_run(run: SpecRun, outputs: Sequence[SpecOutput]) -> SpecReport | str:
    """The report on stored answers to the behaviour spec, graded again, or why this program cannot grade them."""
    spec = load_spec()
    if spec.cases_hash != run.cases_hash:
        return f"its cases are those of spec {run.spec_version}, and this program has spec {spec.version}"
    return regrade_spec_outputs(spec, outputs)
