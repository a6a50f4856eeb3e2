"""Reads documents that wait, one after the other, and makes them findable: by their words first, by meaning afterwards.

What is done is recorded document by document, so a process that is killed goes on with the next one. Several processes share the
work through a lock: only one reads at a time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from yearling.config import Settings
from yearling.errors import BadInput, NotFound, StorageFailed, UserError
from yearling.files.atomic import atomic_write_text
from yearling.files.locks import acquire_exclusive_lock
from yearling.retrieval.index.document_index import DocumentIndex
from yearling.retrieval.parsing.document_parser import DEFAULT_LIMITS, parse_document
from yearling.store import DocumentVersion, Store

LOCK_NAME = "documents.lock"
ATTEMPTS_NAME = "documents.reading"
"""The file that names the version that is being read, and the number of attempts."""
MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedDocument:
    """What became of one version: `version.state` is `indexed` or `failed`, with its reason."""

    version: DocumentVersion
    name: str


class DocumentReader:
    """Reads the documents of one store into its index."""

    def __init__(self, settings: Settings, store: Store, index: DocumentIndex) -> None:
        self._store, self._index = store, index
        self._lock: Path = settings.data_dir / LOCK_NAME
        self._attempts = settings.data_dir / ATTEMPTS_NAME
        self._limits = replace(DEFAULT_LIMITS, file_bytes=settings.max_document_bytes)

    async def read_waiting(
        self, *, on_document: Callable[[IndexedDocument], None] = lambda document: None, lock_timeout_s: float | None = 0.0
    ) -> int:
        """Read every document that waits. Returns how many it read.

        Raises LockHeldError if another process still reads after `lock_timeout_s`, and StorageFailed if the disk fails. A
        document that cannot be read is recorded as failed, with the reason.
        """
        num_read = 0
        lock = await asyncio.to_thread(acquire_exclusive_lock, self._lock, timeout_s=lock_timeout_s)
        try:
            while waiting := await asyncio.to_thread(self._store.documents.list_waiting, limit=20):
                for version in waiting:
                    done = await self._read(version)
                    if done is not None:
                        num_read += 1
                        on_document(done)
        finally:
            os.close(lock)
        return num_read

    async def _read(self, version: DocumentVersion) -> IndexedDocument | None:
        """Read one version; None if its document was deleted meanwhile. Raises StorageFailed.

        Whatever else goes wrong is recorded as the failure of this document, so that the others are read.
        """
        documents = self._store.documents
        try:
            name = await asyncio.to_thread(documents.name_of, version.document_id)
            try:
                await asyncio.to_thread(self._begin, version.id)
                content = await asyncio.to_thread(documents.read_waiting_content, version)
                text = await asyncio.to_thread(
                    parse_document, content, name=name, media_type=version.media_type, limits=self._limits
                )
                done = await self._index.add_text(version.id, text)
            except StorageFailed:
                raise  # the disk is full or fails: it is tried again
            except NotFound:
                await asyncio.to_thread(documents.name_of, version.document_id)  # raises it again if the document is gone
                done = await asyncio.to_thread(documents.set_failed, version.id, "The stored file is missing.")
            except UserError as error:
                done = await asyncio.to_thread(documents.set_failed, version.id, str(error))
            except Exception as error:
                reason = f"Internal error while reading it: {type(error).__name__}."
                done = await asyncio.to_thread(documents.set_failed, version.id, reason)
            await asyncio.to_thread(self._attempts.unlink, missing_ok=True)
            return IndexedDocument(version=done, name=name)
        except NotFound:
            return None

    def _begin(self, version_id: str) -> None:
        """Count attempts that end with the process. Raises BadInput if there were too many."""
        attempts = 1
        with suppress(OSError, ValueError):
            before, count = self._attempts.read_text(encoding="ascii").split()
            attempts = int(count) + 1 if before == version_id else 1
        if attempts > MAX_ATTEMPTS:
            raise BadInput(
                f"The program ended {MAX_ATTEMPTS} times while it read this document.",
                advice="Perhaps the memory is too small: divide the document.",
            )
        atomic_write_text(self._attempts, f"{version_id} {attempts}\n")
