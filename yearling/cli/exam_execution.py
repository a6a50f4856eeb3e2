"""What `yearling exam`'s commands share: where exams are found, how they are put, and who sits them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.cli.console import err
from yearling.errors import BadInput

if TYPE_CHECKING:
    from rich.status import Status

    from yearling.config import Settings
    from yearling.evals import Exam, ExamDataFolders, Subject
    from yearling.store import ExamRun, Store


@asynccontextmanager
async def open_subject(settings: Settings, model: str | None, engine_only: bool) -> AsyncIterator[Subject]:
    """The model, opened for an exam: the assistant as served, or the bare engine."""
    from yearling.evals import AssistantSubject, EngineSubject
    from yearling.inference import EnginePool
    from yearling.models import ModelLibrary

    pool = EnginePool(settings, ModelLibrary(settings.models_dir))
    try:
        served = await pool.get(model)
        yield EngineSubject(served) if engine_only else AssistantSubject(served)
    finally:
        await pool.close()


async def run_exam_on_model(
    settings: Settings, exam: Exam, model: str | None, engine_only: bool, seed: int, parallel: int | None, fresh: bool
) -> ExamRun:
    """Sit the exam, with its progress on stderr."""
    from yearling.store import Store

    with Store.open(settings) as store, err.status("Opening the model") as shown:
        async with open_subject(settings, model, engine_only) as subject:
            return await run_exam_with_progress(exam, subject, store, shown, seed=seed, parallel=parallel, fresh=fresh)


async def grade_inspect_log(settings: Settings, exam: Exam, path: Path) -> ExamRun:
    """The answers of an Inspect log, graded and kept as a run."""
    from yearling.evals import InspectLogSubject
    from yearling.store import Store

    subject = InspectLogSubject(path, exam)
    with Store.open(settings) as store, err.status("Reading the log") as shown:
        return await run_exam_with_progress(exam, subject, store, shown, seed=subject.seed, parallel=None, fresh=True)


async def run_exam_with_progress(
    exam: Exam, subject: Subject, store: Store, status: Status, *, seed: int, parallel: int | None, fresh: bool
) -> ExamRun:
    """Put the exam to the subject, and tell how far it is."""
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
    """The exam of that name; of a run, as it was put then."""
    from dataclasses import replace

    from yearling.evals import open_exam

    paper = open_exam(name, exam_data_sources(settings, data))
    if run is not None:
        paper = replace(
            paper,
            cases=paper.cases[: run.settings["cases"]],
            samples_per_case=run.settings["samples"],
            sampling=run.settings["sampling"],
        )
        if paper.hash != run.exam_hash:
            raise BadInput("The exam has changed since that run.", advice="Its cases or its grader are others now; run it again.")
        return paper
    if samples:
        paper = replace(paper, samples_per_case=samples)
    if temperature is not None:
        paper = replace(paper, sampling={**paper.sampling, "temperature": temperature})
    return replace(paper, cases=paper.cases[:limit]) if limit else paper


def exam_data_sources(settings: Settings, data: Path | None) -> ExamDataFolders:
    """Fetched exams lie in the data folder, the others where the user says."""
    from yearling.evals import ExamDataFolders

    return ExamDataFolders(settings.data_dir / "exams", data)
