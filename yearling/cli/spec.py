"""`yearling spec`: how the assistant should behave, and whether it does."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.exam_execution import open_subject
from yearling.cli.options import AS_JSON, PARALLEL
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.chat import BehaviourSpec, Clause, SpecCase
    from yearling.config import Settings
    from yearling.evals import SpecReport
    from yearling.store import SpecOutput, SpecRun, Store

app = typer.Typer(help="How the assistant should behave, and whether it does.", no_args_is_help=True)

FOLDER = typer.Option(None, "--folder", help="A folder with system.txt, clauses/ and cases/; by default the one that is served.")


@app.command("check")
def check(
    folder: Path | None = FOLDER,
    write_ids: bool = typer.Option(False, "--write-ids", help="Add new ids to ids.txt, from which none is ever taken out."),
    as_json: bool = AS_JSON,
) -> None:
    """Check that clauses and cases fit together, both ways. Exit code 1 when something is wrong."""
    from yearling.chat import read_spec, spec_dir
    from yearling.evals import check_spec
    from yearling.evals import write_unlisted_ids as write

    spec = read_spec(folder or spec_dir())
    if write_ids and (added := write(spec)):
        err.print(f"Added {added} ids.")
        spec = read_spec(spec.folder)
    problems = check_spec(spec)
    if as_json:
        print_json({"ok": not problems, **_spec_dict(spec), "problems": [asdict(problem) for problem in problems]})
    else:
        for problem in problems:
            out.print(str(problem), highlight=False, markup=False, soft_wrap=True)
        _print_spec_summary(spec)
    raise typer.Exit(1 if problems else 0)


@app.command("list")
def list_clauses(folder: Path | None = FOLDER, as_json: bool = AS_JSON) -> None:
    """List the clauses with their levels and numbers of cases."""
    from yearling.chat import load_spec

    spec = load_spec(folder)
    counts = Counter(case.clause for case in spec.cases)
    if as_json:
        print_json({**_spec_dict(spec), "clauses": [{**asdict(one), "cases": counts[one.id]} for one in spec.clauses]})
        return
    rows = [(one.id, one.level, one.topic, counts[one.id], one.title) for one in spec.clauses]
    print_table(("Clause", "Level", "Topic", "Cases>", "What we want"), rows)
    _print_spec_summary(spec)


@app.command("show")
def show(clause: str = typer.Argument(help="The id of a clause."), folder: Path | None = FOLDER, as_json: bool = AS_JSON) -> None:
    """Show a clause: what we want and why, an example each way, and the cases that test it."""
    from yearling.chat import load_spec

    spec = load_spec(folder)
    found = spec.clause(clause)
    cases = spec.cases_for(clause)
    if as_json:
        print_json({**asdict(found), "cases": [_case_dict(case) for case in cases]})
        return
    _print_clause(found, cases)


@app.command("run")
def run(
    model: str | None = typer.Argument(None, help="The model; by default the one that answers when none is named."),
    clause: list[str] = typer.Option([], "--clause", "-c", help="Only this clause; may be given again."),
    samples: int | None = typer.Option(None, "--samples", "-n", min=1, help="Answers per twin; by default what each case says."),
    max_tokens: int = typer.Option(160, "--max-tokens", min=1, help="The longest answer."),
    parallel: int | None = PARALLEL,
    worst: int = typer.Option(10, "--worst", min=0, help="Show so many of the worst answers, verbatim."),
    fresh: bool = typer.Option(False, "--fresh", help="Start anew instead of going on with a run that was cut off."),
    folder: Path | None = FOLDER,
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models, database and blobs live."),
    as_json: bool = AS_JSON,
) -> None:
    """Put all cases to the assistant as served, and triage every failing answer into bug, policy or gap.

    What was cut off, by whatever, goes on where it stopped. The answers are kept as a run of the exam `spec` too, for comparing.
    """
    from yearling.chat import load_spec
    from yearling.evals import check_spec

    spec = load_spec(folder)
    if problems := check_spec(spec):
        err.print(f"The spec has {len(problems)} problems, the first is {problems[0]}.", style="yellow", markup=False)
    asked = {"clauses": clause, "samples": samples, "max_tokens": max_tokens, "parallel": parallel, "fresh": fresh}
    kept, report = asyncio.run(_run_spec(load_settings(data_dir=data_dir), spec, model, asked))
    _print_result(spec, kept, report, worst, as_json)


@app.command("regrade")
def regrade(
    runs: list[str] = typer.Argument(help="Ids of runs; the parts of one whole may be given together."),
    worst: int = typer.Option(10, "--worst", min=0, help="Show so many of the worst answers, verbatim."),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models, database and blobs live."),
    as_json: bool = AS_JSON,
) -> None:
    """Triage the stored answers of runs again, by the spec and the graders as they are now, and keep that as a new run."""
    from yearling.chat import load_spec
    from yearling.errors import BadInput
    from yearling.evals import regrade_spec_outputs
    from yearling.store import Store

    spec = load_spec()
    with Store.open(load_settings(data_dir=data_dir)) as store:
        earlier = [store.spec_runs.get(run_id) for run_id in dict.fromkeys(runs)]
        if len({(run.model, run.model_hash) for run in earlier}) > 1:
            raise BadInput("These runs are of different models.", advice="Regrade the runs of one model at a time.")
        report = regrade_spec_outputs(spec, [output for run in earlier for output in store.spec_runs.list_outputs(run.id)])
        kept = _save_run(store, spec, report, model=earlier[0].model, model_hash=earlier[0].model_hash)
    _print_result(spec, kept, report, worst, as_json)


async def _run_spec(
    settings: Settings, spec: BehaviourSpec, model: str | None, options: dict[str, Any]
) -> tuple[SpecRun, SpecReport]:
    from yearling.evals import run_spec
    from yearling.store import Store

    with Store.open(settings) as store, err.status("Opening the model") as shown:
        async with open_subject(settings, model, False) as subject:
            report = await run_spec(
                subject, spec, store, progress=lambda done, total: shown.update(f"{done} of {total} answers"), **options
            )
            return _save_run(store, spec, report, model=subject.model, model_hash=subject.model_hash), report


def _save_run(store: Store, spec: BehaviourSpec, report: SpecReport, *, model: str, model_hash: str) -> SpecRun:
    return store.spec_runs.add(
        report.outputs,
        model=model,
        model_hash=model_hash,
        spec_version=spec.version,
        cases_hash=spec.cases_hash,
        settings=report.settings,
        summary=report.summary,
    )


def _print_result(spec: BehaviourSpec, saved_run: SpecRun, report: SpecReport, worst: int, as_json: bool) -> None:
    bad = _worst_output_dicts(report, worst)
    if as_json:
        print_json(
            {"run": saved_run.id, "model": saved_run.model, "spec": saved_run.spec_version, **report.summary, "worst": bad}
        )
        return
    _print_report(spec, saved_run, report)
    for output in bad:
        _print_output(output)


def _spec_dict(spec: BehaviourSpec) -> dict[str, Any]:
    languages = Counter(case.language for case in spec.cases)
    return {
        "version": spec.version,
        "cases_hash": spec.cases_hash,
        "num_clauses": len(spec.clauses),
        "num_cases": len(spec.cases),
        "num_twins": sum(len(case.twins) for case in spec.cases),
        "languages": dict(languages),
        "levels": dict(Counter(clause.level for clause in spec.clauses)),
    }


def _print_spec_summary(spec: BehaviourSpec) -> None:
    facts = _spec_dict(spec)
    levels = ", ".join(f"{count} {level}s" for level, count in facts["levels"].items())
    languages = facts["languages"]
    out.print(
        f"Spec {spec.version}: {facts['num_clauses']} clauses ({levels}), {facts['num_cases']} cases "
        f"({languages.get('en', 0)} English, {languages.get('zh', 0)} Chinese) with {facts['num_twins']} twins.",
        highlight=False,
        soft_wrap=True,
    )


def _case_dict(case: SpecCase) -> dict[str, Any]:
    return {
        **asdict(case),
        "language": case.language,
        "twins": [{"messages": list(twin.messages), "facts": dict(twin.facts), "line": twin.line} for twin in case.twins],
    }


def _print_plain(text: str = "", style: str = "") -> None:
    out.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def _print_clause(clause: Clause, cases: tuple[SpecCase, ...]) -> None:
    _print_plain(clause.title, "bold")
    basis = f"basis {clause.basis}, changed by a vote of at least {clause.quorum}"
    _print_plain(f"{clause.id}: a {clause.level}; {basis}; {clause.file}:{clause.line}")
    for name, text in (("", clause.want), ("Why", clause.why), ("Good", clause.good), ("Bad", clause.bad)):
        _print_plain()
        _print_plain(f"{name}: {text}" if name else text)
    for case in cases:
        _print_plain()
        labels = f"policy {', '.join(case.policy)}; bug {', '.join(case.bug)}" if case.judge == "labels" else "a person judges"
        _print_plain(f"{case.id} ({case.grader}; {labels})", "bold")
        for twin in case.twins:
            _print_plain(f"  {' / '.join(message['content'] for message in twin.messages)}")


def _worst_output_dicts(report: SpecReport, count: int) -> list[dict[str, Any]]:
    from yearling.evals import worst_outputs

    return [_output_dict(output) for output in worst_outputs(report.outputs, count)]


def _output_dict(output: SpecOutput) -> dict[str, Any]:
    names = ("id", "case_id", "clause", "twin", "draw", "triage", "label", "evidence", "score", "messages", "output_text")
    return {name: getattr(output, name) for name in names}


def _print_report(spec: BehaviourSpec, saved_run: SpecRun, report: SpecReport) -> None:
    def row(name: str, level: str, group: dict[str, Any]) -> tuple[Any, ...]:
        mean = group["mean_score"]
        counts = tuple(group[triage] for triage in ("outputs", "passed", "policy", "bug", "gap", "person"))
        return (name, level, *counts, "" if mean is None else f"{mean:+.2f}", f"{group['cases_met']}/{group['cases']}")

    groups = report.summary["clauses"]
    rows = [row(one.id, one.level, groups[one.id]) for one in spec.clauses if one.id in groups]
    rows += [row(f"all {name}s", "", group) for name, group in report.summary["levels"].items()]
    rows += [row(f"all in {name}", "", group) for name, group in report.summary["languages"].items()]
    rows.append(row("all", "", report.summary["all"]))
    columns = ("Clause", "Level", "Answers>", "Passed>", "Policy>", "Bug>", "Gap>", "Person>", "Worth>", "Cases met>")
    print_table(columns, rows)
    _print_plain(f"Run {saved_run.id} of {saved_run.model} against spec {saved_run.spec_version}.")


def _print_output(output: dict[str, Any]) -> None:
    _print_plain()
    _print_plain(
        f"{output['case_id']}, twin {output['twin'] + 1}: {output['triage']}, {output['label']} ({output['evidence']})", "bold"
    )
    for message in output["messages"]:
        _print_plain(f"  {message['role']}: {message['content']}")
    _print_plain(f"  -> {output['output_text']}")
