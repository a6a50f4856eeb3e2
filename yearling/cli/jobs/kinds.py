"""The kinds of job: what the commands of the same names do, with progress, and with options that the API accepts too.

`register_job_kinds` makes them known to a process: to the server, which checks options, and to the process that runs a job. What
a kind needs is imported when it runs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from yearling.errors import BadInput
from yearling.loop import CycleOptions, JobContext, parse_settings, register_job_kind

if TYPE_CHECKING:
    from yearling.training import TrainingProgress

_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_EXAM_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamJobOptions:
    """Options of `yearling exam run`. An exam has a name here: a file of cases would be any file of the server."""

    exam: str
    model: str = ""
    samples: int = 0
    limit: int = 0
    seed: int = 0
    engine_only: bool = False

    def __post_init__(self) -> None:
        if not _EXAM_NAME.fullmatch(self.exam):
            raise BadInput(f"{self.exam[:64]!r} is no name of an exam.", advice="`yearling exam list` names them.", param="exam")
        _require_range("samples", self.samples, 0, 1000)
        _require_range("limit", self.limit, 0, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecJobOptions:
    """Options of `yearling spec run`. 0 samples: as many as each case sets."""

    model: str = ""
    samples: int = 0
    max_tokens: int = 160

    def __post_init__(self) -> None:
        _require_range("samples", self.samples, 0, 1000)
        _require_range("max_tokens", self.max_tokens, 1, 4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonsJobOptions:
    """Options of `yearling lessons build`. `environments` are written as NAME=COUNT."""

    heldout_share: float = 0.1
    environments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusJobOptions:
    """`yearling consensus run` has no options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJobOptions:
    """Options of `yearling train METHOD`. `settings` are those of the method, written as NAME=VALUE with JSON values."""

    method: str
    model: str = ""
    lessons: str = ""
    earlier: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    rank: int = 16
    alpha: float = 0.0
    adapter: str = ""

    def __post_init__(self) -> None:
        _require_range("rank", self.rank, 1, 1024)
        parse_settings(self.settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeRunJobOptions:
    """The id of the training run to go on with."""

    run: str

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run):
            raise BadInput(f"{self.run[:64]!r} is no id of a run.", advice="`yearling train list` shows the runs.", param="run")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderJobOptions:
    """The model whose reader is trained; empty for the setting `model`."""

    model: str = ""
    seed: int = 0


def register_job_kinds() -> None:
    """Make every kind of job known to this process."""
    register_job_kind("exam", _run_exam, title="Run an exam", options=ExamJobOptions, is_resumable=True)
    register_job_kind("spec", _run_spec, title="Test against the behaviour spec", options=SpecJobOptions, is_resumable=True)
    register_job_kind("consensus", _run_consensus, title="Find out what people agree on", options=ConsensusJobOptions)
    register_job_kind("lessons", _build_lessons, title="Build lessons", options=LessonsJobOptions)
    register_job_kind("cycle", run_cycle_job, title="Learn", options=CycleOptions, is_resumable=True)
    register_job_kind("reader", _train_reader, title="Train to read corrections", options=ReaderJobOptions, is_resumable=True)
    register_job_kind(
        "resume-run", _resume_run, title="Go on with a training run", options=ResumeRunJobOptions, is_resumable=True
    )
    register_job_kind("train", _train, title="Train a model", options=TrainJobOptions, is_resumable=True)


def counted(context: JobContext, text: str) -> Callable[[int, int], None]:
    """A callback that reports (done, total) of what `text` names."""
    return lambda done, total: context.report(done / max(1, total), f"{text}: {done} of {total}")


def report_training(context: JobContext) -> Callable[[TrainingProgress], None]:
    """A callback that reports the steps of a training run."""

    def report(progress: TrainingProgress) -> None:
        text = f"Training: step {progress.step} of {progress.total_steps}"
        context.report(progress.step / max(1, progress.total_steps), text, remaining_s=progress.remaining_s)

    return report


def _run_exam(context: JobContext) -> Mapping[str, object]:
    from yearling.cli.exam_execution import open_subject, resolve_exam
    from yearling.evals import run_exam

    options: ExamJobOptions = context.options
    exam = resolve_exam(options.exam, context.settings, None, samples=options.samples, limit=options.limit)
    created_utc = context.store.jobs.get(context.job_id).created_utc

    async def run() -> str:
        async with open_subject(
            context.settings, context.store, options.model or None, options.engine_only, exam.corrections
        ) as subject:
            progress = counted(context, f"Exam {exam.name}")
            run = await run_exam(exam, subject, context.store, seed=options.seed, finished_since=created_utc, progress=progress)
            return run.id

    run_id = asyncio.run(run())
    return {"run": run_id, "measures": context.store.exams.get(run_id).summary["measures"]}


def _run_spec(context: JobContext) -> Mapping[str, object]:
    from yearling.chat import load_spec
    from yearling.cli.exam_execution import open_subject
    from yearling.cli.spec import save_spec_run
    from yearling.evals import run_spec

    options: SpecJobOptions = context.options
    spec = load_spec()

    async def run() -> str:
        async with open_subject(context.settings, context.store, options.model or None, False) as subject:
            report = await run_spec(
                subject,
                spec,
                context.store,
                samples=options.samples or None,
                max_tokens=options.max_tokens,
                finished_since=context.store.jobs.get(context.job_id).created_utc,
                progress=counted(context, "Behaviour spec"),
            )
            return save_spec_run(context.store, spec, report, model=subject.model, model_hash=subject.model_hash).id

    return {"run": asyncio.run(run())}


