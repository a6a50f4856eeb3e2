"""`yearling audit`: verify the audit log, export it for an outside referee, and check such an export anywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.loop import RefereeReport

app = typer.Typer(help="Prove later what was released, by whom and on what grounds.", no_args_is_help=True)


@app.command("verify")
def verify(data_dir: Path | None = DATA_DIR, as_json: bool = AS_JSON) -> None:
    """Check the hash chain of the audit log, and that every release, signature and stop is in it. Exit code 1 if not."""
    from yearling.loop import verify_audit
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store, err.status("Verifying the audit log"):
        report = verify_audit(store, settings.data_dir / "release")
    if as_json:
        print_json({"ok": report.ok, **asdict(report), "faults": [asdict(fault) for fault in report.faults]})
        raise typer.Exit(0 if report.ok else 1)
    rows = [
        (check.name, f"{check.count:,}", "ok" if not check.faults else "FAULT", check.faults[0].sentence if check.faults else "")
        for check in report.checks
    ]
    print_table(("What", "Checked>", "Result", "First fault"), rows)
    if report.ok:
        out.print(f"No fault found. {report.entries:,} entries, head {report.head}", highlight=False, soft_wrap=True)
        raise typer.Exit(0)
    first = report.faults[0]
    place = f" (entry {first.entry})" if first.entry is not None else ""
    err.print(f"{len(report.faults)} faults. The first: {first.sentence}{place}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(1)


@app.command("export")
def export(
    path: Path = typer.Argument(help="New file to write, such as audit.zip."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Export the audit for an outside referee: log, signed metadata, gates with their evidence, exams, consensus.

    Answers that came from conversations, and the words of those who reported an answer, are replaced by their hash."""
    from yearling.loop import write_audit_export
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    with Store.open(settings) as store, err.status("Writing the export"):
        written = write_audit_export(store, settings.data_dir / "release", path)
    if as_json:
        print_json({"path": str(path), **asdict(written)})
        return
    counts = (
        f"{written.entries:,} entries, {written.releases} releases, {written.gates} gate decisions, {written.exam_runs} exam runs"
    )
    out.print(f"Wrote {path} ({format_size(written.size_bytes)}): {counts}.", highlight=False, soft_wrap=True)
    out.print(f"SHA-256 {written.sha256}", highlight=False, soft_wrap=True)
    if written.withheld:
        err.print(f"Withheld: the words of {written.withheld:,} private texts; their hashes are in their place.")
    if written.exams_without_cases:
        err.print(f"{written.exams_without_cases} exams have changed since, so their answers cannot be graded again.")
    err.print(f"Whoever gets the file checks it with `yearling audit check {path}`.", highlight=False, soft_wrap=True)


@app.command("check")
def check(
    path: Path = typer.Argument(help="File that `yearling audit export` wrote, on this or another installation."),
    all_figures: bool = typer.Option(False, "--all", help="Print every figure, and not only what was not reproduced."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Recompute every figure of an exported audit, from stored answers, and compare. Exit code 1 if anything differs.

    Nothing but the file is needed, and nothing is generated. Some exams use published checkers if they are downloaded."""
    from yearling.evals import ExamDataFolders
    from yearling.loop import check_audit_export

    folders = ExamDataFolders(load_settings(data_dir=data_dir).data_dir / "exams")
    with err.status("Checking") as status_display:
        report = check_audit_export(path, folders=folders, on_status=status_display.update)
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        _print_report(report, all_figures=all_figures)
    raise typer.Exit(0 if report.ok else 1)


def _print_report(report: RefereeReport, *, all_figures: bool) -> None:
    shown = [figure for figure in report.figures if all_figures or figure.state != "reproduced"]
    if shown:
        print_table(
            ("Of", "Figure", "Result", "Detail"),
            [(figure.subject, figure.name, figure.state, figure.detail) for figure in shown],
        )
    counts = Counter(figure.state for figure in report.figures)
    summary = ", ".join(f"{counts[state]} {state}" for state in ("reproduced", "differs", "not recomputed"))
    out.print(f"{len(report.figures)} figures of {report.releases} releases: {summary}.", highlight=False, soft_wrap=True)
    graded = f"{report.regraded:,} of {report.samples:,} stored answers were graded again"
    withheld = f"; {report.withheld:,} could not be, because their words are hashed" if report.withheld else ""
    out.print(f"{graded}{withheld}.", highlight=False, soft_wrap=True)
    out.print(f"Log: {report.entries:,} entries, head {report.head}", highlight=False, soft_wrap=True)
    if report.first_root:
        note = "its key-holders can say whether it is theirs"
        out.print(f"First root {report.first_root}: {note}.", highlight=False, soft_wrap=True)
    for sentence in report.programs:
        err.print(sentence, markup=False, highlight=False, soft_wrap=True)
