"""`yearling consensus`: run, show, explain, export and replay the bridged consensus.

Bridged consensus is what people who usually disagree agree on.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.cli.output_file import write_lines
from yearling.config import load_settings
from yearling.errors import NotFound

if TYPE_CHECKING:
    from yearling.feedback import ConsensusPair, RecordedConsensusRun
    from yearling.store import Store

app = typer.Typer(help="Find out what people who usually disagree agree on (bridged consensus).", no_args_is_help=True)


@app.command("run")
def run(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Compute the consensus over all feedback so far, and record it."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _run_consensus(store)
    if as_json:
        print_json(_run_dict(finished))
        return
    if not finished.is_new:
        err.print("No feedback since the last run: its result still stands.")
    _print_summary(finished)
    for item, status in finished.status_changes.items():
        out.print(f"{item}: now {status.replace('_', ' ')}", highlight=False, markup=False, soft_wrap=True)


@app.command("status")
def status(
    limit: int = typer.Option(50, "--limit", min=1, help="Number of items to show at most."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show the newest run: the status of every item, and the reason for it."""
    from yearling.feedback import display_status
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _latest_run(store)
        num_new_events = store.events.head().sequence - finished.record.up_to - finished.record.num_changes
    if as_json:
        items = [{"item": item.item, "status": item.status, "reason": item.reason} for item in finished.snapshot.items]
        pairs = [asdict(pair) for pair in finished.snapshot.pairs]
        print_json({**_run_dict(finished), "events_since": num_new_events, "items": items, "pairs": pairs})
        return
    _print_summary(finished)
    if num_new_events:
        err.print(f"There are {num_new_events} newer events. Run `yearling consensus run` to include them.")
    rows = [
        (item.item, display_status(item).replace("_", " "), item.reason.replace("_", " "), f"{item.q:.2f}", f"{item.weight:.2f}")
        for item in finished.snapshot.items[:limit]
    ]
    if rows:
        print_table(("Item", "Status", "Reason", "q>", "Weight>"), rows)
    if len(finished.snapshot.items) > limit:
        err.print(f"{len(finished.snapshot.items) - limit} more items; use --limit or --json to see them.")


@app.command("explain")
def explain(
    item: str = typer.Argument(help="Id of an answer or a note."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Explain the status of an item: what people think of it (never by name), and what is missing for another status."""
    from yearling.feedback import ConsensusParameters, EventIndex, explain_item
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _latest_run(store)
        index = EventIndex(store)
        index.sync()
        is_note = index.is_note(item)
    result = finished.snapshot.find_item(item)
    if result is None:
        raise NotFound(
            f"The newest run has no item {item!r}.",
            advice="`yearling consensus status` lists the items; `yearling consensus run` includes new feedback.",
        )
    parameters = ConsensusParameters.from_dict(finished.record.parameters)
    degree = finished.snapshot.visible_division.degree
    sentences = explain_item(result, parameters.status, degree=degree, is_note=is_note)
    pairs = [pair for pair in finished.snapshot.pairs if item in (pair.better, pair.worse)]
    if as_json:
        print_json({**asdict(result), "sentences": sentences, "pairs": [asdict(pair) for pair in pairs]})
        return
    for sentence in sentences:
        out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    for pair in pairs:
        out.print(_describe_pair(item, pair), highlight=False, markup=False, soft_wrap=True)


@app.command("export")
def export(
    path: Path | None = typer.Argument(None, help="File to write; default: standard output."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Export the public record: the feedback log without names and texts, with everything needed to replay it anywhere."""
    from yearling.feedback import publication_lines
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _run_consensus(store)
        written = write_lines(path, publication_lines(store, finished))
    if path is None:
        return
    if as_json:
        print_json({"path": str(path), **written, **_run_dict(finished)})
        return
    out.print(f"Wrote {path}. Snapshot {finished.record.snapshot_sha256}", highlight=False, soft_wrap=True)


@app.command("replay")
def replay(
    path: Path = typer.Argument(help="File that `yearling consensus export` wrote, on this or another installation."),
    every_run: bool = typer.Option(False, "--every-run", help="Repeat every recorded run instead of the newest only."),
    as_json: bool = AS_JSON,
) -> None:
    """Repeat an exported consensus and compare every byte. Exit code 1 if anything differs. Needs no data folder."""
    from yearling.feedback import replay_publication as replay_file

    with err.status("Replaying") as status_display:
        report = replay_file(path, every_run=every_run, on_status=status_display.update)
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
    elif report.ok:
        counts = f"{report.items} statuses and {report.pairs} pairs, from {report.entries} events"
        out.print(f"Reproduced byte for byte: {counts}.", highlight=False)
        out.print(f"Snapshot {report.snapshot_hash}", highlight=False, soft_wrap=True)
        out.print(f"Log head {report.head}", highlight=False, soft_wrap=True)
        if report.juries_checked:
            out.print(f"Drawn again with the same result: {report.juries_checked} juries.", highlight=False)
        if report.juries_of_other_code:
            err.print(f"Not repeated: {report.juries_of_other_code} juries drawn by other versions of the program.")
        if report.runs_of_other_code:
            err.print(f"Not repeated: {report.runs_of_other_code} earlier runs of other versions of the program.")
    else:
        for difference in report.differences:
            err.print(difference, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if report.ok else 1)


def _run_consensus(store: Store) -> RecordedConsensusRun:
    from yearling.feedback import EventIndex, run_and_record

    with err.status("Reading the log") as status_display:
        return run_and_record(store, EventIndex(store), on_status=status_display.update)


def _latest_run(store: Store) -> RecordedConsensusRun:
    from yearling.feedback import load_latest_run

    run = load_latest_run(store)
    if run is None:
        raise NotFound("There is no consensus run yet.", advice="Start one with `yearling consensus run`.")
    return run


def _run_dict(finished: RecordedConsensusRun) -> dict[str, object]:
    record, snapshot = finished.record, finished.snapshot
    statuses = [item.status for item in snapshot.items]
    return {
        "run": record.sequence,
        "fresh": finished.is_new,
        "up_to": record.up_to,
        "head": record.head,
        "snapshot": record.snapshot_sha256,
        "code": record.code_hash,
        "parameters": record.parameters_hash,
        "duration_s": record.duration_s,
        "as_of_utc": snapshot.as_of_utc,
        "raters": dict(snapshot.raters),
        "division": asdict(snapshot.division),
        "statuses": {status: statuses.count(status) for status in sorted(set(statuses))},
        "num_pairs": len(snapshot.pairs),
        "training_pairs": sum(1 for pair in snapshot.pairs if pair.weight > 0),
        "changed": dict(finished.status_changes),
        "held": snapshot.held,
        "dropped": dict(snapshot.dropped),
    }


def _print_summary(finished: RecordedConsensusRun) -> None:
    from yearling.feedback import explain_snapshot

    record = finished.record
    for sentence in explain_snapshot(finished.snapshot):
        out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    summary = f"Run {record.sequence} over {record.up_to} events took {record.duration_s:.2f} s."
    out.print(f"{summary} Snapshot {record.snapshot_sha256}", highlight=False, soft_wrap=True)


def _describe_pair(item: str, pair: ConsensusPair) -> str:
    other, verdict = (pair.worse, "better") if pair.better == item else (pair.better, "worse")
    if pair.weight > 0:
        return f"People agree that it is {verdict} than {other}: q {pair.q:.2f}, weight {pair.weight:.2f}."
    return f"Compared with {other}: q {pair.q:.2f}, no weight in training ({pair.reason.replace('_', ' ') or 'undecided'})."
