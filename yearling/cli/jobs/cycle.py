"""`yearling cycle`: learn from what people agree on, prove that it helps, and release it step by step, in one command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.jobs.commands import follow_job, format_duration, job_dict, run_in_background
from yearling.cli.options import AS_JSON, DATA_DIR, YES
from yearling.config import Settings, load_settings
from yearling.errors import Conflict, NotFound

if TYPE_CHECKING:
    from yearling.cli.jobs.demo_corrections import PartScores
    from yearling.loop import CycleOptions
    from yearling.store import Job, JobState, Store

app = typer.Typer(
    help="Learn from what people agree on, prove that it helps, and release it: one command, in resumable steps.",
    invoke_without_command=True,
)

CYCLE = typer.Argument("latest", help="Id of the cycle, a unique part of its beginning or end, or `latest`.")
_ACTIVE_STATES: tuple[JobState, ...] = ("queued", "running")


@app.callback()
def cycle(
    context: typer.Context,
    plan: bool = typer.Option(False, "--plan", help="Print the plan and do nothing."),
    yes: bool = YES,
    until: str = typer.Option("promotion", "--until", help="Last step: gate, proposal, canary or promotion."),
    method: str = typer.Option("auto", "--method", help="Training method: sft, dpo, kto, or auto for the one with most lessons."),
    setting: list[str] = typer.Option([], "--set", help="A setting of the method as NAME=VALUE; can be given several times."),
    practice: bool = typer.Option(
        False, "--practice", help="Practise tasks whose answers a program checks, instead of learning from judgements."
    ),
    feedback: Path | None = typer.Option(
        None, "--from", help="File of judgements to import first, such as a published data set.", exists=True, dir_okay=False
    ),
    format: str = typer.Option("jsonl", "--format", help="Format of that file: jsonl (ours), pairs or annotators."),
    demo: bool = typer.Option(
        False, "--demo", help="Show a whole cycle on a fresh installation of its own, in the folder `demo` of the data folder."
    ),
    long: bool = typer.Option(False, "--long", help="With --demo: learn and test more, for up to an hour."),
    detach: bool = typer.Option(False, "--detach", help="Do not wait for the cycle: it goes on by itself."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Run a learning cycle: consensus, lessons, training, exams, gate, proposal, canary, promotion.

    It is a job: Ctrl-C leaves it running, and a power failure does not end it. Where the gate refuses, it ends there; where
    people have to sign, it waits for them."""
    if context.invoked_subcommand is not None:
        return
    from yearling.loop import CycleOptions

    settings = load_settings(data_dir=data_dir)
    options = CycleOptions(source="practice" if practice else "judgements", method=method, settings=tuple(setting), until=until)
    known: PartScores | None = None
    if demo:
        from yearling.cli.jobs.demo import LONG, SHORT, demo_options, prepare_demo
        from yearling.cli.jobs.demo_corrections import show_corrections

        size, installed_in = LONG if long else SHORT, settings
        settings, options = prepare_demo(installed_in, size), demo_options(size)
        known = None if as_json else show_corrections(settings, installed_in)[-1]  # what the base knew before
        yes = True
    if feedback is not None and not plan:
        _import_judgements(settings, feedback, format)
    has_problem = _print_plan(settings, options, as_json=as_json and plan)
    if plan:
        raise typer.Exit(1 if has_problem else 0)
    if not yes:
        typer.confirm("Start?", abort=True, err=True)
    if demo and not as_json:
        err.print(f"Everything of the demo lies in {settings.data_dir}.", highlight=False, soft_wrap=True)
    job = _start(settings, options, detach=detach, as_json=as_json)
    if known is not None and job.result is not None:
        _print_demo_end(settings, job.result, known)
    raise typer.Exit(1 if job.state in ("failed", "cancelled") else 0)


