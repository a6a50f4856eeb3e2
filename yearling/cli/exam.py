"""`yearling exam`: run exams on models, show and compare the results, decide gates."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out, print_json, print_table
from yearling.cli.exam_card import card
from yearling.cli.exam_execution import (
    exam_data_sources,
    find_exam_run,
    grade_inspect_log,
    print_missing_exams,
    resolve_exam,
    run_exam_on_model,
)
from yearling.cli.exam_graders import graders, judge
from yearling.cli.exam_inspect import inspect
from yearling.cli.options import AS_JSON, DATA_DIR, DATASETS_DIR, ENGINE_ONLY, LIMIT, MODEL, PARALLEL, SAMPLES, SEED, TEMPERATURE
from yearling.cli.output_file import write_lines
from yearling.cli.releases.gates import drift, gate
from yearling.config import load_settings
from yearling.errors import NotFound

if TYPE_CHECKING:
    from yearling.evals import PreferenceCorrelation
    from yearling.store import ExamRun, GradedSample

app = typer.Typer(help="Test models on exams whose cases they were never trained on.", no_args_is_help=True)
app.command("card")(card)
app.command("graders")(graders)
app.command("judge")(judge)
app.command("inspect")(inspect)
app.command("gate")(gate)
app.command("drift")(drift)

HTML = typer.Option(None, "--html", help="File for a self-contained HTML page, which is written instead of the text output.")
_INTERVAL_KEYS = ("value", "low", "high")


@app.command("list")
def list_exams(data: Path | None = DATASETS_DIR, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the exams, what each still needs before it can run, and the 20 newest runs."""
    from yearling.evals import exam_entries
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    folders = exam_data_sources(settings, data)
    with Store.open(settings) as store:
        runs = store.exams.list(limit=20)
    entries = [
        {"name": entry.name, "title": entry.title, "needs": entry.missing_requirements(folders)}
        for entry in exam_entries().values()
    ]
    if as_json:
        print_json({"exams": entries, "runs": [_run_dict(run) for run in runs]})
        return
    print_table(
        ("Exam", "What it tests", "Data"),
        [(entry["name"], entry["title"], "missing" if entry["needs"] else "ready") for entry in entries],
    )
    _print_needs({entry["name"]: entry["needs"] for entry in entries if entry["needs"]})
    if runs:
        out.print()
        print_table(("Run", "Exam", "Model", "Subject", "Score>", "Started (UTC)"), [_run_row(run) for run in runs])


def _print_needs(needs: dict[str, str]) -> None:
    """Say how to get the data of each exam, once for exams that need the same."""
    if needs:
        out.print("\nTo get what is missing:", highlight=False)
    for need in dict.fromkeys(needs.values()):
        names = ", ".join(name for name in needs if needs[name] == need)
        out.print(f"  {names}: {need}", markup=False, highlight=False, soft_wrap=True)


