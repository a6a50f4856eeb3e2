"""`yearling backup`, `restore` and `verify`: what keeps everything safe that the assistant remembers."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out, print_json, print_table
from yearling.cli.model import progress_bar
from yearling.clock import now_utc
from yearling.config import load_settings

if TYPE_CHECKING:
    from yearling.store import VerificationReport

AS_JSON = typer.Option(False, "--json", help="Print JSON.")
DATA_DIR = typer.Option(None, "--data-dir", help="Where the data lives.")


def backup(
    path: Path | None = typer.Argument(
        None, help="The file to write, or a folder for it; by default in the data folder's backups."
    ),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Write a backup of everything that is remembered, while the server runs. Models are not in it: they can be pulled again."""
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    name = f"yearling-{now_utc():%Y%m%dT%H%M%SZ}.tar.gz"
    target = settings.data_dir / "backups" / name if path is None else path / name if path.is_dir() else path
    with Store.open(settings) as store, progress_bar() as heard:
        manifest = store.backup(target, progress=partial(heard, "Backing up"))
    size_bytes = target.stat().st_size
    num_blobs = len(manifest.files) - 1
    if as_json:
        facts = {"path": str(target), "size_bytes": size_bytes, "content_bytes": manifest.size_bytes, "blobs": num_blobs}
        print_json(
            {
                **facts,
                "schema": manifest.schema,
                "audit_entries": manifest.audit_entries,
                "audit_head": manifest.audit_head,
                "event_entries": manifest.event_entries,
                "event_head": manifest.event_head,
            }
        )
        return
    out.print(f"Wrote {target} ({format_size(size_bytes)}: the database and {num_blobs} blobs).", highlight=False, soft_wrap=True)


def restore(
    path: Path = typer.Argument(help="A backup that `yearling backup` wrote."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Replace what is remembered by a backup, which is verified first; what it replaces is kept aside. Stop the server before."""
    from yearling.store import restore as restore_backup

    settings = load_settings(data_dir=data_dir)
    with progress_bar() as heard:
        done = restore_backup(path, settings, progress=partial(heard, "Restoring"))
    if as_json:
        aside = str(done.replaced_data) if done.replaced_data else None
        print_json({"path": str(path), "created_utc": done.manifest.created_utc, "aside": aside})
        return
    out.print(f"Restored the state of {done.manifest.created_utc} from {path}.", highlight=False, soft_wrap=True)
    if done.replaced_data:
        out.print(f"What was there before is kept in {done.replaced_data}.", highlight=False, soft_wrap=True)


def verify(
    path: Path | None = typer.Argument(None, help="A backup to verify instead of the data in use."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Check that everything remembered is whole and as it was written. Exit code 1 when anything is not."""
    from yearling.store import Store, verify_backup

    if path is None:
        with Store.open(load_settings(data_dir=data_dir)) as store:
            report = store.verify()
    else:
        with progress_bar() as heard:
            report = verify_backup(path, progress=partial(heard, "Verifying"))
    _print_report(report, as_json=as_json)
    raise typer.Exit(0 if report.ok else 1)


def _print_report(report: VerificationReport, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
        return
    rows = [(check.name, check.count, "fine" if check.ok else "DAMAGED", check.detail) for check in report.checks]
    print_table(("What", "Checked>", "Result", "Detail"), rows)
    if report.ok:
        out.print(f"Everything is whole. Audit log: {report.audit_entries} entries, head {report.audit_head}", soft_wrap=True)
        out.print(f"Event log of feedback: {report.event_entries} entries, head {report.event_head}", soft_wrap=True)
    else:
        err.print("Something is damaged. Restore the newest backup that `yearling verify FILE` finds whole.", style="bold red")
