"""Everything that is one person's as one zip file: conversations, samples, folders, comparisons, links, files and the rest.

The zip holds JSON lines per kind and a manifest with the size and SHA-256 of every member; `taking_in` reads it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import IO, Any

from yearling import __version__
from yearling.clock import now_utc
from yearling.store.database.packing import record_values
from yearling.store.database.schema import format_time
from yearling.store.store import Store

EXPORT_FORMAT = "yearling-export"
EXPORT_FORMAT_VERSION = 1
EXPORT_MANIFEST_MEMBER = "manifest.json"

_BATCH = 200


def export_person_data(
    store: Store, person_id: str, file: IO[bytes], *, feedback: Iterable[Mapping[str, Any]] = ()
) -> dict[str, int]:
    """Write everything of a person; `feedback` are their acts with the words. Returns how much there was of each kind."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        writer = _ExportWriter(archive)
        blobs: set[str] = set()
        writer.write_lines(
            "folders", (_json_values(asdict(one), drop=("num_conversations",)) for one in store.folders.list(person_id))
        )
        writer.write_lines("samples", _iter_samples(store, person_id))
        writer.write_lines("conversations", _iter_conversations(store, person_id, blobs))
        writer.write_lines("comparisons", (_json_values(record_values(one)) for one in store.comparisons.list(person_id)))
        writer.write_lines("shares", (_json_values(record_values(one)) for one in store.shares.list(person_id)))
        writer.write_lines("memories", (_json_values(record_values(one)) for one in store.memories.list(person_id)))
        writer.write_lines("settings", [store.personal_settings.get(person_id)])
        writer.write_lines("feedback", feedback)
        for sha256 in sorted(blobs):
            writer.write_member(f"blobs/{sha256}", store.blobs.get(sha256))
        manifest = {
            "format": EXPORT_FORMAT,
            "version": EXPORT_FORMAT_VERSION,
            "created_utc": format_time(now_utc()),
            "yearling": __version__,
            "counts": writer.counts,
            "files": writer.files,
        }
        archive.writestr(EXPORT_MANIFEST_MEMBER, json.dumps(manifest, indent=1))
    return {**writer.counts, "blobs": len(blobs)}


class _ExportWriter:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, list[Any]] = {}
        self.counts: dict[str, int] = {}

    def write_lines(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """One JSON object a line."""
        name, hasher, size, count = f"{kind}.jsonl", hashlib.sha256(), 0, 0
        with self._archive.open(name, "w", force_zip64=True) as member:
            for row in rows:
                line = json.dumps(row, separators=(",", ":")).encode() + b"\n"
                hasher.update(line)
                size += member.write(line)
                count += 1
        self.files[name] = [size, hasher.hexdigest()]
        self.counts[kind] = count

    def write_member(self, name: str, content: bytes) -> None:
        self._archive.writestr(name, content)
        self.files[name] = [len(content), hashlib.sha256(content).hexdigest()]


def _iter_samples(store: Store, person_id: str) -> Iterator[dict[str, Any]]:
    before = None
    while page := store.samples.list(person_id, limit=_BATCH, before=before):
        yield from (_json_values(asdict(sample), drop=("person_id",)) for sample in page)
        before = page[-1].id


def _iter_conversations(store: Store, person_id: str, blobs: set[str]) -> Iterator[dict[str, Any]]:
    for conversation in store.conversations.list(person_id):
        tree = store.conversations.list_messages(conversation.id, person_id=person_id)
        claims = store.attachments.blob_hashes_by_message([message.id for message in tree])
        blobs.update(sha256 for hashes in claims.values() for sha256 in hashes)
        said = [
            _json_values(record_values(message), drop=("conversation_id",))
            | ({"blobs": claims[message.id]} if message.id in claims else {})
            for message in tree
        ]
        yield _json_values(record_values(conversation), drop=("person_id",)) | {"messages": said}


def _json_values(values: Mapping[str, Any], *, drop: tuple[str, ...] = ("person_id",)) -> dict[str, Any]:
    """JSON values: times as text."""
    plain = {name: value for name, value in values.items() if name not in drop}
    return {name: format_time(value) if isinstance(value, datetime) else value for name, value in plain.items()}
