"""Replace the contents of a data folder with those of a backup.

The backup is first unpacked and verified in a temporary folder. Then its blobs are added, the old database is preserved, and the
new one replaces it by one rename (SQLite) or one transaction (Postgres). The folder of releases follows; see `release_swap`. A
crash at any point leaves the old state or the new one, with the blobs of both.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import Conflict, Untrusted
from yearling.files.atomic import atomic_write
from yearling.files.locks import LockHeldError, acquire_exclusive_lock
from yearling.files.private import PRIVATE_FILE_MODE
from yearling.files.sync import make_directory, sync_directory
from yearling.store.backup.archive import (
    DATABASE_MEMBER,
    BackupManifest,
    BackupProgress,
    claimed_contents,
    describe_snapshot,
    extract_backup,
    write_backup,
)
from yearling.store.backup.release_files import RELEASE_KEYS, list_release_files
from yearling.store.backup.release_swap import STAGING_PREFIX, is_swap_pending, settle_release_swap, stage_release_swap
from yearling.store.backup.snapshot import load_snapshot
from yearling.store.backup.verify import VerificationReport, verify_store
from yearling.store.blobs import BlobStore
from yearling.store.database.database import Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.migrate import migrate, read_schema_version
from yearling.store.database.schema import SCHEMA_VERSION
from yearling.store.database.sqlite_file import STORE_LOCK_NAME, check_sqlite_file, record_database


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """The result of a restore. `replaced_data` is where the old data is kept, or None if there was none."""

    manifest: BackupManifest
    replaced_data: Path | None


def verify_backup(path: Path, *, progress: BackupProgress | None = None) -> VerificationReport:
    """Unpack a backup into a temporary folder and verify its contents. Raises NotFound, Untrusted, Conflict, StorageFailed."""
    with tempfile.TemporaryDirectory(prefix="yearling-verify-") as scratch:
        manifest = extract_backup(path, Path(scratch), progress=progress)
        return _verify_staged(path, Path(scratch), manifest)


def restore(path: Path, settings: Settings, *, progress: BackupProgress | None = None) -> RestoreResult:
    """Replace database, blobs and releases with those of a backup. The old ones are kept in the folder `backups`.

    A backup without blobs (made before a migration) replaces the database only. A backup without private keys leaves those on
    this machine. A backup without releases leaves none: the next start signs the first one anew.

    Raises Untrusted, with nothing changed, if the backup is damaged; Conflict if Yearling is running on the folder or the backup
    is newer than this version; NotFound, StorageFailed.
    """
    folder = settings.data_dir
    database = Database(settings.resolved_database_url)
    blobs = BlobStore(folder / "blobs", database)
    try:
        with translate_storage_errors(f"The data folder {folder}"), _exclusive_access(settings):
            with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=folder) as scratch:
                staged = Path(scratch)
                manifest = extract_backup(path, staged, progress=progress)
                report = _verify_staged(path, staged, manifest)
                if not report.ok:
                    faults = "; ".join(check.detail for check in report.checks if not check.ok)
                    raise Untrusted(f"{path} contains damaged data: {faults}.", advice="Use another backup. Nothing was changed.")
                preserved = _preserve_current_data(database, blobs, folder, manifest)
                _add_blobs(staged, blobs)
                if manifest.with_blobs:
                    _install_with_releases(staged, database, settings, manifest)
                else:
                    _install(staged / DATABASE_MEMBER, database)
            record_database(folder, database)
            if manifest.with_blobs:
                _delete_other_blobs(blobs, manifest)
    finally:
        database.close()
    return RestoreResult(manifest=manifest, replaced_data=preserved)


def _verify_staged(path: Path, staged: Path, manifest: BackupManifest) -> VerificationReport:
    """Migrate the database of an unpacked backup to the newest schema, and verify the backup."""
    snapshot = staged / DATABASE_MEMBER
    check_sqlite_file(snapshot, f"The database in {path}", expected=True)
    database = Database(f"sqlite:///{snapshot}")
    try:
        if describe_snapshot(snapshot) != claimed_contents(manifest):
            raise Untrusted(
                f"The audit log or the event log in {path} does not match its manifest.", advice="Use another backup."
            )
        migrate(database, create_backup=lambda _: path, find_newest_backup=lambda: None)
        return verify_store(database, BlobStore(staged / "blobs", database) if manifest.with_blobs else None)
    finally:
        database.close()


def finish_interrupted_restore(settings: Settings) -> None:
    """Complete or undo a restore that was killed. Costs one look at the data folder if there was none.

    Raises Conflict if a restore is running, Unavailable, StorageFailed.
    """
    folder = settings.data_dir
    if not is_swap_pending(folder):
        return
    with translate_storage_errors(f"The data folder {folder}"), _exclusive_access(settings, timeout_s=5.0):
        pass  # entering it does the work


@contextmanager
def _exclusive_access(settings: Settings, *, timeout_s: float = 0.0) -> Iterator[None]:
    """Keep other processes out of the data folder, and clean up after a killed restore."""
    folder = settings.data_dir
    make_directory(folder)
    try:
        lock = acquire_exclusive_lock(folder / STORE_LOCK_NAME, timeout_s=timeout_s)
    except LockHeldError:
        raise Conflict(f"Yearling is running on {folder}.", advice="Stop it, then try again.") from None
    try:
        if is_swap_pending(folder):
            settle_release_swap(settings)
        for leftover in folder.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(leftover)
        yield
    finally:
        os.close(lock)


def _preserve_current_data(database: Database, blobs: BlobStore, folder: Path, manifest: BackupManifest) -> Path | None:
    """Keep what the restore replaces: as a folder with the same files (SQLite), or as a backup (Postgres)."""
    preserved = folder / "backups" / f"replaced-{now_utc():%Y%m%dT%H%M%S%fZ}"
    releases = list_release_files(folder) if manifest.with_blobs else {}
    if database.path is None:
        with database.read() as connection:
            version = read_schema_version(connection)
        if version is None:
            return _preserve_releases(releases, preserved)
        if int(version) > int(SCHEMA_VERSION):
            raise Conflict(
                f"A newer Yearling wrote {database.label[0].lower()}{database.label[1:]}, so it cannot be backed up.",
                advice="Restore into an empty database, or install the newer Yearling.",
            )
        preserved = preserved.with_name(f"{preserved.name}.tar.gz")
        write_backup(preserved, database, blobs if manifest.with_blobs else None, data_dir=folder)
        return preserved
    if not database.path.exists():
        return _preserve_releases(releases, preserved)
    make_directory(preserved)
    _preserve_releases(releases, preserved)
    if manifest.with_blobs:
        for sha256, _ in blobs.iter_sizes():
            _hardlink_or_copy(blobs.path(sha256), preserved / "blobs" / sha256[:2] / sha256)
    _checkpoint_wal(database.path, preserved)
    _hardlink_or_copy(database.path, preserved / database.path.name)
    return preserved


def _preserve_releases(releases: dict[str, Path], preserved: Path) -> Path | None:
    for name, path in releases.items():
        _hardlink_or_copy(path, preserved / name)
    return preserved if releases else None


def _checkpoint_wal(path: Path, preserved: Path) -> None:
    """Merge the write-ahead log into the database file. If the database is too damaged for that, move the log away."""
    companions = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
    if any(companion.exists() for companion in companions):
        # A damaged database cannot merge its log; both are then kept as they are.
        with contextlib.suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for companion in companions:
        if companion.exists():
            shutil.move(companion, preserved / companion.name)
            (preserved / companion.name).chmod(PRIVATE_FILE_MODE)


def _add_blobs(staged: Path, blobs: BlobStore) -> None:
    for path in sorted((staged / "blobs").glob("??/*")):
        blobs.put(path)


def _install_with_releases(staged: Path, database: Database, settings: Settings, manifest: BackupManifest) -> None:
    """Put the database in place, and with it the releases of the backup. Keys on this machine stay if the backup has none."""
    folder = settings.data_dir
    if manifest.release_files and not manifest.private_keys:
        for name, path in list_release_files(folder).items():
            if name.startswith(RELEASE_KEYS):
                _hardlink_or_copy(path, staged / name)
    snapshot = staged / DATABASE_MEMBER
    stage_release_swap(staged, snapshot, folder)
    try:
        _install(snapshot, database)
    except BaseException:
        settle_release_swap(settings)
        raise
    if not settle_release_swap(settings):
        raise RuntimeError("the restored database is not the one that was verified")


def _install(snapshot: Path, database: Database) -> None:
    if database.path is None:
        load_snapshot(snapshot, database)
        return
    make_directory(database.path.parent)
    with snapshot.open("rb") as source, atomic_write(database.path) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _delete_other_blobs(blobs: BlobStore, manifest: BackupManifest) -> None:
    restored = set(manifest.blobs)
    for sha256 in [sha256 for sha256, _ in blobs.iter_sizes() if sha256 not in restored]:
        blobs.path(sha256).unlink()


def _hardlink_or_copy(source: Path, target: Path) -> None:
    """Link a file to a second path, or copy it if the file system has no hard links."""
    make_directory(target.parent)
    try:
        target.hardlink_to(source)
    except OSError:
        with source.open("rb") as original, atomic_write(target) as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
    target.chmod(PRIVATE_FILE_MODE)
    sync_directory(target.parent)
