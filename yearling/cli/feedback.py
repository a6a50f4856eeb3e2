"""`yearling feedback`: import and export judgements, remove feedback events, draw juries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.cli.output_file import write_lines
from yearling.cli.people import acting_person_id
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.feedback import FeedbackEvent, FeedbackImportReport, FeedbackLog

app = typer.Typer(help="Import, export and manage what people judged: ratings, comparisons, edits, notes.", no_args_is_help=True)
jury = typer.Typer(help="Draw juries, which can veto or uphold a status.", no_args_is_help=True)
app.add_typer(jury, name="jury")

ACTING_PERSON = typer.Option(None, "--as", help="Name or id of the person who acts; default: the owner.")


@app.command("import")
def import_feedback(
    path: Path = typer.Argument(help="File to import."),
    format: str = typer.Option(
        "jsonl", "--format", "-f", help="File format: jsonl (ours), pairs (chosen and rejected answers) or annotators."
    ),
    source: str | None = typer.Option(
        None, "--source", help="Name that tells the file's annotators from those of other files; default: the file name."
    ),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Import judgements into the log, and report what was imported, what was dropped and why."""
    from yearling.feedback import import_feedback_file, parse_file_format
    from yearling.store import Store

    file_format = parse_file_format(format)
    with Store.open(load_settings(data_dir=data_dir)) as store, err.status("Reading") as status_display:
        report = import_feedback_file(
            store,
            path,
            file_format,
            source=source,
            on_progress=lambda done, total: status_display.update(f"Read {done} of {total} records"),
        )
    if as_json:
        print_json(asdict(report))
        return
    _print_report(report)


@app.command("export")
def export_feedback(
    path: Path | None = typer.Argument(None, help="File to write; default: standard output."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Export the whole log with its texts as JSON lines, which `import` can read. People appear under pseudonyms."""
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
    event: str = typer.Argument(help="Id of the event, as in the public log."),
    reason: str = typer.Option(..., "--reason", help="Reason for the removal; it is public."),
    delete_words: bool = typer.Option(False, "--delete-words", help="Also delete the text of a note or an edit."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Remove a feedback event publicly and with a reason. Administrators only; it takes effect in the next consensus run."""
    with _open_feedback_log(data_dir) as log:
        removal = log.remove(acting_person_id(log.store, acting_person), event, reason, delete_text=delete_words)
    _print_event(removal, f"Removed {event}: {reason}. The removal is public, in the log and in the consensus.", as_json=as_json)


@jury.command("invite")
def invite(
    item: str = typer.Argument(help="Id of an answer or a note that people judged."),
    acting_person: str | None = ACTING_PERSON,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Draw a random jury and invite it. Administrators only; nobody can influence the draw, and `replay` verifies it."""
    from yearling.feedback import LiveConsensus

    with _open_feedback_log(data_dir) as log, err.status("Drawing the jury"):
        invitation = LiveConsensus(log).invite_jury(acting_person_id(log.store, acting_person), item)
    sentence = f"Invited {len(invitation.jurors)} people to judge {item}. Their next rating of it is their vote."
    _print_event(invitation, sentence, as_json=as_json)


@jury.command("verdict")
def verdict(
    item: str = typer.Argument(help="Id of an answer or a note that has a jury."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Show how many jurors have voted on an item, and the verdict of the jury."""
    from yearling.feedback import LiveConsensus

    with _open_feedback_log(data_dir) as log:
        consensus = LiveConsensus(log)
        jury_state, num_needed = consensus.jury_state(item), consensus.parameters.status.jury_size
    num_invited, num_answered = len(jury_state.invited), len(jury_state.answered)
    if as_json:
        facts = {"item": item, "invited": sorted(jury_state.invited), "answered": num_answered, "finding": jury_state.verdict}
        print_json(facts)
        return
    finding = jury_state.verdict.replace("_", " ") or f"none yet; it needs {num_needed} votes, from both sides"
    out.print(f"{num_answered} of {num_invited} jurors have rated it. Verdict: {finding}.", highlight=False, soft_wrap=True)


@contextmanager
def _open_feedback_log(data_dir: Path | None) -> Iterator[FeedbackLog]:
    from yearling.feedback import FeedbackLog
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        yield FeedbackLog(store)


def _print_event(event: FeedbackEvent, sentence: str, *, as_json: bool) -> None:
    from yearling.feedback import event_to_dict

    if as_json:
        print_json(event_to_dict(event))
        return
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    out.print(f"Event {event.id}", highlight=False, soft_wrap=True)


def _print_report(report: FeedbackImportReport) -> None:
    rows: list[tuple[str, str, int]] = [("imported", kind, count) for kind, count in report.kept.items()]
    if report.already_there:
        rows.append(("known already", "", report.already_there))
    rows += [("dropped", reason, count) for reason, count in report.dropped.items()]
    print_table(("Result", "Kind or reason", "Records>"), rows)
    raters = "1 rater" if report.raters == 1 else f"{report.raters} raters"
    out.print(
        f"Of {report.records} records from {report.source!r}, {report.num_kept} are new: {raters}, "
        f"{report.items} items, {report.texts} texts.",
        highlight=False,
        soft_wrap=True,
    )
    for example in report.examples[:5]:
        detail = f" ({example.detail})" if example.detail else ""
        err.print(f"Line {example.line}: {example.reason}{detail}", style="yellow", markup=False, highlight=False)
