"""`yearling spec`: check and show the behaviour spec, and test the assistant against it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.exam_execution import open_subject
from yearling.cli.options import AS_JSON, DATA_DIR, PARALLEL
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.chat import BehaviourSpec, Clause, SpecCase
    from yearling.config import Settings
    from yearling.evals import SpecReport
    from yearling.store import SpecOutput, SpecRun, Store

app = typer.Typer(help="Check the behaviour spec, and test the assistant against it.", no_args_is_help=True)

FOLDER = typer.Option(
    None, "--folder", help="Folder of a spec, with system.txt, clauses/ and cases/; default: the spec that is served."
)
WORST = typer.Option(10, "--worst", min=0, help="Number of worst answers to show.")


@app.command("check")
def check(
    folder: Path | None = FOLDER,
    write_ids: bool = typer.Option(False, "--write-ids", help="Add new ids to ids.txt, which keeps every id for ever."),
    as_json: bool = AS_JSON,
) -> None:
    """Check that the clauses and the cases of a spec fit together. Exit code 1 if there is a problem."""
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
    """List the clauses with their level and their number of cases."""
    from yearling.chat import load_spec

    spec = load_spec(folder)
    counts = Counter(case.clause for case in spec.cases)
    if as_json:
        clauses = [{**asdict(clause), "cases": counts[clause.id]} for clause in spec.clauses]
        print_json({**_spec_dict(spec), "clauses": clauses})
        return
    rows = [(clause.id, clause.level, clause.topic, counts[clause.id], clause.title) for clause in spec.clauses]
    print_table(("Clause", "Level", "Topic", "Cases>", "Title"), rows)
    _print_spec_summary(spec)


@app.command("show")
def show(clause: str = typer.Argument(help="Id of a clause."), folder: Path | None = FOLDER, as_json: bool = AS_JSON) -> None:
    """Show a clause: what it asks for and why, a good and a bad example, and the cases that test it."""
    from yearling.chat import load_spec

    spec = load_spec(folder)
    record = spec.clause(clause)
    cases = spec.cases_for(clause)
    if as_json:
        print_json({**asdict(record), "cases": [_case_dict(case) for case in cases]})
        return
    _print_clause(record, cases)


@app.command("run")
def run(
    model: str | None = typer.Argument(None, help="Name of the model to test; default: the setting `model`."),
    clause: list[str] = typer.Option([], "--clause", "-c", help="Id of a clause to test, instead of all; can be repeated."),
    samples: int | None = typer.Option(None, "--samples", "-n", min=1, help="Answers per twin; default: what each case sets."),
    max_tokens: int = typer.Option(160, "--max-tokens", min=1, help="Most tokens of an answer."),
    parallel: int | None = PARALLEL,
    worst: int = WORST,
    fresh: bool = typer.Option(False, "--fresh", help="Start a new run instead of resuming an interrupted one."),
    folder: Path | None = FOLDER,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Test the assistant as it is served against all cases, and classify every failing answer as bug, policy or gap.

    An interrupted run resumes where it stopped. The answers are also recorded as a run of the exam `spec`, for comparisons.
    """
    from yearling.chat import load_spec
    from yearling.evals import check_spec

    spec = load_spec(folder)
    if problems := check_spec(spec):
        err.print(f"The spec has {len(problems)} problems, the first is {problems[0]}.", style="yellow", markup=False)
    options = {"clauses": clause, "samples": samples, "max_tokens": max_tokens, "parallel": parallel, "fresh": fresh}
    saved_run, report = asyncio.run(_run_spec(load_settings(data_dir=data_dir), spec, model, options))
    _print_result(spec, saved_run, report, worst, as_json)


