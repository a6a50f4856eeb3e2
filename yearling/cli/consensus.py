"""`yearling consensus`: what people who usually disagree agree on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.config import load_settings
from yearling.errors import NotFound

if TYPE_CHECKING:
    from yearling.feedback import RecordedConsensusRun
    from yearling.store import Store

app = typer.Typer(help="What people who usually disagree agree on.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")


@app.command("run")
def run(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Find the consensus over the whole log as it is now, and record it."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _run_consensus(store)
    if as_json:
        print_json(_run_dict(finished))
        return
    if not finished.is_new:
        err.print("Nobody acted since the last run, which stands.")
    _print_summary(finished)
    for item, status in finished.status_changes.items():
        out.print(f"{item}: now {status.replace('_', ' ')}", highlight=False, markup=False, soft_wrap=True)


@app.command("status")
def status(
    limit: int = typer.Option(50, "--limit", min=1, help="Show at most so many items."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show the newest run, with the status of every item and the reason."""
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _latest_run(store)
        waiting = store.events.head().sequence - finished.record.up_to - finished.record.num_changes
    if as_json:
        items = [{"item": item.item, "status": item.status, "reason": item.reason} for item in finished.snapshot.items]
        pairs = [asdict(pair) for pair in finished.snapshot.pairs]
        print_json({**_run_dict(finished), "events_since": waiting, "items": items, "pairs": pairs})
        return
    _print_summary(finished)
    if waiting:
        err.print(f"{waiting} events came since: `yearling consensus run` takes them in.")
    rows = [
        (item.item, item.status.replace("_", " "), item.reason.replace("_", " "), f"{item.bridging:.2f}", f"{item.axis:+.2f}")
        for item in finished.snapshot.items[:limit]
    ]
    if rows:
        print_table(("Item", "Status", "Reason", "Weaker side>", "Axis>"), rows)
    if len(finished.snapshot.items) > limit:
        err.print(f"{len(finished.snapshot.items) - limit} more items: see --limit or --json.")


@app.command("explain")
def explain(
    item: str = typer.Argument(help="The id of an answer or a note."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Say in plain words who (by side, never by name) found what, and what is missing for a status."""
    from yearling.feedback import ConsensusParameters, explain_item
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        finished = _latest_run(store)
    found = finished.snapshot.find_item(item)
    if found is None:
        raise NotFound(
            f"The newest run knows no item {item!r}.",
            advice="`yearling consensus status` lists the items; `yearling consensus run` takes in what is new.",
        )
    p = ConsensusParameters.from_dict(finished.record.parameters)
    sentences = explain_item(found, p.status, division_seen=finished.snapshot.division.seen)
    pairs = [pair for pair in finished.snapshot.pairs if item in (pair.better, pair.worse)]
    if as_json:
        print_json({**asdict(found), "sentences": sentences, "pairs": [asdict(pair) for pair in pairs]})
        return
    for sentence in sentences:
        out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    for pair in pairs:
        out.print(_describe_pair(item, pair), highlight=False, markup=False, soft_wrap=True)


@app.command("export")
def export(
    path: Path | None = typer.Argument(None, help="The file to write; by default the screen."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Write the public record: the log without names and words, and everything needed to replay it anywhere."""
    from yearling.cli.output_file import write_lines
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
    path: Path = typer.Argument(help="A file that `yearling consensus export` wrote, here or elsewhere."),
    every_run: bool = typer.Option(False, "--every-run", help="Repeat every run, not only the newest."),
    as_json: bool = AS_JSON,
) -> None:
    """Compute an exported consensus again and compare every byte. Exit code 1 when anything differs. Needs no data folder."""
    from yearling.feedback import replay_publication as replay_file

    with err.status("Replaying") as shown:
        found = replay_file(path, every_run=every_run, on_status=shown.update)
    if as_json:
        print_json({"ok": found.ok, **asdict(found)})
    elif found.ok:
        what = f"{found.items} statuses and {found.pairs} pairs, from {found.entries} events"
        out.print(f"Reproduced to the last byte: {what}.", highlight=False)
        out.print(f"Snapshot {found.snapshot_hash}", highlight=False, soft_wrap=True)
        out.print(f"Log head {found.head}", highlight=False, soft_wrap=True)
        if found.juries_checked:
            out.print(f"Drawn again by lot, with the same outcome: {found.juries_checked} juries.", highlight=False)
        if found.juries_of_other_code:
            err.print(f"{found.juries_of_other_code} juries were drawn by other versions of the program.")
        if found.runs_of_other_code:
            err.print(f"{found.runs_of_other_code} earlier runs were made by other versions of the program.")
    else:
        for difference in found.differences:
            err.print(difference, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if found.ok else 1)


def _run_consensus(store: Store) -> RecordedConsensusRun:
    from yearling.feedback import EventIndex, run_and_record

    with err.status("Reading the log") as shown:
        return run_and_record(store, EventIndex(store), on_status=shown.update)


def _latest_run(store: Store) -> RecordedConsensusRun:
    from yearling.feedback import load_latest_run

    found = load_latest_run(store)
    if found is None:
        raise NotFound("There was no consensus run yet.", advice="Make one with `yearling consensus run`.")
    return found


def _run_dict(finished: RecordedConsensusRun) -> dict[str, Any]:
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
    what = f"Run {record.sequence} over {record.up_to} events took {record.duration_s:.2f} s."
    out.print(f"{what} Snapshot {record.snapshot_sha256}", highlight=False, soft_wrap=True)


def _describe_pair(item: str, pair: Any) -> str:
    other, word = (pair.worse, "better") if pair.better == item else (pair.better, "worse")
    if pair.weight > 0:
        return f"Found {word} than {other} on both sides: q {pair.q:.2f}, weight {pair.weight:.2f}."
    return f"Compared with {other}: q {pair.q:.2f}, no weight in training ({pair.reason.replace('_', ' ') or 'undecided'})."
