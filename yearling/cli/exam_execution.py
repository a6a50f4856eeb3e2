"""Shared by the commands of `yearling exam`: finding exams and their data, opening the tested model, running with progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.cli.console import err
from yearling.errors import BadInput

if TYPE_CHECKING:
    from rich.status import Status

    from yearling.config import Settings
    from yearling.evals import AssistantSubject, Exam, ExamDataFolders, Subject
    from yearling.inference import EnginePool
    from yearling.store import ExamRun, Store


@asynccontextmanager
async def open_subject(
    settings: Settings, store: Store, model: str | None, engine_only: bool, corrections: Sequence[tuple[str, str]] = ()
) -> AsyncIterator[Subject]:
    """Open a model for an exam: the assistant as it is served, given `corrections`, or the bare engine.

    Raises what opening the model raises.
    """
    from yearling.cli.assistant_runtime import open_pool
    from yearling.evals import EngineSubject

    pool = open_pool(settings, store)
    try:
        yield EngineSubject(await pool.get(model)) if engine_only else await assistant_subject(pool, model, corrections)
    finally:
        await pool.close()


@asynccontextmanager
async def open_lookup_subject(settings: Settings, store: Store, exam: Exam) -> AsyncIterator[Subject]:
    """Open the search of documents for an exam of it. Raises NotFound if no embedding model is installed."""
    from yearling.cli.assistant_runtime import open_pool
    from yearling.evals import LookupSubject

    pool = open_pool(settings, store)
    try:
        subject = LookupSubject(exam.searched, await pool.get_embedder())
        try:
            yield subject
        finally:
            await subject.close()
    finally:
        await pool.close()


async def assistant_subject(pool: EnginePool, model: str | None, corrections: Sequence[tuple[str, str]] = ()) -> AssistantSubject:
    """A model of a pool as it is served, given `corrections`, questions with their right answers. Raises what opening it does."""
    from yearling.chat import FixedCorrections
    from yearling.evals import AssistantSubject

    return AssistantSubject(await pool.get(model), FixedCorrections(corrections, pool) if corrections else None)


async def run_exam_on_model(
    settings: Settings, exam: Exam, model: str | None, engine_only: bool, seed: int, parallel: int | None, fresh: bool
) -> ExamRun:
    """Run the exam on a model, with progress on stderr."""
    from yearling.store import Store

    with Store.open(settings) as store, err.status("Opening the model") as status:
        if exam.searched:
            async with open_lookup_subject(settings, store, exam) as search:
                return await run_exam_with_progress(exam, search, store, status, seed=seed, parallel=parallel, fresh=fresh)
        async with open_subject(settings, store, model, engine_only, exam.corrections) as subject:
            return await run_exam_with_progress(exam, subject, store, status, seed=seed, parallel=parallel, fresh=fresh)


async def grade_inspect_log(settings: Settings, exam: Exam, path: Path) -> ExamRun:
    """Grade the answers of an Inspect log and record them as a run."""
    from yearling.evals import InspectLogSubject
    from yearling.store import Store

    subject = InspectLogSubject(path, exam)
    with Store.open(settings) as store, err.status("Reading the log") as status:
        return await run_exam_with_progress(exam, subject, store, status, seed=subject.seed, parallel=None, fresh=True)


async def run_exam_with_progress(
    exam: Exam, subject: Subject, store: Store, status: Status, *, seed: int, parallel: int | None, fresh: bool
) -> ExamRun:
    """Run the exam on a subject and show the number of finished samples."""
    from yearling.evals import run_exam

    return await run_exam(
        exam,
        subject,
        store,
        seed=seed,
        concurrency=parallel,
        fresh=fresh,
        progress=lambda done, total: status.update(f"{exam.name}: {done} of {total} samples"),
    )


def resolve_exam(
    name: str,
    settings: Settings,
    data: Path | None,
    *,
    samples: int = 0,
    temperature: float | None = None,
    limit: int = 0,
    run: ExamRun | None = None,
) -> Exam:
    """The exam of this name with the given overrides, or as it was when `run` was recorded.

    0 and None override nothing. Raises NotFound for an unknown exam or missing data, BadInput if it has changed since `run`.
    """
    from dataclasses import replace

    exam = _open_exam(name, settings, data)
    if run is not None:
        exam = replace(
            exam,
            cases=exam.cases[: run.settings["cases"]],
            samples_per_case=run.settings["samples"],
            sampling=run.settings["sampling"],
        )
        if exam.hash != run.exam_hash:
            raise BadInput(
                "The exam's cases or its grader have changed since that run.", advice="Run the exam again: yearling exam run."
            )
        return exam
    if samples:
        exam = replace(exam, samples_per_case=samples)
    if temperature is not None:
        exam = replace(exam, sampling={**exam.sampling, "temperature": temperature})
    return replace(exam, cases=exam.cases[:limit]) if limit else exam


def _open_exam(name: str, settings: Settings, data: Path | None) -> Exam:
    from yearling.evals import open_exam
    from yearling.store import INCIDENT_EXAM

    if name != INCIDENT_EXAM:
        return open_exam(name, exam_data_sources(settings, data))
    from yearling.loop import open_incident_exam
    from yearling.store import Store

    with Store.open(settings) as store:
        return open_incident_exam(store)


def find_exam_run(store: Store, name: str) -> ExamRun:
    """The newest finished run of the exam with this name, else the run with this id. Raises NotFound."""
    newest = [run for run in store.exams.list(exam=name, limit=20) if run.finished_utc is not None]
    return newest[0] if newest else store.exams.get(name)


def exam_data_sources(settings: Settings, data: Path | None) -> ExamDataFolders:
    """Where exams find their files: downloads in the data folder, other data sets in the folder that the user names."""
    from yearling.evals import ExamDataFolders

    return ExamDataFolders(settings.data_dir / "exams", data)


def print_missing_exams(missing: Mapping[str, str]) -> None:
    """Warn on stderr that lesson sets were not searched for these exams (name to reason), with one line per reason."""
    if not missing:
        return
    err.print("Not checked for leaks, because the questions of these exams are not on this machine:", highlight=False)
    for reason in dict.fromkeys(missing.values()):
        names = ", ".join(name for name in missing if missing[name] == reason)
        err.print(f"  {names}: {reason.rstrip('.')}", markup=False, highlight=False, soft_wrap=True)
