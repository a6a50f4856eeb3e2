"""`yearling incident`: answers that must not happen again, from the report to the proof that they stay repaired."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.exam_execution import open_subject
from yearling.cli.options import AS_JSON, DATA_DIR, MODEL
from yearling.config import load_settings
from yearling.errors import BadInput, Conflict, NotFound

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.loop import IncidentCaseResult
    from yearling.records import Sample
    from yearling.release import IncidentHistory
    from yearling.store import ExamRun, Incident, Store

app = typer.Typer(help="Answers that must not happen again: review them, and see whether they came back.", no_args_is_help=True)

INCIDENT = typer.Argument(help="Id of the incident, or its beginning.")
MAX_CASE_FILE_BYTES = 100_000


@app.command("list")
def list_incidents(
    state: str = typer.Option("", "--state", help="Show only incidents in this state: open, accepted or dismissed."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """List all incidents, newest first, and whether each ever came back."""
    from yearling.release import incident_history
    from yearling.store import IncidentState, Store

    if state and state not in get_args(IncidentState):
        raise BadInput(f"There is no state {state!r}.", advice=f"States: {', '.join(get_args(IncidentState))}.")
    with Store.open(load_settings(data_dir=data_dir)) as store:
        histories = [history for history in incident_history(store) if state in ("", history.incident.state)]
    if as_json:
        print_json([_history_dict(history) for history in histories])
        return
    rows = [
        (
            history.incident.id[:13],
            history.incident.state,
            history.incident.model,
            f"{history.incident.created_utc:%Y-%m-%d}",
            " ".join(history.incident.reason.split())[:60],
            history.sentence,
        )
        for history in histories
    ]
    print_table(("Incident", "State", "Model", "Opened", "Reason", "Since then"), rows)


@app.command("show")
def show(incident: str = INCIDENT, data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Show an incident: the answer that was reported, the case that a review made of it, and every check."""
    from yearling.release import incident_history
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        record = _find(store, incident)
        history = next(each for each in incident_history(store) if each.incident.id == record.id)
        sample = _reported_answer(store, record)
    if as_json:
        print_json({**_history_dict(history), "question": _question(sample), "answer": sample.output_text if sample else None})
        return
    out.print(f"{record.id}: {record.state}, {record.model}", highlight=False, soft_wrap=True)
    out.print(record.reason, markup=False, highlight=False, soft_wrap=True)
    if sample is None:
        out.print("The answer is not stored any more.", style="dim")
    else:
        out.print(_question(sample), style="dim", markup=False, highlight=False, soft_wrap=True)
        out.print(sample.output_text, markup=False, highlight=False, soft_wrap=True)
    if record.case is not None:
        out.print(f"Case: {record.case}", markup=False, highlight=False, soft_wrap=True)
    if record.review:
        out.print(f"Review: {record.review}", markup=False, highlight=False, soft_wrap=True)
    rows = [
        (
            f"{check.created_utc:%Y-%m-%d %H:%M}",
            check.model,
            "passed" if check.passed else "failed",
            (check.exam_run_id or "")[:13],
        )
        for check in history.checks
    ]
    if rows:
        print_table(("Checked (UTC)", "Model", "Result", "Exam run"), rows)
    out.print(history.sentence, highlight=False, soft_wrap=True)


