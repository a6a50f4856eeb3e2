"""`yearling exam`: put exams to models, show and compare what came out."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, format_size, out, print_json, print_table
from yearling.cli.exam_card import card
from yearling.cli.exam_execution import exam_data_sources, grade_inspect_log, resolve_exam, run_exam_on_model
from yearling.cli.exam_graders import graders, judge
from yearling.cli.exam_inspect import inspect
from yearling.cli.options import AS_JSON, DATA_DIR, DATASETS_DIR, ENGINE_ONLY, LIMIT, MODEL, PARALLEL, SAMPLES, SEED, TEMPERATURE
from yearling.config import load_settings
from yearling.errors import BadInput, NotFound

if TYPE_CHECKING:
    from yearling.store import ExamRun, GradedSample, Store

app = typer.Typer(help="Prove on cases that it never saw how good a model is.", no_args_is_help=True)
app.command("card")(card)
app.command("graders")(graders)
app.command("judge")(judge)
app.command("inspect")(inspect)


@app.command("list")
def list_exams(data: Path | None = DATASETS_DIR, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """List the exams, whether each can be sat now, and the newest runs."""
    from yearling.evals import exam_entries
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    places = exam_data_sources(settings, data)
    with Store.open(settings) as store:
        runs = store.exams.list(limit=20)
    entries = [
        {"name": one.name, "title": one.title, "needs": one.missing_requirements(places)} for one in exam_entries().values()
    ]
    if as_json:
        print_json({"exams": entries, "runs": [_run_dict(run) for run in runs]})
        return
    print_table(
        ("Exam", "What", "Before it can be sat"), [(one["name"], one["title"], one["needs"] or "ready") for one in entries]
    )
    if runs:
        out.print()
        print_table(("Run", "Exam", "Model", "Subject", "Score>", "When"), [_run_row(run) for run in runs])


@app.command("pull")
def pull(exam: str = typer.Argument(help="The exam's name."), data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Fetch the files of an exam, each checked against its pinned hash."""
    from yearling.evals import exam_downloads
    from yearling.models import fetch_file

    settings = load_settings(data_dir=data_dir)
    if exam not in exam_downloads():
        raise NotFound(f"Nothing is fetched for the exam {exam!r}.", advice=f"Fetched are: {', '.join(exam_downloads())}.")
    wanted = exam_downloads()[exam]
    folder = exam_data_sources(settings, None).downloads_dir / exam
    with err.status("Fetching") as shown:
        for file in wanted.files:
            fetch_file(
                file.source,
                folder / file.path,
                sha256=file.sha256,
                progress=lambda phase, done, total: shown.update(f"{phase} {format_size(done)}"),
            )
    if as_json:
        print_json(
            {"exam": exam, "folder": str(folder), "licence": wanted.licence, "files": [asdict(one) for one in wanted.files]}
        )
        return
    out.print(f"{exam}: {len(wanted.files)} files, {wanted.licence}.", highlight=False)