@app.command("regrade")
def regrade(
    runs: list[str] = typer.Argument(help="Ids of runs of one model; several are regraded together as one run."),
    worst: int = WORST,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Classify the stored answers of runs again with the current spec and graders, and record the result as a new run."""
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
        saved_run = save_spec_run(store, spec, report, model=earlier[0].model, model_hash=earlier[0].model_hash)
    _print_result(spec, saved_run, report, worst, as_json)


async def _run_spec(
    settings: Settings, spec: BehaviourSpec, model: str | None, options: Mapping[str, Any]
) -> tuple[SpecRun, SpecReport]:
    from yearling.evals import run_spec
    from yearling.store import Store

    with Store.open(settings) as store, err.status("Opening the model") as status:
        async with open_subject(settings, store, model, False) as subject:
            report = await run_spec(
                subject, spec, store, progress=lambda done, total: status.update(f"{done} of {total} answers"), **options
            )
            return save_spec_run(store, spec, report, model=subject.model, model_hash=subject.model_hash), report


def save_spec_run(store: Store, spec: BehaviourSpec, report: SpecReport, *, model: str, model_hash: str) -> SpecRun:
    """Store the report of a run of the spec, unless the same run of its exam is stored already."""
    exam_run = report.settings.get("exam_run")
    for saved in store.spec_runs.list(limit=100) if exam_run else ():
        if saved.settings.get("exam_run") == exam_run:
            return saved
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
    outputs = _worst_output_dicts(report, worst)
    if as_json:
        facts = {"run": saved_run.id, "model": saved_run.model, "spec": saved_run.spec_version}
        print_json({**facts, **report.summary, "worst": outputs})
        return
    _print_report(spec, saved_run, report)
    for output in outputs:
        _print_output(output)


class _SpecFacts(TypedDict):
    version: str
    cases_hash: str
    num_clauses: int
    num_cases: int
    num_twins: int
    languages: dict[str, int]
    levels: dict[str, int]


def _spec_dict(spec: BehaviourSpec) -> _SpecFacts:
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


def _case_dict(case: SpecCase) -> dict[str, object]:
    return {
        **asdict(case),
        "language": case.language,
        "twins": [{"messages": list(twin.messages), "facts": dict(twin.facts), "line": twin.line} for twin in case.twins],
    }


def _print_plain(text: str = "", style: str = "") -> None:
    out.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def _print_clause(clause: Clause, cases: tuple[SpecCase, ...]) -> None:
    _print_plain(clause.title, "bold")
    basis = f"basis {clause.basis}, quorum {clause.quorum} (recorded; voting is planned)"
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


def _worst_output_dicts(report: SpecReport, count: int) -> list[dict[str, object]]:
    from yearling.evals import worst_outputs

    return [_output_dict(output) for output in worst_outputs(report.outputs, count)]


def _output_dict(output: SpecOutput) -> dict[str, object]:
    names = ("id", "case_id", "clause", "twin", "draw", "triage", "label", "evidence", "score", "messages", "output_text")
    return {name: getattr(output, name) for name in names}


def _print_report(spec: BehaviourSpec, saved_run: SpecRun, report: SpecReport) -> None:
    def row(name: str, level: str, group: Mapping[str, Any]) -> tuple[object, ...]:
        mean = group["mean_score"]
        counts = tuple(group[triage] for triage in ("outputs", "passed", "policy", "bug", "gap", "person"))
        return (name, level, *counts, "" if mean is None else f"{mean:+.2f}", f"{group['cases_met']}/{group['cases']}")

    groups = report.summary["clauses"]
    rows = [row(clause.id, clause.level, groups[clause.id]) for clause in spec.clauses if clause.id in groups]
    rows += [row(f"all {name}s", "", group) for name, group in report.summary["levels"].items()]
    rows += [row(f"all in {name}", "", group) for name, group in report.summary["languages"].items()]
    rows.append(row("all", "", report.summary["all"]))
    columns = ("Clause", "Level", "Answers>", "Passed>", "Policy>", "Bug>", "Gap>", "Person>", "Worth>", "Cases met>")
    print_table(columns, rows)
    _print_plain(f"Run {saved_run.id} of {saved_run.model} against spec {saved_run.spec_version}.")


def _print_output(output: Mapping[str, Any]) -> None:
    _print_plain()
    _print_plain(
        f"{output['case_id']}, twin {output['twin'] + 1}: {output['triage']}, {output['label']} ({output['evidence']})", "bold"
    )
    for message in output["messages"]:
        _print_plain(f"  {message['role']}: {message['content']}")
    _print_plain(f"  -> {output['output_text']}")
