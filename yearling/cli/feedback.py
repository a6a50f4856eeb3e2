"""`yearling feedback`: what people judged, in and out of files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.feedback import ImportReport

app = typer.Typer(help="What people judged: ratings, comparisons, edits, notes.", no_args_is_help=True)

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
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
    from yearling.feedback import checked_format, import_file
    from yearling.store import Store

    chosen = checked_format(format)
    with Store.open(load_settings(data_dir=data_dir)) as store, err.status("Reading") as shown:
        report = import_file(
            store,
            path,
            chosen,
            source=source,
            progress=lambda done, total: shown.update(f"Read {done} of {total} records"),
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
    from yearling.cli.files import write_lines
    from yearling.feedback import export_lines
    from yearling.store import Store

    with Store.open(load_settings(data_dir=data_dir)) as store:
        written = write_lines(path, export_lines(store))
        head = store.events.head()
    if path is None:
        return
    if as_json:
        print_json({"path": str(path), "entries": head.sequence, "head": head.hash, **written})
        return
    out.print(f"Wrote {head.sequence} events to {path}, head {head.hash}", highlight=False, soft_wrap=True)


def _print_report(report: ImportReport) -> None:
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