@app.command("status")
def status(cycle: str = CYCLE, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Show a cycle: its steps, and its report once it has ended."""
    from yearling.loop import STEPS, find_cycle

    folder = find_cycle(load_settings(data_dir=data_dir), cycle)
    records = {record.name: record for record in folder.steps()}
    end = folder.read_end()
    if as_json:
        print_json(
            {
                "cycle": folder.id,
                "steps": [asdict(record) for record in records.values()],
                "end": None if end is None else asdict(end),
                "report": folder.read_report(),
            }
        )
        return
    rows = [
        (name, "done" if name in records else "", format_duration(records[name].cpu_s) if name in records else "")
        for name in STEPS
    ]
    print_table(("Step", "State", "Processor time>"), rows)
    if end is not None:
        report = folder.path / "report.txt"
        text = report.read_text(encoding="utf-8") if report.exists() else f"{end.why} {end.advice}"
        out.print(f"\n{text}", highlight=False, markup=False, soft_wrap=True)


@app.command("resume")
def resume(
    cycle: str = CYCLE,
    detach: bool = typer.Option(False, "--detach", help="Do not wait for the cycle: it goes on by itself."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Go on with a cycle that waits for signatures or for its canary, or that was stopped."""
    from yearling.loop import find_cycle

    settings = load_settings(data_dir=data_dir)
    folder = find_cycle(settings, cycle)
    if (end := folder.read_end()) is not None and end.outcome not in ("waiting", "stopped"):
        raise Conflict(f"The cycle {folder.id} has ended: {end.why}", advice="Start a new one with `yearling cycle`.")
    options = replace(folder.start().options, resume=folder.id)
    job = _start(settings, options, detach=detach, as_json=as_json)
    raise typer.Exit(1 if job.state in ("failed", "cancelled") else 0)


@app.command("stop")
def stop(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Stop the running cycle after its current step of work. `yearling cycle resume` goes on with it."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        job = _find_active(store)
        if job is None:
            raise NotFound("No cycle runs.", advice="`yearling cycle status` shows the last one.")
        job = store.jobs.request_cancel(job.id, actor=store.people.owner().id)
    if as_json:
        print_json(job_dict(job))
        return
    err.print("The cycle stops after its current step. Go on with `yearling cycle resume`.", highlight=False)


def _start(settings: Settings, options: CycleOptions, *, detach: bool, as_json: bool) -> Job:
    """Queue the cycle as a job, follow it, and return it."""
    from yearling.cli.jobs.kinds import register_job_kinds
    from yearling.loop import check_job_options, find_job_kind
    from yearling.store import Store

    register_job_kinds()
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(options).items()}
    with Store.open(settings) as store:
        if (active := _find_active(store)) is not None:
            raise Conflict(f"The cycle of the job {active.id} is not done.", advice="Wait for it, or `yearling cycle stop`.")
        job = store.jobs.create("cycle", check_job_options(find_job_kind("cycle"), values), person_id=store.people.owner().id)
        run_in_background(settings)
        if not detach:
            job = follow_job(settings, store, job)
    if as_json:
        print_json(job_dict(job))
    elif detach:
        err.print("The cycle runs in the background. `yearling cycle status` shows how far it is.", highlight=False)
    elif job.result is not None:
        from yearling.loop import report_text

        out.print(report_text(job.result), highlight=False, markup=False, soft_wrap=True)
    else:
        err.print(f"The cycle {job.state}. {job.error}", highlight=False, markup=False, soft_wrap=True)
    return job


def _print_demo_end(settings: Settings, report: Mapping[str, Any], known: PartScores) -> None:
    """What the new model forgot, where to see the demo, and how to go back."""
    from yearling.cli.jobs.demo_corrections import show_forgetting

    if report["challenger"]:
        show_forgetting(settings, report["challenger"], known)
    folder = shlex.quote(str(settings.data_dir))
    address = f"http://127.0.0.1:{settings.port}/cycles/{report['cycle']}"
    lines = [f"See it on the page: `yearling serve --data-dir {folder}`, then {address}"]
    if report["outcome"] == "promoted":
        lines.append(f"Go back, in the demo: `yearling release rollback --data-dir {folder}`")
    out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _find_active(store: Store) -> Job | None:
    return next(iter(store.jobs.list(kind="cycle", states=_ACTIVE_STATES, limit=1)), None)


def _print_plan(settings: Settings, options: CycleOptions, *, as_json: bool) -> bool:
    """Print the plan. Returns whether something would keep the cycle from ending well."""
    from yearling.cli.jobs.cycle_tools import LocalCycleTools
    from yearling.loop import plan_cycle, plan_text
    from yearling.store import Store

    with Store.open(settings) as store, err.status("Making the plan"):
        plan = plan_cycle(settings, store, options, LocalCycleTools(settings, store).champion())
    if as_json:
        print_json({**asdict(plan), "expected_s": plan.expected_s})
    else:
        err.print(plan_text(plan), highlight=False, markup=False, soft_wrap=True)
    return bool(plan.problems)


def _import_judgements(settings: Settings, path: Path, format: str) -> None:
    """Import judgements of others, all or nothing. Importing the same file again changes nothing."""
    from yearling.feedback import import_feedback_file, parse_file_format
    from yearling.store import Store

    file_format = parse_file_format(format)
    with Store.open(settings) as store, err.status("Importing judgements"):
        report = import_feedback_file(store, path, file_format)
    kept = ", ".join(f"{count} {kind}s" for kind, count in report.kept.items())
    err.print(
        f"Imported from {path.name}: {kept or 'nothing new'}, of {report.raters} people; {report.already_there} were there.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
