"""`yearling jobs`: list, show, start and cancel what takes long, and read its log."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.config import Settings, load_settings

if TYPE_CHECKING:
    from yearling.store import Job, Store

app = typer.Typer(
    help="Run what takes long in the background, one job at a time, with or without a server.",
    no_args_is_help=True,
)

JOB = typer.Argument(help="Id of the job, a unique part of its beginning or end, or `latest`.")
_POLL_S = 0.3


@app.command("list")
def list_jobs(
    limit: int = typer.Option(20, "--limit", min=1, max=1000, help="Number of newest jobs to list."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List the jobs, newest first."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        jobs = store.jobs.list(limit=limit)
    if as_json:
        print_json([job_dict(job) for job in jobs])
        return
    if not jobs:
        err.print("There is no job yet. Start one with `yearling jobs start`.")
        return
    rows = [
        (job.id[-12:], job.kind, job.state, f"{job.fraction:.0%}", _what(job), f"{job.created_utc:%Y-%m-%d %H:%M}")
        for job in jobs
    ]
    print_table(("Job", "Kind", "State", "Done>", "", "Created (UTC)"), rows)


@app.command("show")
def show(job: str = JOB, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Show a job: its options, its progress or result, and what it cost."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        record = store.jobs.find(job)
    if as_json:
        print_json(job_dict(record))
        return
    values = job_dict(record)
    width = max(map(len, values))
    for name, value in values.items():
        if value not in (None, "", {}, []):
            typer.echo(f"{name.replace('_', ' '):<{width}}  {value}")


@app.command("log")
def log(
    job: str = JOB,
    follow: bool = typer.Option(False, "--follow", "-f", help="Print what is added until the job ends."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Print the log of a job."""
    from yearling.loop import JobFolders
    from yearling.store import END_STATES, Store

    settings = load_settings(data_dir=data_dir)
    folders, printed = JobFolders.of(settings), ""
    with Store.open(settings) as store:
        record = store.jobs.find(job)
        while True:
            record = store.jobs.get(record.id)
            text = folders.read_log(record.id)
            typer.echo(text.removeprefix(printed), nl=False)
            printed = text
            if not follow or record.state in END_STATES:
                return
            time.sleep(_POLL_S)