@app.command("pull")
def pull(
    exam: str | None = typer.Argument(None, help="Name of an exam; default: every exam whose files can be downloaded."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Download the files of exams, check each against its pinned SHA-256, and say how to get the data of other exams."""
    from yearling.evals import exam_downloads, exam_entries
    from yearling.models import fetch_file

    settings = load_settings(data_dir=data_dir)
    folders = exam_data_sources(settings, None)
    names = [exam.removesuffix("-chosen")] if exam else list(exam_downloads())
    if exam and names[0] not in exam_downloads():
        entry = exam_entries().get(exam)
        needs = entry.missing_requirements(folders) if entry else ""
        if entry and not needs:
            raise NotFound(f"The exam {exam!r} has no files to download: it is ready.", advice=f"Run `yearling exam run {exam}`.")
        problem = "has files that no package index has" if entry else "is unknown"
        known = f"Exams: {', '.join(exam_entries())}."
        raise NotFound(f"The exam {exam!r} {problem}.", advice=needs or known)
    pulled = []
    with err.status("Downloading") as status_display:
        for name in names:
            download, folder = exam_downloads()[name], folders.downloads_dir / name
            for file in download.files:
                fetch_file(
                    file.source,
                    folder / file.path,
                    sha256=file.sha256,
                    progress=lambda phase, done, total: status_display.update(f"{phase} {format_size(done)}"),
                )
            files = [asdict(file) for file in download.files]
            pulled.append({"exam": name, "folder": str(folder), "licence": download.licence, "files": files})
    all_needs = {entry.name: need for entry in exam_entries().values() if (need := entry.missing_requirements(folders))}
    if as_json:
        print_json(pulled[0] if exam else {"pulled": pulled, "needs": all_needs})
        return
    for row in pulled:
        out.print(f"{row['exam']}: {len(row['files'])} files, {row['licence']}.", highlight=False)
    if not exam:
        _print_needs(all_needs)


@app.command("run")
def run(
    exam: str = typer.Argument(help="Name of an exam, or a file or folder of YAML cases."),
    model: str | None = MODEL,
    engine_only: bool = ENGINE_ONLY,
    samples: int = SAMPLES,
    temperature: float | None = TEMPERATURE,
    limit: int = LIMIT,
    seed: int = SEED,
    parallel: int | None = PARALLEL,
    fresh: bool = typer.Option(False, "--fresh", help="Start a new run instead of resuming an interrupted one."),
    from_log: Path | None = typer.Option(
        None,
        "--from-log",
        help="Log of `yearling exam inspect` or `inspect eval` whose answers are graded; no model is called.",
    ),
    data: Path | None = DATASETS_DIR,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Run an exam on a model and record the answers with their grades. An interrupted run resumes where it stopped."""
    settings = load_settings(data_dir=data_dir)
    opened_exam = resolve_exam(exam, settings, data, samples=samples, temperature=temperature, limit=limit)
    if from_log is not None:
        exam_run = asyncio.run(grade_inspect_log(settings, opened_exam, from_log))
    else:
        exam_run = asyncio.run(run_exam_on_model(settings, opened_exam, model, engine_only, seed, parallel, fresh))
    if as_json:
        print_json(_run_dict(exam_run))
        return
    _print_run(exam_run)


@app.command("show")
def show(
    run_id: str = typer.Argument(help="Id of a run or its beginning, or the name of an exam for its newest finished run."),
    worst: int = typer.Option(10, "--worst", min=0, help="Number of worst answers to show."),
    html: Path | None = HTML,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show a run: every metric with its 95 % interval, and the worst answers."""
    from yearling.evals import render_run_page
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        exam_run = find_exam_run(store, run_id)
        worst_samples = store.exams.list_lowest_scoring(exam_run.id, worst)
        if html is not None:
            write_lines(html, [render_run_page(exam_run, worst_samples).encode()])
    if html is not None:
        err.print(f"Wrote {html}.", highlight=False, soft_wrap=True)
        return
    if as_json:
        print_json({**_run_dict(exam_run), "worst": [_sample_dict(sample) for sample in worst_samples]})
        return
    _print_run(exam_run)
    for sample in worst_samples:
        out.rule(f"{sample.case_key}: {sample.score:g} {sample.label}", align="left", style="dim")
        out.print(_last_question(sample), style="dim", markup=False, highlight=False, soft_wrap=True)
        out.print(sample.output_text or sample.error, markup=False, highlight=False, soft_wrap=True)


@app.command("compare")
def compare(
    champion: str = typer.Argument(help="Run of the champion, the model that is served now: an id or its beginning."),
    challenger: str = typer.Argument(help="Run of the challenger on the same exam: an id or its beginning."),
    html: Path | None = HTML,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Compare two runs case by case: the difference with its 95 % interval, an exact test, and the cases that changed most."""
    from yearling.evals import compare_runs, comparison_to_json, render_comparison_page
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        comparison = compare_runs(store, find_exam_run(store, champion).id, find_exam_run(store, challenger).id)
    if html is not None:
        write_lines(html, [render_comparison_page(comparison).encode()])
        err.print(f"Wrote {html}.", highlight=False, soft_wrap=True)
        return
    if as_json:
        print_json(comparison_to_json(comparison))
        return
    paired, interval = comparison.paired, comparison.interval
    difference = f"{interval.value:+.2%} (95 % from {interval.low:+.2%} to {interval.high:+.2%}) over {paired.n} units"
    models = f"{comparison.challenger.model} against {comparison.champion.model}"
    out.print(f"{comparison.exam}: {models}: {difference}.", highlight=False, soft_wrap=True)
    out.print(
        f"Better {paired.wins}, worse {paired.losses}; {paired.test}, one-sided p = {paired.p_better:.4f}.", highlight=False
    )
    out.print(f"This many pairs can detect a difference of {paired.detectable:.1%} or more.", highlight=False)
    for label, better in (("Lost", False), ("Won", True)):
        for pair in comparison.most_changed(better=better, limit=5):
            out.print(f"{label}: {pair.key} {pair.prompt[:100]!r}", markup=False, highlight=False, soft_wrap=True)


@app.command("replay")
def replay(
    run_id: str = typer.Argument(help="Id of a finished run or its beginning, or the name of an exam for its newest one."),
    data: Path | None = DATASETS_DIR,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Grade every stored answer of a run again, without a model. Exit code 1 if a verdict differs."""
    from yearling.evals import regrade_run
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store:
        exam_run = find_exam_run(store, run_id)
        exam = resolve_exam(exam_run.exam, settings, data, run=exam_run)
        result = regrade_run(exam, store, exam_run.id)
    if as_json:
        print_json({"run": exam_run.id, "samples": result.num_samples, "changed": [list(change) for change in result.changed]})
    else:
        out.print(f"{result.num_samples} answers graded again, {len(result.changed)} verdicts differ.", highlight=False)
    raise typer.Exit(1 if result.changed else 0)


def _run_dict(run: ExamRun) -> dict[str, object]:
    return {**asdict(run), "finished": run.finished_utc is not None}


def _format_score(run: ExamRun) -> str:
    if run.finished_utc is None:
        return "unfinished"
    value = run.summary["measures"][0]["value"]
    return "" if value is None else f"{value:.3f}"


def _run_row(run: ExamRun) -> tuple[str, ...]:
    return run.id[:13], run.exam, run.model, run.subject, _format_score(run), f"{run.created_utc:%Y-%m-%d %H:%M}"


def _sample_dict(sample: GradedSample) -> dict[str, object]:
    names = ("case_key", "draw", "score", "label", "messages", "output_text", "finish_reason", "verdict", "error", "seed")
    return {name: getattr(sample, name) for name in names}


def _last_question(sample: GradedSample) -> str:
    from yearling.evals import last_user_text

    return last_user_text(sample.messages)


def _print_run(run: ExamRun) -> None:
    summary = run.summary
    out.print(f"{run.settings['title']}: {run.model}, {run.subject}, run {run.id}", highlight=False, soft_wrap=True)
    if run.finished_utc is None:
        err.print("The run was interrupted; `yearling exam run` resumes it.")
        return
    rows = [
        (measure["name"], *("–" if measure[key] is None else f"{measure[key]:.3f}" for key in _INTERVAL_KEYS), measure["n"])
        for measure in summary["measures"]
    ]
    rows += [(f"  {name}", *(f"{part[key]:.3f}" for key in _INTERVAL_KEYS), part["n"]) for name, part in summary["parts"].items()]
    print_table(("Metric", "Value>", "95 % from>", "to>", "n>"), rows)
    draws = summary["draws"]
    if draws["per_case"] > 1:
        spread = f"mean {draws['mean']:.3f}, worst {draws['worst']:.3f}, best {draws['best']:.3f}"
        out.print(f"{draws['per_case']} answers per case: {spread}.", highlight=False)
    counts = f"{summary['samples']} samples, {summary['cut_off']} cut off, {summary['errors']} errors; grader {run.grader}"
    gates = "may gate" if run.settings["card"]["may_gate"] else "may not gate"
    out.print(f"{counts}, {gates}.", highlight=False, soft_wrap=True)


@app.command("useful")
def useful(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Show whether the score of each exam agrees with people's blinded preferences, over the checkpoints of a model."""
    from yearling.evals import correlate_exams_with_preference
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        correlations = correlate_exams_with_preference(store)
    if as_json:
        print_json([_correlation_dict(correlation) for correlation in correlations])
        return
    rows = [
        (
            entry.exam,
            entry.checkpoints,
            *("–" if value is None else f"{value:+.2f}" for value in (entry.correlation, entry.low, entry.high)),
            entry.conclusion,
        )
        for entry in correlations
    ]
    print_table(("Exam", "Checkpoints>", "Spearman>", "95 % from>", "to>", ""), rows)


def _correlation_dict(correlation: PreferenceCorrelation) -> dict[str, object]:
    fields = asdict(correlation)
    return {"suite": fields.pop("exam"), "said": fields.pop("conclusion"), **fields}


@app.command("leaks")
def leaks(data: Path | None = DATASETS_DIR, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Search every lesson set for questions of exams. Exit code 1 if one is found."""
    from yearling.evals import find_leaks, fingerprint_exams
    from yearling.store import Store
    from yearling.tasks import open_lesson_set

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store, err.status("Reading the exams"):
        exams, missing = fingerprint_exams(settings.data_dir / "exams", data)
        sets = [open_lesson_set(store, record.hash) for record in store.lesson_sets.list()]
        exam_leaks = [leak for lesson_set in sets for leak in find_leaks(lesson_set, exams)]
    if as_json:
        print_json(
            {
                "sets": len(sets),
                "exams": [fingerprint.exam for fingerprint in exams],
                "missing": missing,
                "leaks": [{"lessons": leak.lesson_set, "key": leak.key, "exam": leak.exam} for leak in exam_leaks],
            }
        )
    else:
        out.print(f"{len(sets)} lesson sets, {len(exams)} exams: {len(exam_leaks)} leaks.", highlight=False)
        for leak in exam_leaks:
            out.print(f"{leak.lesson_set[:12]} {leak.key}: {leak.exam}", highlight=False)
        print_missing_exams(missing)
    raise typer.Exit(1 if exam_leaks else 0)
