"""The file format of backups: a gzipped tar with a manifest first, then the database as SQLite, the blobs, and the releases.

The manifest lists every member with its size and SHA-256. A reader refuses members that are not listed, missing or different.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from yearling import __version__
from yearling.clock import now_utc
from yearling.errors import Conflict, Untrusted
from yearling.files.atomic import atomic_write, atomic_write_chunks
from yearling.files.reading import hash_file, open_regular_file
from yearling.files.sync import make_directory
from yearling.store.audit import verify_audit_chain
from yearling.store.backup.release_files import (
    RELEASE_FOLDER,
    RELEASE_KEYS,
    find_release_fault,
    is_release_member,
    list_release_files,
    take_snapshot_with_releases,
)
from yearling.store.backup.snapshot import take_snapshot
from yearling.store.blobs import BlobStore
from yearling.store.database.column_types import format_time
from yearling.store.database.database import Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.learning_schema import events
from yearling.store.database.migrate import read_schema_version
from yearling.store.database.packing import record_from
from yearling.store.database.schema import audit_log
from yearling.store.hash_chain import ChainVerification
from yearling.store.learning.event_log import verify_event_chain

BACKUP_FORMAT = "yearling-backup"
BACKUP_FORMAT_VERSION = 2
"""Version 2 adds the folder of releases. A backup without it is written as version 1, which older versions restore too."""
DATABASE_MEMBER = "database.sqlite"

BackupProgress = Callable[[int, int], None]
"""Called with (bytes done, bytes in total)."""

_MANIFEST_MEMBER = "manifest.json"
_MAX_MANIFEST_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 20
_MEMBER_NAME = re.compile(f"{re.escape(DATABASE_MEMBER)}|blobs/[0-9a-f]{{64}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """The contents of a backup. `files` maps each member to its size in bytes and its SHA-256.

    The event log has defaults because older backups have none.
    """

    format: str
    version: int
    created_utc: str
    yearling: str
    schema: str | None
    audit_entries: int
    audit_head: str
    with_blobs: bool
    files: dict[str, tuple[int, str]]
    event_entries: int = 0
    event_head: str = ""

    @property
    def size_bytes(self) -> int:
        """Total size of all members, uncompressed."""
        return sum(size_bytes for size_bytes, _ in self.files.values())

    @property
    def blobs(self) -> list[str]:
        """The SHA-256 of every blob."""
        return [sha256 for name, (_, sha256) in self.files.items() if name == f"blobs/{sha256}"]

    @property
    def release_files(self) -> list[str]:
        """The members that belong to the folder of releases. Empty if nothing was released, and in older backups."""
        return [name for name in self.files if is_release_member(name)]

    @property
    def private_keys(self) -> list[str]:
        """The members that are private keys of releases."""
        return [name for name in self.files if name.startswith(RELEASE_KEYS)]


def write_backup(
    path: Path,
    database: Database,
    blobs: BlobStore | None,
    *,
    data_dir: Path | None = None,
    with_keys: bool = True,
    progress: BackupProgress | None = None,
) -> BackupManifest:
    """Write a backup of one consistent state to a new file, while others keep writing.

    Without `blobs`, only the database; without `data_dir`, no releases; without `with_keys`, releases without private keys. The
    file appears when it is complete and durable, readable by its owner only. Raises Conflict if `path` exists or there are too
    many releases, Untrusted if a blob is damaged, BadInput for a strange file among the releases, Unavailable, StorageFailed.
    """
    if path.exists():
        raise Conflict(f"{path} already exists.", advice="Choose another name, or remove the file first.")
    with translate_storage_errors(f"The folder {path.parent}"):
        make_directory(path.parent)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as scratch:
            snapshot = Path(scratch) / DATABASE_MEMBER
            if blobs is None:
                take_snapshot(database, snapshot)
                return _write_archive(path, snapshot, None, {}, progress)
            with blobs.pause_collection():
                # The database first: every blob that it refers to is already stored.
                if data_dir is None:
                    take_snapshot(database, snapshot)
                else:
                    copy = Path(scratch) / RELEASE_FOLDER
                    take_snapshot_with_releases(database, snapshot, data_dir, copy, with_keys=with_keys)
                return _write_archive(path, snapshot, blobs, list_release_files(Path(scratch)), progress)


def read_backup_manifest(path: Path) -> BackupManifest:
    """The manifest of a backup; its members are not verified. Raises NotFound, Untrusted."""
    with _open_archive(path, read_to_end=False) as tar:
        return _parse_manifest(tar, path)


def extract_backup(path: Path, folder: Path, *, progress: BackupProgress | None = None) -> BackupManifest:
    """Unpack a backup into an empty folder that exists, verifying every byte against the manifest.

    Blobs go to `folder/blobs/` in the layout of the blob store, releases to `folder/release/`.
    Raises NotFound, Untrusted, StorageFailed.
    """
    done = 0
    with translate_storage_errors(f"The folder {folder}"), _open_archive(path, read_to_end=True) as tar:
        manifest = _parse_manifest(tar, path)
        missing = dict(manifest.files)
        while member := tar.next():
            expected = missing.pop(member.name, None)
            source = tar.extractfile(member) if member.isfile() else None
            if expected is None or source is None or member.size != expected[0]:
                raise _invalid_backup_error(path, f"it contains {member.name!r}, which its manifest does not list")
            target = _member_path(folder, member.name)
            make_directory(target.parent)
            if _copy_member(source, target) != expected[1]:
                raise _invalid_backup_error(path, f"{member.name} does not match its manifest")
            done += member.size
            if progress:
                progress(done, manifest.size_bytes)
    if missing:
        raise _invalid_backup_error(path, f"{sorted(missing)[0]} is missing")
    return manifest


def _write_archive(
    path: Path, snapshot: Path, blobs: BlobStore | None, releases: Mapping[str, Path], progress: BackupProgress | None
) -> BackupManifest:
    copies = {DATABASE_MEMBER: snapshot, **releases}
    stored = {f"blobs/{sha256}": (size_bytes, sha256) for sha256, size_bytes in blobs.iter_sizes()} if blobs else {}
    files = {name: (copy.stat().st_size, hash_file(copy)) for name, copy in copies.items()} | stored
    contents = describe_snapshot(snapshot)
    manifest = BackupManifest(
        format=BACKUP_FORMAT,
        version=BACKUP_FORMAT_VERSION if releases else 1,
        created_utc=format_time(now_utc()),
        yearling=__version__,
        **asdict(contents),
        with_blobs=blobs is not None,
        files=files,
    )
    # Fast compression: text shrinks well at any level, and most blobs are compressed already.
    with atomic_write(path) as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as tar:
        text = json.dumps(asdict(manifest), indent=1).encode()
        tar.addfile(_tar_info(_MANIFEST_MEMBER, len(text)), io.BytesIO(text))
        done = 0
        for name, (size_bytes, sha256) in files.items():
            with open_regular_file(blobs.path(sha256) if blobs and name in stored else copies[name]) as source:
                hashing = _HashingReader(source)
                tar.addfile(_tar_info(name, size_bytes), hashing)
            if hashing.hexdigest() != sha256:
                raise Untrusted(
                    f"The blob {sha256} was changed or is damaged.", advice="Restore it from an older backup, or delete it."
                )
            done += size_bytes
            if progress:
                progress(done, manifest.size_bytes)
    return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotContents:
    """What a manifest states about the database in its backup."""

    schema: str | None
    audit_entries: int
    audit_head: str
    event_entries: int
    event_head: str


def claimed_contents(manifest: BackupManifest) -> SnapshotContents:
    """What the manifest states, to be compared with `describe_snapshot`."""
    return record_from(SnapshotContents, manifest)


def describe_snapshot(snapshot: Path) -> SnapshotContents:
    """What the database of a snapshot contains."""
    database = Database(f"sqlite:///{snapshot}")
    try:
        return describe_database(database)
    finally:
        database.close()


def describe_database(database: Database) -> SnapshotContents:
    """What a database contains. Logs that its schema lacks count as empty."""
    with database.read() as connection:
        absent = ChainVerification(num_entries=0, head="")  # older schemas lack one log or both
        audit = verify_audit_chain(connection) if connection.dialect.has_table(connection, audit_log.name) else absent
        log = verify_event_chain(connection) if connection.dialect.has_table(connection, events.name) else absent
        return SnapshotContents(
            schema=read_schema_version(connection),
            audit_entries=audit.num_entries,
            audit_head=audit.head,
            event_entries=log.num_entries,
            event_head=log.head,
        )


@contextmanager
def _open_archive(path: Path, *, read_to_end: bool) -> Iterator[tarfile.TarFile]:
    with open_regular_file(path) as file:
        try:
            with gzip.GzipFile(fileobj=file) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
                yield tar
                if read_to_end:
                    while plain.read(_CHUNK_BYTES):
                        pass  # the checksum is at the end
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise _invalid_backup_error(path, f"it is truncated or damaged ({error})") from error
        except OSError as error:
            if error.errno is None:  # raised by gzip, such as for a wrong checksum
                raise _invalid_backup_error(path, f"it is damaged ({error})") from error
            raise


def _parse_manifest(tar: tarfile.TarFile, path: Path) -> BackupManifest:
    first = tar.next()
    source = tar.extractfile(first) if first and first.isfile() and first.name == _MANIFEST_MEMBER else None
    if first is None or source is None or first.size > _MAX_MANIFEST_BYTES:
        raise _invalid_backup_error(path, "it has no manifest")
    try:
        values = json.loads(source.read())
        manifest = BackupManifest(
            **{**values, "files": {name: (int(size), str(sha256)) for name, (size, sha256) in values["files"].items()}}
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _invalid_backup_error(path, "its manifest is unreadable") from None
    if manifest.format != BACKUP_FORMAT:
        raise _invalid_backup_error(path, "its manifest belongs to another kind of file")
    if manifest.version > BACKUP_FORMAT_VERSION:
        raise Conflict(
            f"{path} is a backup of format {manifest.version}, which this version does not know.",
            advice="Install a newer Yearling.",
        )
    unknown = [
        name
        for name, (_, sha256) in manifest.files.items()
        if not is_release_member(name) and (not _MEMBER_NAME.fullmatch(name) or name not in (DATABASE_MEMBER, f"blobs/{sha256}"))
    ]
    if unknown or DATABASE_MEMBER not in manifest.files:
        raise _invalid_backup_error(path, "its manifest lists files that are neither a database nor blobs nor releases")
    if fault := find_release_fault(manifest.files):
        raise _invalid_backup_error(path, fault)
    if manifest.release_files and not manifest.with_blobs:
        raise _invalid_backup_error(path, "it has releases although it holds the database only")
    return manifest


def _member_path(folder: Path, name: str) -> Path:
    if name == DATABASE_MEMBER or is_release_member(name):
        return folder / name  # the manifest was checked: no name leads elsewhere
    sha256 = name.removeprefix("blobs/")
    return folder / "blobs" / sha256[:2] / sha256


def _copy_member(source: IO[bytes], target: Path) -> str:
    """Write a new file, durably, and return its SHA-256."""
    return atomic_write_chunks(target, iter(lambda: source.read(_CHUNK_BYTES), b"")).sha256


class _HashingReader(io.RawIOBase):
    """A reader that hashes what is read through it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hasher = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._hasher.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


def _tar_info(name: str, size_bytes: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size_bytes
    info.mode = 0o600
    info.mtime = int(now_utc().timestamp())
    return info


def _invalid_backup_error(path: Path, reason: str) -> Untrusted:
    return Untrusted(f"{path} is not a valid Yearling backup: {reason}.", advice="Use another backup. Nothing was changed.")
