"""Content-addressed files: a blob is named by the SHA-256 of its bytes and never changes.

Records that need a blob add a reference to it. `collect_garbage` deletes blobs without references, except those younger than the
grace period: the record that will refer to them may not be written yet.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import sqlalchemy as sa

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.files.atomic import TEMPORARY_PREFIX, atomic_write, atomic_write_bytes
from yearling.files.locks import exclusive_lock, shared_lock
from yearling.files.reading import open_regular_file
from yearling.files.sync import make_directory
from yearling.store.database.database import Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.schema import blob_references

GRACE_PERIOD_S = 24 * 3600.0

_CHUNK_BYTES = 1 << 20
_SHA256 = re.compile("[0-9a-f]{64}")


class BlobStore:
    """The blobs of one data folder. Thread-safe, and safe between processes."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database
        self._label = f"The blob folder {folder}"

    def put(self, content: bytes | Path) -> str:
        """Store bytes, or the content of a file, and return their SHA-256; durable on return.

        Content that is stored already is not written again unless the stored copy is damaged. Raises NotFound or BadInput if the
        path is not a regular file, StorageFailed.
        """
        with translate_storage_errors(self._label), self.pause_collection():
            if isinstance(content, bytes):
                return self._put_bytes(content)
            with open_regular_file(content) as source:
                return self._put_file(source)

    def get(self, sha256: str) -> bytes:
        """The content of a blob. Raises NotFound, and Untrusted if it no longer matches its hash."""
        with self.open(sha256) as file:
            content = file.read()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Untrusted(
                f"The blob {sha256} was changed or is damaged.", advice="Restore a backup with `yearling restore FILE`."
            )
        return content

    def open(self, sha256: str) -> BufferedReader:
        """The content as an open file, unverified. Raises NotFound."""
        path = self.path(sha256)
        with translate_storage_errors(self._label):
            return open_regular_file(path)

    def path(self, sha256: str) -> Path:
        """The path of a blob, unverified, for libraries that need one. Raises NotFound, BadInput if this is no SHA-256."""
        path = self._path_for(sha256)
        if path.is_symlink() or not path.is_file():
            raise NotFound(f"There is no blob {sha256}.", advice="Run `yearling verify` to list missing blobs.")
        return path

    def iter_sizes(self) -> Iterator[tuple[str, int]]:
        """Yield (SHA-256, size in bytes) of each blob, sorted by hash. Other files in the folder are ignored."""
        for shard in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(shard.iterdir()):
                if _SHA256.fullmatch(path.name) and path.name.startswith(shard.name):
                    yield path.name, path.stat().st_size

    def is_intact(self, sha256: str) -> bool:
        """Whether the content of a blob matches its hash. Raises NotFound."""
        with self.open(sha256) as file, translate_storage_errors(self._label):
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def add_reference(self, sha256: str, kind: str, record_id: str) -> None:
        """Record that a record needs a blob; idempotent. Raises NotFound if there is no such blob."""
        row = {"sha256": sha256, "kind": kind, "record_id": record_id}
        with self.pause_collection():
            self.path(sha256)
            with self._database.write() as connection:
                connection.execute(self._database.insert_or_ignore(blob_references).values(row))

    def remove_references(self, kind: str, record_id: str) -> None:
        """Remove all references of a record, so that the blobs that only it needed can be deleted."""
        own = sa.and_(blob_references.c.kind == kind, blob_references.c.record_id == record_id)
        with self._database.write() as connection:
            connection.execute(blob_references.delete().where(own))

    def count_references(self, sha256: str) -> int:
        """How many records need a blob."""
        query = sa.select(sa.func.count()).where(blob_references.c.sha256 == sha256)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def referenced_hashes(self) -> set[str]:
        """The hashes of all blobs that some record needs."""
        with self._database.read() as connection:
            return set(connection.scalars(sa.select(blob_references.c.sha256).distinct()))

    def collect_garbage(self, *, grace_period_s: float = GRACE_PERIOD_S) -> list[str]:
        """Delete blobs without references that are older than the grace period. Returns their hashes."""
        removed = []
        with translate_storage_errors(self._label):
            make_directory(self.folder)
            with exclusive_lock(self.folder / ".lock"):
                needed, oldest = self.referenced_hashes(), time.time() - grace_period_s
                for sha256, _ in self.iter_sizes():
                    path = self._path_for(sha256)
                    if sha256 not in needed and path.stat().st_mtime <= oldest:
                        path.unlink()
                        removed.append(sha256)
                # Left by writers that died: a living one would hold the lock.
                for leftover in self.folder.glob(f"**/{TEMPORARY_PREFIX}*"):
                    leftover.unlink()
        return removed

    def delete_unreferenced(self, hashes: Iterable[str]) -> list[str]:
        """Delete at once those of these blobs that no record needs. Returns their hashes."""
        removed = []
        with translate_storage_errors(self._label):
            make_directory(self.folder)
            with exclusive_lock(self.folder / ".lock"):
                needed = self.referenced_hashes()
                for sha256 in sorted(set(hashes) - needed):
                    path = self._path_for(sha256)
                    if path.is_file():
                        path.unlink()
                        removed.append(sha256)
        return removed

    @contextmanager
    def pause_collection(self) -> Iterator[None]:
        """Keep blobs from being deleted while the block runs."""
        make_directory(self.folder)
        with shared_lock(self.folder / ".lock"):
            yield

    def _put_bytes(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        if not self._refresh_if_intact(sha256):
            path = self._path_for(sha256)
            make_directory(path.parent)
            atomic_write_bytes(path, content)
        return sha256

    def _put_file(self, source: BufferedReader) -> str:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        if self._refresh_if_intact(sha256):
            return sha256
        source.seek(0)
        path, hasher = self._path_for(sha256), hashlib.sha256()
        make_directory(path.parent)
        with atomic_write(path) as file:
            while chunk := source.read(_CHUNK_BYTES):
                hasher.update(chunk)
                file.write(chunk)
            if hasher.hexdigest() != sha256:
                raise BadInput("The file changed while it was being read.", advice="Try again when no program writes to it.")
        return sha256

    def _refresh_if_intact(self, sha256: str) -> bool:
        """Whether the blob is stored and intact; if so, restart its grace period."""
        path = self._path_for(sha256)
        if path.is_symlink() or not path.is_file() or not self.is_intact(sha256):
            return False
        os.utime(path)
        return True

    def _path_for(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise BadInput(f"{sha256[:80]!r} is not the SHA-256 of a blob.", advice="Give 64 lower-case hexadecimal digits.")
        return self.folder / sha256[:2] / sha256
