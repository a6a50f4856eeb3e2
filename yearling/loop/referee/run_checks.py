"""Grades the stored answers of exam runs and spec runs again, and computes their summaries and the checks of incidents again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from yearling.errors import UserError
from yearling.loop.incidents import incident_results
from yearling.loop.referee.archive import OpenExport
from yearling.loop.referee.differences import find_difference, is_withheld
from yearling.store import INCIDENT_EXAM, ExamRun, SpecRun, Store

if TYPE_CHECKING:
    from yearling.evals import Exam, ExamDataFolders, SampleRegrade


MAX_RUNS = 100_000


class RunFigure(NamedTuple):
    """A figure of a run. Both texts are empty if it was reproduced."""

    subject: str
    name: str
    difference: str = ""
    skipped: str = ""


class RunChecks:
    """The checks of all runs of an export, over a store that holds its rows. The counts are complete once `check` has ended."""

    def __init__(
        self, store: Store, export: OpenExport, folders: ExamDataFolders | None, on_status: Callable[[str], None]
    ) -> None:
        self._store, self._export, self._folders, self._on_status = store, export, folders, on_status
        self.num_samples = 0
        self.num_regraded = 0
        self.num_withheld = 0

    def check(self) -> Iterator[RunFigure]:
        """Check every run. Raises KeyError, TypeError, ValueError or AttributeError for rows that no run has."""
        runs = sorted(self._store.exams.list(limit=None), key=lambda run: run.id)
        for number, run in enumerate(runs, start=1):
            self._on_status(f"Grading exam run {number} of {len(runs)} again")
            yield from self._check_exam_run(run)
        withheld = self._withheld_outputs()
        for spec_run in self._store.spec_runs.list(limit=MAX_RUNS):
            self._on_status("Grading answers to the behaviour spec again")
            yield from self._check_spec_run(spec_run, withheld)

    def _check_exam_run(self, run: ExamRun) -> Iterator[RunFigure]:
        from yearling.evals import regrade_samples, summarise_again

        subject, samples = f"exam run {run.id}", self._store.exams.list_samples(run.id)
        self.num_samples += len(samples)
        exam = self._open_exam(run)
        if isinstance(exam, str):
            yield RunFigure(subject, f"grades of {run.exam}", skipped=exam)
            return
        if len(samples) != run.num_samples:
            yield RunFigure(
                subject, f"grades of {run.exam}", f"It has {len(samples)} answers, and {run.num_samples} are recorded."
            )
            return
        result: SampleRegrade = regrade_samples(exam, samples)
        self.num_regraded += len(result.samples)
        changed = ""
        if result.changed:
            key, draw = result.changed[0]
            changed = f"{len(result.changed)} answers get another grade; the first is {key}, draw {draw}."
        yield RunFigure(subject, f"grades of {run.exam}", changed)
        summary = summarise_again(exam, result.samples)
        yield RunFigure(subject, f"summary of {run.exam}", find_difference(run.summary, summary))
        yield from self._check_incidents(run, subject)

    def _check_incidents(self, run: ExamRun, subject: str) -> Iterator[RunFigure]:
        """What the run says of each incident is what was recorded as its check."""
        if run.exam != INCIDENT_EXAM:
            return
        results = {result.incident_id: result.passed for result in incident_results(self._store.exams.list_samples(run.id))}
        for check in self._store.incidents.checks():
            if check.exam_run_id == run.id:
                is_same = results.get(check.incident_id) == check.passed and check.model_hash == run.model_hash
                difference = "" if is_same else f"The check of incident {check.incident_id} is not what the answers say."
                yield RunFigure(subject, f"incident {check.incident_id}", difference)

    def _open_exam(self, run: ExamRun) -> Exam | str:
        """The exam of a run, or why its answers cannot be graded again."""
        from yearling.evals import exam_from_json

        if run.settings["card"]["kind"] == "judge":
            return "A model judged the answers, and nothing is generated again."
        content = self._export.read(f"exams/{run.exam_hash}.json")
        if content is None:
            return "The export does not have the cases of the exam as they were."
        try:
            exam = exam_from_json(json.loads(content), self._folders)
        except UserError as error:
            return error.message
        if isinstance(exam, str):
            return f"{exam[:1].upper()}{exam[1:]}."
        return exam if exam.hash == run.exam_hash else "The cases of the exam are not those of the run."

    def _withheld_outputs(self) -> set[str]:
        rows = self._export.lines("spec_outputs.jsonl")
        return {row["id"] for row in rows if any(map(is_withheld, row.values()))}

    def _check_spec_run(self, run: SpecRun, withheld: set[str]) -> Iterator[RunFigure]:
        from yearling.evals import regrade_spec_run

        subject, outputs = f"spec run {run.id}", self._store.spec_runs.list_outputs(run.id)
        self.num_samples += len(outputs)
        # The answers to the twins of a case are compared with each other, so withholding one withholds the grades of all.
        hidden = {(output.case_id, output.draw) for output in outputs if output.id in withheld}
        readable = [output for output in outputs if (output.case_id, output.draw) not in hidden]
        self.num_withheld += len(outputs) - len(readable)
        report = regrade_spec_run(run, readable)
        if isinstance(report, str):
            yield RunFigure(subject, "grades", skipped=f"{report[:1].upper()}{report[1:]}.")
            return
        again = {(output.case_id, output.twin, output.draw): output for output in report.outputs}
        self.num_regraded += len(again)
        changed = [
            output
            for output in readable
            if (graded := again.get((output.case_id, output.twin, output.draw))) is None
            or (graded.label, graded.evidence, graded.score, graded.triage)
            != (output.label, output.evidence, output.score, output.triage)
        ]
        first = f"{len(changed)} answers get another grade; the first is to {changed[0].case_id}." if changed else ""
        yield RunFigure(subject, "grades", first)
        if hidden:
            yield RunFigure(subject, "summary", skipped="Words of some answers are withheld, so it cannot be computed.")
        else:
            yield RunFigure(subject, "summary", find_difference(run.summary, report.summary))