@app.command("run")
def run(
    exam: str = typer.Argument(help="An exam's name, or a folder or file of YAML cases."),
    model: str | None = MODEL,
    engine_only: bool = ENGINE_ONLY,
    samples: int = SAMPLES,
    temperature: float | None = TEMPERATURE,
    limit: int = LIMIT,
    seed: int = SEED,
    parallel: int | None = PARALLEL,
    fresh: bool = typer.Option(False, "--fresh", help="Start anew instead of going on with a run that was cut off."),
    from_log: Path | None = typer.Option(
        None, "--from-log", help="Take the answers from this log of `yearling exam inspect` or `inspect eval`, asking no model."
    ),
    data: Path | None = DATASETS_DIR,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Sit an exam. A run that was cut off, by whatever, goes on where it stopped."""
    settings = load_settings(data_dir=data_dir)
    paper = resolve_exam(exam, settings, data, samples=samples, temperature=temperature, limit=limit)
    if from_log is not None:
        finished = asyncio.run(grade_inspect_log(settings, paper, from_log))
    else:
        finished = asyncio.run(run_exam_on_model(settings, paper, model, engine_only, seed, parallel, fresh))
    if as_json:
        print_json(_run_dict(finished))
        return
    _print_run(finished)


@app.command("show")
def show(
    run_id: str = typer.Argument(help="The id of a run, or its beginning; or an exam's name for its newest run."),
    worst: int = typer.Option(10, "--worst", min=0, help="So many of the worst answers, verbatim."),
    html: Path | None = typer.Option(None, "--html", help="Write a page of its own to this file instead."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show a run: every measure with its interval, and the worst answers verbatim."""
    from yearling.cli.output_file import write_lines
    from yearling.evals import render_run_page
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        found = _find_run(store, run_id)
        low = store.exams.list_lowest_scoring(found.id, worst)
        if html is not None:
            write_lines(html, [render_run_page(found, low).encode()])
    if html is not None:
        err.print(f"Wrote {html}.", highlight=False, soft_wrap=True)
        return
    if as_json:
        print_json({**_run_dict(found), "worst": [_sample_dict(one) for one in low]})
        return
    _print_run(found)
    for one in low:
        out.rule(f"{one.case_key}: {one.score:g} {one.label}", align="left", style="dim")
        out.print(_last_question(one), style="dim", markup=False, highlight=False, soft_wrap=True)
        out.print(one.output_text or one.error, markup=False, highlight=False, soft_wrap=True)


@app.command("compare")
def compare(
    champion: str = typer.Argument(help="A run of the model that serves now."),
    challenger: str = typer.Argument(help="A run of the same exam by the other model."),
    html: Path | None = typer.Option(None, "--html", help="Write a page of its own to this file instead."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Compare two runs case by case: the difference with its interval, the exact test, and what turned."""
    from yearling.cli.output_file import write_lines
    from yearling.evals import compare_runs as compare_runs
    from yearling.evals import comparison_to_json, render_comparison_page
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        found = compare_runs(store, _find_run(store, champion).id, _find_run(store, challenger).id)
    if html is not None:
        write_lines(html, [render_comparison_page(found).encode()])
        err.print(f"Wrote {html}.", highlight=False, soft_wrap=True)
        return
    facts = comparison_to_json(found)
    if as_json:
        print_json(facts)
        return
    paired, interval = found.paired, found.interval
    said = f"{interval.value:+.2%} (95 % from {interval.low:+.2%} to {interval.high:+.2%}) over {paired.n} units"
    out.print(f"{found.exam}: {found.challenger.model} against {found.champion.model}: {said}.", highlight=False, soft_wrap=True)
    out.print(
        f"Better {paired.wins}, worse {paired.losses}; {paired.test}, one-sided p = {paired.p_better:.4f}.", highlight=False
    )
    out.print(f"So many pairs show a difference of {paired.detectable:.1%} or more.", highlight=False)
    for word, better in (("Lost", False), ("Won", True)):
        for pair in found.most_changed(better=better, limit=5):
            out.print(f"{word}: {pair.key} {pair.prompt[:100]!r}", markup=False, highlight=False, soft_wrap=True)


@app.command("gate")
def gate(
    target: list[str] = typer.Option(..., "--target", help="CHAMPION:CHALLENGER, two runs of an exam that should get better."),
    guard: list[str] = typer.Option([], "--guard", help="CHAMPION:CHALLENGER, two runs of an exam that must not get worse."),
    margin: float = typer.Option(0.04, "--margin", help="How much worse, in score, a guard may be."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Decide ALLOW, REJECT or INCONCLUSIVE over several exams, and record it. Exit code 1 unless it is ALLOW."""
    from yearling.evals import GateRule, correlate_exams_with_preference, evaluate_gate, gate_to_json
    from yearling.evals import compare_runs as compare_runs
    from yearling.store import Store

    rule = GateRule(margin=margin)
    with Store.open(load_settings(data_dir=data_dir)) as store:
        pairs = [[compare_runs(store, *_find_run_pair(store, one), rule) for one in some] for some in (target, guard)]
        result = evaluate_gate(pairs[0], pairs[1], rule, correlations=correlate_exams_with_preference(store))
        first = pairs[0][0]
        if any(
            (one.champion.model_hash, one.challenger.model_hash) != (first.champion.model_hash, first.challenger.model_hash)
            for one in [*pairs[0], *pairs[1]]
        ):
            raise BadInput("The runs are not all of the same two models.")
        body = gate_to_json(result, {one.exam: one for one in [*pairs[0], *pairs[1]]})
        record = store.gates.record(
            champion=first.champion.model_hash,
            challenger=first.challenger.model_hash,
            decision=result.decision,
            body=body,
            actor=store.people.owner().name,
        )
    if as_json:
        print_json({"id": record.id, **body})
    else:
        out.print(result.decision, style="bold")
        rows = [
            (one.exam, one.role, one.decision, f"{one.paired.difference:+.2%}", f"{one.p_adjusted:.4f}", one.why)
            for one in result.findings
        ]
        print_table(("Exam", "Role", "Decision", "Difference>", "p>", "Why"), rows)
    raise typer.Exit(0 if result.decision == "ALLOW" else 1)


@app.command("replay")
def replay(
    run_id: str = typer.Argument(help="A finished run."),
    data: Path | None = DATASETS_DIR,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Grade every stored answer of a run again, without a model. Exit code 1 when a verdict differs."""
    from yearling.evals import regrade_run
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store:
        found = _find_run(store, run_id)
        paper = resolve_exam(found.exam, settings, data, run=found)
        result = regrade_run(paper, store, found.id)
    if as_json:
        print_json({"run": found.id, "samples": result.num_samples, "changed": [list(one) for one in result.changed]})
    else:
        out.print(f"{result.num_samples} answers graded again, {len(result.changed)} verdicts differ.", highlight=False)
    raise typer.Exit(1 if result.changed else 0)


def _find_run(store: Store, name: str) -> ExamRun:
    newest = [run for run in store.exams.list(exam=name, limit=20) if run.finished_utc is not None]
    return newest[0] if newest else store.exams.get(name)


def _find_run_pair(store: Store, pair: str) -> tuple[str, str]:
    champion, colon, challenger = pair.rpartition(":")
    if not colon:
        raise BadInput(f"{pair!r} does not name two runs.", advice="Write CHAMPION:CHALLENGER.")
    return _find_run(store, champion).id, _find_run(store, challenger).id


def _run_dict(run: ExamRun) -> dict[str, Any]:
    return {**asdict(run), "finished": run.finished_utc is not None}


def _format_score(run: ExamRun) -> str:
    if run.finished_utc is None:
        return "unfinished"
    value = run.summary["measures"][0]["value"]
    return "" if value is None else f"{value:.3f}"


def _run_row(run: ExamRun) -> tuple[str, ...]:
    return run.id[:13], run.exam, run.model, run.subject, _format_score(run), f"{run.created_utc:%Y-%m-%d %H:%M}"


def _sample_dict(sample: GradedSample) -> dict[str, Any]:
    kept = ("case_key", "draw", "score", "label", "messages", "output_text", "finish_reason", "verdict", "error", "seed")
    return {name: getattr(sample, name) for name in kept}


def _last_question(sample: GradedSample) -> str:
    from yearling.evals import last_user_text

    return last_user_text(sample.messages)


def _print_run(run: ExamRun) -> None:
    summary = run.summary
    out.print(f"{run.settings['title']}: {run.model}, {run.subject}, run {run.id}", highlight=False, soft_wrap=True)
    if run.finished_utc is None:
        err.print("The run was cut off; `yearling exam run` goes on with it.")
        return
    rows = [
        (one["name"], *("–" if one[key] is None else f"{one[key]:.3f}" for key in ("value", "low", "high")), one["n"])
        for one in summary["measures"]
    ]
    rows += [
        (f"  {name}", *(f"{one[key]:.3f}" for key in ("value", "low", "high")), one["n"])
        for name, one in summary["parts"].items()
    ]
    print_table(("Measure", "Value>", "95 % from>", "to>", "n>"), rows)
    draws = summary["draws"]
    if draws["per_case"] > 1:
        said = (
            f"{draws['per_case']} draws a case: mean {draws['mean']:.3f}, worst {draws['worst']:.3f}, best {draws['best']:.3f}."
        )
        out.print(said, highlight=False)
    counted = f"{summary['samples']} samples, {summary['cut_off']} cut off, {summary['errors']} errors; grader {run.grader}"
    gates = "may gate" if run.settings["card"]["may_gate"] else "reports only, may not gate"
    out.print(f"{counted}, {gates}.", highlight=False, soft_wrap=True)


@app.command("useful")
def useful(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Show whether people want what each exam measures: its scores against blinded preference, over checkpoints."""
    from yearling.evals import correlate_exams_with_preference
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        found = correlate_exams_with_preference(store)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (
            one.suite,
            one.checkpoints,
            *("–" if figure is None else f"{figure:+.2f}" for figure in (one.correlation, one.low, one.high)),
            one.said,
        )
        for one in found
    ]
    print_table(("Exam", "Checkpoints>", "Spearman>", "95 % from>", "to>", ""), rows)


@app.command("leaks")
def leaks(data: Path | None = DATASETS_DIR, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Search every lesson set for what exams ask. Exit code 1 when something is found."""
    from yearling.evals import find_leaks, fingerprint_exams
    from yearling.store import Store
    from yearling.tasks import open_lesson_set

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store, err.status("Reading the exams"):
        exams, missing = fingerprint_exams(settings.data_dir / "exams", data)
        sets = [open_lesson_set(store, record.hash) for record in store.lesson_sets.list()]
        found = [leak for one in sets for leak in find_leaks(one, exams)]
    if as_json:
        print_json(
            {"sets": len(sets), "exams": [one.exam for one in exams], "missing": missing, "leaks": [asdict(one) for one in found]}
        )
    else:
        out.print(f"{len(sets)} lesson sets, {len(exams)} exams: {len(found)} leaks.", highlight=False)
        for one in found:
            out.print(f"{one.lessons[:12]} {one.key}: {one.exam}", highlight=False)
        if missing:
            err.print(f"Not searched for, since they are not here: {', '.join(missing)}.", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if found else 0)