@app.command("accept")
def accept(
    incident: str = INCIDENT,
    question: str = typer.Option("", "--question", help="The question as the case asks it, in your own words."),
    must_contain: list[str] = typer.Option([], "--must-contain", help="Words that every answer must have; can be repeated."),
    must_not_contain: list[str] = typer.Option([], "--must-not-contain", help="Words that no answer may have; can be repeated."),
    case: Path | None = typer.Option(None, "--case", help="YAML file with the case instead: `user` and any check of an exam."),
    samples: int | None = typer.Option(None, "--samples", min=1, max=100, help="Answers to draw in each check; default: 5."),
    review: str = typer.Option("", "--review", help="What was wrong, for the record."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Accept an incident: its case becomes part of the exam that every later release must pass."""
    from yearling.loop import accept_incident
    from yearling.store import Store

    row = _read_case(case) if case is not None else {}
    row |= {"user": question} if question else {}
    row |= {"contains": must_contain} if must_contain else {}
    row |= {"not_contains": must_not_contain} if must_not_contain else {}
    row |= {"samples": samples} if samples else {}
    if not row:
        advice = "Use `--question` with `--must-contain` or `--must-not-contain`, or `--case FILE`."
        raise BadInput("The case has no question and no check.", advice=advice)
    with Store.open(load_settings(data_dir=data_dir)) as store:
        record = _find(store, incident)
        accepted = accept_incident(store, record.id, reviewed_by=store.people.owner().id, review=review, case=row)
    _print_reviewed(accepted, as_json, "Check the models with `yearling incident check`.")


@app.command("dismiss")
def dismiss(
    incident: str = INCIDENT,
    review: str = typer.Option(..., "--review", help="Why the answer is no fault."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Dismiss an incident, and say why."""
    from yearling.store import Store

    if not review.strip():
        raise BadInput("A dismissal needs a reason.", param="review")
    with Store.open(load_settings(data_dir=data_dir)) as store:
        record = _find(store, incident)
        dismissed = store.incidents.dismiss(record.id, reviewed_by=store.people.owner().id, review=review)
    _print_reviewed(dismissed, as_json, "")


@app.command("check")
def check(
    model: str | None = MODEL,
    fresh: bool = typer.Option(False, "--fresh", help="Start a new run instead of resuming an interrupted one."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Ask a model every accepted incident's question again. Exit code 1 if an answer that must not happen again did.

    The result counts in gates and in the history of each incident."""
    run, results = asyncio.run(_check(load_settings(data_dir=data_dir), model, fresh))
    if as_json:
        print_json({"run": run.id, "model": run.model, "results": [asdict(result) for result in results]})
    else:
        names = {True: "passed", False: "failed", None: "no answer"}
        print_table(("Incident", "Result"), [(result.incident_id, names[result.passed]) for result in results])
        passed = sum(1 for result in results if result.passed)
        out.print(f"{run.model}: {passed} of {len(results)} passed, run {run.id}.", highlight=False, soft_wrap=True)
    raise typer.Exit(0 if all(result.passed for result in results) else 1)


async def _check(settings: Settings, model: str | None, fresh: bool) -> tuple[ExamRun, list[IncidentCaseResult]]:
    from yearling.loop import check_incidents, open_incident_exam
    from yearling.store import Store

    with Store.open(settings) as store:
        open_incident_exam(store)  # before a model is opened for nothing
        with err.status("Opening the model") as status:
            async with open_subject(settings, model, False) as subject:
                return await check_incidents(
                    store, subject, fresh=fresh, progress=lambda done, total: status.update(f"{done} of {total} answers")
                )


def _find(store: Store, incident_id: str) -> Incident:
    """The incident with this id, or whose id begins so. Raises NotFound, Conflict if several do."""
    found = [record for record in store.incidents.list() if incident_id and record.id.startswith(incident_id)]
    if not found:
        raise NotFound(f"There is no incident {incident_id!r}.", advice="`yearling incident list` shows all.")
    if len(found) > 1:
        raise Conflict(f"Several incidents begin with {incident_id!r}.", advice="Give more characters of the id.")
    return found[0]


def _reported_answer(store: Store, incident: Incident) -> Sample | None:
    """The answer, if it is stored and the person who reported it owns it."""
    if incident.sample_id is None or incident.person_id is None:
        return None
    try:
        return store.samples.get(incident.sample_id, person_id=incident.person_id)
    except NotFound:
        return None


def _question(sample: Sample | None) -> str:
    from yearling.evals import last_user_text

    return last_user_text(sample.messages) if sample else ""


def _read_case(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = path.read_bytes()
        if len(content) > MAX_CASE_FILE_BYTES:
            raise BadInput(f"{path} has {len(content)} bytes, and at most {MAX_CASE_FILE_BYTES} are allowed.")
        row = yaml.safe_load(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", advice="Name a YAML file with one case.") from None
    if not isinstance(row, dict):
        raise BadInput(f"{path} is no case.", advice="Write `user: ...` and a check such as `not_contains: [...]`.")
    return row


def _history_dict(history: IncidentHistory) -> dict[str, Any]:
    return {
        **asdict(history.incident),
        "checks": [asdict(check) for check in history.checks],
        "recurrences": [asdict(recurrence) for recurrence in history.recurrences],
        "sentence": history.sentence,
    }


def _print_reviewed(incident: Incident, as_json: bool, advice: str) -> None:
    if as_json:
        print_json(asdict(incident))
        return
    out.print(f"{incident.id}: {incident.state}.", highlight=False, soft_wrap=True)
    if advice:
        err.print(advice, highlight=False)
