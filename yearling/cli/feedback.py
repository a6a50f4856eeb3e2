"""`yearling feedback`: what people judged, in and out of files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.feedback import FeedbackEvent, FeedbackImportReport, FeedbackLog

app = typer.Typer(help="What people judged: ratings, comparisons, edits, notes.", no_args_is_help=True)
jury = typer.Typer(help="Juries drawn by lot, which can veto a status or uphold one.", no_args_is_help=True)
app.add_typer(jury, name="jury")

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
ACTING_PERSON = typer.Option(None, "--as", help="Who does it, by name or id; by default the owner.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")


@app.command("import")
def import_feedback(
    path: Path = typer.Argument(help="The file to read."),
    format: str = typer.Option("jsonl", "--format", "-f", help="jsonl (ours), pairs (chosen/rejected) or annotators."),
    source: str | None = typer.Option(None, "--source", help="Tells its annotators from others; by default the file's name."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Read judgements into the log, and report what was kept, what was dropped and why."""
    from yearling.feedback import import_feedback_file, parse_file_format
    from yearling.store import Store

    chosen = parse_file_format(format)
    with Store.open(load_settings(data_dir=data_dir)) as store, err.status("Reading") as shown:
        report = import_feedback_file(
            store,
            path,
            chosen,
            source=source,
            on_progress=lambda done, total: shown.update(f"Read {done} of {total} records"),
        )
    if as_json:
        print_json(asdict(report))
        return
    _print_report(report)


@app.command("export")
def export_feedback(
    path: Path | None = typer.Argument(None, help="The file to write; by default the screen."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Write the whole log and its texts as JSON lines that `import` reads. People are in it under pseudonyms."""
    from yearling.cli.output_file import write_lines
    from yearling.feedback import export_log_lines
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        written = write_lines(path, export_log_lines(store))
        head = store.events.head()
    if path is None:
        return
    if as_json:
        print_json({"path": str(path), "entries": head.sequence, "head": head.hash, **written})
        return
    out.print(f"Wrote {head.sequence} events to {path}, head {head.hash}", highlight=False, soft_wrap=True)


@app.command("remove")
def remove(
    event: str = typer.Argument(help="The id of the act, as the public log has it."),
    reason: str = typer.Option(..., "--reason", help="Why. Everybody can read it."),
    delete_words: bool = typer.Option(False, "--delete-words", help="Delete the words of a note or an edit as well."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Set somebody's act aside, in public and with a reason. Administrators only; the next consensus run heeds it."""
    with _open_feedback_log(data_dir) as log:
        done = log.remove(_person_id(log, acting_person), event, reason, delete_text=delete_words)
    _print_event(done, f"Removed {event}: {reason}. Everybody can see that, in the log and in the consensus.", as_json=as_json)


@app.command("vouch")
def vouch(
    account: str = typer.Argument(help="The other person: their name here, or their id."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Vouch that a person's account is the one account of a human being."""
    with _open_feedback_log(data_dir) as log:
        done = log.vouch(_person_id(log, acting_person), _person_id(log, account))
    _print_event(done, f"Vouched for {account}, in the log known as {done.account}.", as_json=as_json)


@jury.command("invite")
def invite(
    item: str = typer.Argument(help="The id of an answer or a note that people judged."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Draw a jury by lot and invite it. Administrators only; whom the lot draws is nobody's choice, and replay checks it."""
    from yearling.feedback import LiveConsensus

    with _open_feedback_log(data_dir) as log, err.status("Drawing the lot"):
        done = LiveConsensus(log).invite_jury(_person_id(log, acting_person), item)
    _print_event(
        done, f"Invited {len(done.jurors)} people to judge {item}. Their next rating of it is their vote.", as_json=as_json
    )


@jury.command("verdict")
def verdict(
    item: str = typer.Argument(help="The id of an answer or a note on which there is a jury."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Say how far the jury on an item is, and what it found."""
    from yearling.feedback import LiveConsensus

    with _open_feedback_log(data_dir) as log:
        board = LiveConsensus(log)
        found, needed = board.jury_state(item), board.parameters.status.jury_size
    if as_json:
        print_json({"item": item, "invited": sorted(found.invited), "answered": len(found.answered), "finding": found.verdict})
        return
    finding = found.verdict.replace("_", " ") or f"nothing yet; it needs {needed}, from both sides"
    out.print(
        f"{len(found.answered)} of {len(found.invited)} have rated it. Finding: {finding}.", highlight=False, soft_wrap=True
    )


@contextmanager
def _open_feedback_log(data_dir: Path | None) -> Iterator[FeedbackLog]:
    from yearling.feedback import FeedbackLog
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        yield FeedbackLog(store)


def _person_id(log: FeedbackLog, name: str | None) -> str:
    """The id of a person by name or id; of the owner without either. Raises NotFound."""
    people = log.store.people
    if name is None:
        return people.owner().id
    return next((person.id for person in people.list() if name in (person.name, person.id)), "") or people.get_by_name(name).id


def _print_event(event: FeedbackEvent, sentence: str, *, as_json: bool) -> None:
    from yearling.feedback import event_to_dict

    if as_json:
        print_json(event_to_dict(event))
        return
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    out.print(f"Event {event.id}", highlight=False, soft_wrap=True)


def _print_report(report: FeedbackImportReport) -> None:
    rows: list[tuple[str, str, int]] = [("kept", kind, count) for kind, count in report.kept.items()]
    if report.already_there:
        rows.append(("there already", "", report.already_there))
    rows += [("dropped", reason, count) for reason, count in report.dropped.items()]
    print_table(("Result", "What", "Records>"), rows)
    out.print(
        f"Of {report.records} records from {report.source!r}, {report.num_kept} are new: {report.raters} raters, "
        f"{report.items} items, {report.texts} texts.",
        highlight=False,
        soft_wrap=True,
    )
    for example in report.examples[:5]:
        detail = f" ({example.detail})" if example.detail else ""
        err.print(f"Line {example.line}: {example.reason}{detail}", style="yellow", markup=False, highlight=False)
