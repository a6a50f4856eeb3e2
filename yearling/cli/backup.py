"""`yearling backup`, `restore` and `verify`: backups of the data folder, and checks that data and backups are undamaged."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yearling.cli.console import err, format_size, out, print_json, print_table
from yearling.cli.options import AS_JSON, DATA_DIR
from yearling.cli.progress import progress_bar
from yearling.clock import now_utc
from yearling.config import load_settings
from yearling.errors import Untrusted

if TYPE_CHECKING:
    from yearling.store import BackupManifest, VerificationReport


def backup(
    path: Path | None = typer.Argument(
        None,
        help="File to write, or an existing folder for it; default: a dated file in the folder `backups` of the data folder.",
    ),
    without_keys: bool = typer.Option(False, "--without-keys", help="Leave out the private keys that sign releases."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Back up the database, all files of conversations, and the signed releases with the private keys on this machine.

    The server may keep running. Models are not included.
    """
    from yearling.store import Store

    settings = load_settings(data_dir=data_dir)
    name = f"yearling-{now_utc():%Y%m%dT%H%M%SZ}.tar.gz"
    target = settings.data_dir / "backups" / name if path is None else path / name if path.is_dir() else path
    with Store.open(settings) as store, progress_bar() as report:
        manifest = store.backup(target, with_keys=not without_keys, progress=partial(report, "Backing up"))
    size_bytes = target.stat().st_size
    num_blobs = len(manifest.blobs)
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
                "release_files": len(manifest.release_files),
                "private_keys": len(manifest.private_keys),
            }
        )
        return
    parts = f"the database, {num_blobs} blobs and {len(manifest.release_files)} files of releases"
    out.print(f"Wrote {target} ({format_size(size_bytes)}: {parts}).", highlight=False, soft_wrap=True)
    if manifest.private_keys:
        out.print(_describe_keys(manifest, settings.data_dir / "release"), highlight=False, soft_wrap=True)


def _describe_keys(manifest: BackupManifest, release_folder: Path) -> str:
    """One sentence about the private keys in a backup. A key that is gone since counts as unprotected."""
    from yearling.release import protected_key_ids

    names = [Path(name) for name in manifest.private_keys]
    of_holders = [name.stem for name in names if name.suffix == ".json"]
    num_protected = len(protected_key_ids(release_folder) & set(of_holders))
    num_others = len(names) - len(of_holders)
    amounts = (
        (num_protected, "encrypted with the passphrases of their holders"),
        (len(of_holders) - num_protected, "of holders, unprotected"),
        (num_others, "of the server, unprotected"),
    )
    kinds = ", ".join(f"{number} {kind}" for number, kind in amounts if number)
    return f"It contains private keys that sign releases ({kinds}), so keep it where only you can read it, or use --without-keys."


def restore(
    path: Path = typer.Argument(help="Backup file that `yearling backup` wrote."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Replace the data by a backup, which is verified first. The replaced data is moved aside. Stop the server before."""
    from yearling.store import restore as restore_backup

    settings = load_settings(data_dir=data_dir)
    stops = _stop_ids(settings.data_dir / "release")
    with progress_bar() as report:
        result = restore_backup(path, settings, progress=partial(report, "Restoring"))
    undone = len(stops - _stop_ids(settings.data_dir / "release"))
    if as_json:
        aside = str(result.replaced_data) if result.replaced_data else None
        print_json({"path": str(path), "created_utc": result.manifest.created_utc, "aside": aside, "undone_stops": undone})
        return
    out.print(f"Restored the state of {result.manifest.created_utc} from {path}.", highlight=False, soft_wrap=True)
    if result.replaced_data:
        out.print(f"The replaced data is in {result.replaced_data}.", highlight=False, soft_wrap=True)
    if undone:
        advice = "Stop again what must not answer, before you start the server: `yearling release stop`."
        err.print(f"{undone} stops that were in force are not in the backup. {advice}", style="bold red", soft_wrap=True)


def _stop_ids(release_folder: Path) -> set[str]:
    from yearling.release import StopSwitch

    try:
        return {notice.id for notice in StopSwitch(release_folder).notices()}
    except Untrusted:  # a file that is damaged stops everything, and is written anew from the audit log
        return set()


def verify(
    path: Path | None = typer.Argument(None, help="Backup file to verify; default: the data in use."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Check that the data, or a backup, is complete and unchanged. Exit code 1 if it is damaged."""
    from yearling.store import Store, verify_backup

    if path is None:
        with Store.open(load_settings(data_dir=data_dir)) as store:
            report = store.verify()
    else:
        with progress_bar() as report_progress:
            report = verify_backup(path, progress=partial(report_progress, "Verifying"))
    _print_report(report, as_json=as_json)
    raise typer.Exit(0 if report.ok else 1)


def _print_report(report: VerificationReport, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
        return
    rows = [(check.name, check.count, "ok" if check.ok else "DAMAGED", check.detail) for check in report.checks]
    print_table(("Part", "Checked>", "Result", "Detail"), rows)
    if report.ok:
        out.print(f"No damage found. Audit log: {report.audit_entries} entries, head {report.audit_head}", soft_wrap=True)
        out.print(f"Event log of feedback: {report.event_entries} entries, head {report.event_head}", soft_wrap=True)
    else:
        err.print("The data is damaged. Restore the newest backup that passes `yearling verify FILE`.", style="bold red")