def _run_consensus(context: JobContext) -> Mapping[str, object]:
    from yearling.feedback import EventIndex, run_and_record

    finished = run_and_record(context.store, EventIndex(context.store), on_status=lambda text: context.report(0.0, text))
    return {"run": finished.record.sequence, "snapshot": finished.record.snapshot_sha256, "is_new": finished.is_new}


def _build_lessons(context: JobContext) -> Mapping[str, object]:
    from yearling.cli.lessons import parse_environment_count
    from yearling.evals import fingerprint_exams
    from yearling.feedback import EventIndex, run_and_record
    from yearling.tasks import BuildConfig, build_lesson_set

    options: LessonsJobOptions = context.options
    environments = tuple(parse_environment_count(text) for text in options.environments)
    config = BuildConfig(heldout_share=options.heldout_share, environments=environments)
    run_and_record(context.store, EventIndex(context.store), on_status=lambda text: context.report(0.1, text))
    exams, missing = fingerprint_exams(context.settings.data_dir / "exams", None)
    built = build_lesson_set(context.store, config, exams=exams, on_progress=lambda text: context.report(0.5, text))
    lesson_set = built.lesson_set
    return {"hash": lesson_set.hash, "version": lesson_set.version, "is_new": built.is_new, "exams_missing": sorted(missing)}


def _train(context: JobContext) -> Mapping[str, object]:
    from yearling.loop import TrainingPlan, run_training_plan
    from yearling.tasks import open_lesson_set
    from yearling.training import ArtefactStores, RunSetup, TrainOptions, choose_device, choose_dtype

    options: TrainJobOptions = context.options
    stores = ArtefactStores.from_data_dir(context.settings.data_dir)

    def lesson_hash(name: str) -> str:
        if _SHA256.fullmatch(name) and (context.settings.data_dir / "lessons" / name).is_dir():
            return name  # practice of a cycle has no record, only its folder
        return open_lesson_set(context.store, None if name == "latest" else name).hash if name else ""

    device = choose_device("auto")
    setup = RunSetup(
        model=options.model or context.settings.model,
        rank=options.rank,
        alpha=options.alpha,
        adapter=stores.adapters.get(options.adapter).sha256 if options.adapter else "",
        device=device,
        dtype=choose_dtype("auto", device),
        lessons=lesson_hash(options.lessons),
        earlier=tuple(lesson_hash(name) for name in options.earlier),
        environments=options.environments,
    )
    plan = TrainingPlan(
        method=options.method, settings=parse_settings(options.settings), setup=setup, options=asdict(TrainOptions())
    )
    trained = run_training_plan(
        plan,
        context.settings,
        stores,
        folder=context.folder,
        threads=context.threads,
        command=["yearling", "jobs", "start", "train"],
        on_progress=report_training(context),
        computing=context.computing,
    )
    return asdict(trained)


def _resume_run(context: JobContext) -> Mapping[str, object]:
    from yearling.loop import train_and_publish
    from yearling.training import ArtefactStores, RunFolder

    options: ResumeRunJobOptions = context.options
    run = RunFolder.open(context.settings.runs_dir / options.run)
    stores = ArtefactStores.from_data_dir(context.settings.data_dir)
    return asdict(
        train_and_publish(run, context.settings, stores, on_progress=report_training(context), computing=context.computing)
    )


def _train_reader(context: JobContext) -> Mapping[str, object]:
    from yearling.training import train_reader

    options: ReaderJobOptions = context.options
    published = train_reader(
        context.settings,
        options.model or context.settings.model,
        seed=options.seed,
        report=context.report,
        check_cancelled=context.check_cancelled,
        computing=context.computing,
    )
    return {"adapter": published.sha256, "base": published.base}


def run_cycle_job(context: JobContext) -> Mapping[str, object]:
    """A cycle as a job: its report is the result. A job that resumes a cycle that waited makes no new one."""
    from yearling.cli.jobs.cycle_tools import LocalCycleTools
    from yearling.evals import fingerprint_exams
    from yearling.loop import CycleParts, make_report, new_cycle_id, open_cycle, report_text, run_cycle

    options: CycleOptions = context.options
    folder = open_cycle(context.settings, options.resume or new_cycle_id(context.folder / "cycle"))
    reopened = context.folder / "reopened"
    if options.resume and not reopened.exists():
        folder.reopen()
        reopened.touch()
    context.log(f"Cycle {folder.id}.")
    parts = CycleParts(
        settings=context.settings,
        store=context.store,
        tools=LocalCycleTools(context.settings, context.store),
        threads=context.threads,
        report=context.report,
        log=context.log,
        computing=context.computing,
        fingerprints=lambda: fingerprint_exams(context.settings.data_dir / "exams", None)[0],
    )
    end = run_cycle(folder, options, parts)
    report = make_report(context.store, folder, end)
    folder.write_report(report, report_text(report))
    return report


def _require_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadInput(f"{name} must be from {low} to {high}.", param=name)