@app.command("cancel")
def cancel(job: str = JOB, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Cancel a job: at once if it is queued, after its current step if it runs."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        record = store.jobs.request_cancel(store.jobs.find(job).id, actor=store.people.owner().id)
    if as_json:
        print_json(job_dict(record))
        return
    err.print(f"The job {record.id} {'is cancelled' if record.state == 'cancelled' else 'ends after its current step'}.")


@app.command("kinds")
def kinds(as_json: bool = AS_JSON) -> None:
    """List the kinds of job, and the options of each."""
    from yearling.cli.jobs.kinds import register_job_kinds
    from yearling.loop import list_job_kinds

    register_job_kinds()
    names = {kind.name: [each.name for each in fields(kind.options)] for kind in list_job_kinds()}
    if as_json:
        print_json(
            [
                {"kind": kind.name, "title": kind.title, "resumable": kind.is_resumable, "options": names[kind.name]}
                for kind in list_job_kinds()
            ]
        )
        return
    print_table(
        ("Kind", "What it does", "Options"), [(kind.name, kind.title, ", ".join(names[kind.name])) for kind in list_job_kinds()]
    )


@app.command("start")
def start(
    kind: str = typer.Argument(help="Kind of the job; `yearling jobs kinds` lists them."),
    option: list[str] = typer.Option([], "--set", help="An option of the job as NAME=VALUE; can be given several times."),
    detach: bool = typer.Option(False, "--detach", help="Do not wait for the job: it goes on by itself."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Start a job and follow it until it ends. Ctrl-C leaves it running. Jobs run one after the other."""
    from yearling.cli.jobs.kinds import register_job_kinds
    from yearling.loop import check_job_options, find_job_kind, parse_settings
    from yearling.store import Store

    register_job_kinds()
    settings = load_settings(data_dir=data_dir)
    found = find_job_kind(kind)
    options = check_job_options(found, parse_settings(tuple(option)))
    with Store.open(settings) as store:
        job = store.jobs.create(found.name, options, person_id=store.people.owner().id)
        run_in_background(settings)
        if not detach:
            job = follow_job(settings, store, job)
    if as_json:
        print_json(job_dict(job))
    elif detach:
        err.print(f"Started {job.id}. `yearling jobs show {job.id[-12:]}` shows how far it is.", highlight=False, soft_wrap=True)
    else:
        _print_end(job)
    raise typer.Exit(1 if job.state in ("failed", "cancelled") else 0)


@app.command("work", hidden=True)
def work(
    wait: bool = typer.Option(False, "--wait", help="Wait for a worker that runs now, and take over from it."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Run what is queued, then end. The server and `yearling jobs start` start this themselves."""
    from yearling.cli.jobs.kinds import register_job_kinds
    from yearling.loop import Worker

    register_job_kinds()
    worker = Worker(load_settings(data_dir=data_dir))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run(wait_s=None if wait else 0.0)


@app.command("execute", hidden=True)
def execute(
    job: str = typer.Argument(help="Id of the job."),
    parent: int = typer.Option(..., "--parent", help="Process of the worker."),
    on_cluster: bool = typer.Option(False, "--on-cluster", help="Run it on the Ray cluster, and watch it from here."),
    data_dir: Path | None = DATA_DIR,
) -> None:
    """Run one job in this process, for a worker."""
    from yearling.cli.jobs.kinds import register_job_kinds
    from yearling.loop import execute_job, execute_job_on_cluster

    settings = load_settings(data_dir=data_dir)
    if on_cluster:
        status = execute_job_on_cluster(settings, job, parent=parent)
    else:
        register_job_kinds()
        status = execute_job(settings, job, parent=parent)
    os._exit(status)  # threads of engines may hang; everything is stored


def run_in_background(settings: Settings) -> None:
    """Have what is queued run now, by a worker that outlives this command, unless one runs already."""
    from yearling.loop import is_worker_running, start_worker

    if not is_worker_running(settings):
        start_worker(settings)


def follow_job(settings: Settings, store: Store, job: Job) -> Job:
    """Show the progress of a job until it ends, and return it as it ended. Ctrl-C leaves it running."""
    from yearling.loop import is_worker_running
    from yearling.store import END_STATES

    shown, looked_s = "", time.monotonic()
    with err.status(f"{job.kind}: waiting") as status:
        while (job := store.jobs.get(job.id)).state not in END_STATES:
            text = f"{job.kind}: {_what(job) or 'waiting'}"
            status.update(text)
            if not err.is_terminal and text.split(":")[1] != shown:
                shown = text.split(":")[1]
                err.print(text, highlight=False, markup=False, soft_wrap=True)
            if job.state == "queued" and time.monotonic() - looked_s > 5:  # its worker was lost
                looked_s = time.monotonic()
                if not is_worker_running(settings):
                    run_in_background(settings)
            time.sleep(_POLL_S)
    return job


def job_dict(job: Job) -> dict[str, Any]:
    """A job as JSON values."""
    values = {name: getattr(job, name) for name in job.__dataclass_fields__}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _what(job: Job) -> str:
    if job.state == "queued":
        return job.reason
    if job.state == "running":
        left = f", {format_duration(job.remaining_s)} left" if job.remaining_s is not None else ""
        return f"{job.progress}{left}"
    return job.error


def format_duration(seconds: float) -> str:
    """Seconds in words: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print_end(job: Job) -> None:
    if job.state == "done":
        out.print(f"Done, {format_duration(job.cpu_s)} of processor time.", highlight=False)
        for name, value in (job.result or {}).items():
            out.print(f"  {name}: {value}", highlight=False, markup=False, soft_wrap=True)
    else:
        err.print(f"The job {job.state}. {job.error}", highlight=False, markup=False, soft_wrap=True)
        err.print(f"`yearling jobs log {job.id[-12:]}` shows its log.", highlight=False, soft_wrap=True)
