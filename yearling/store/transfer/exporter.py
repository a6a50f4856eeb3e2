"""Export of all data of one person as a zip file: conversations, samples, folders, comparisons, links, documents and more.

The zip has a file of JSON lines for each kind of record, and a manifest with the size and SHA-256 of every member. `importer.py`
reads it.
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
from yearling.store.database.column_types import format_time
from yearling.store.database.packing import record_values
from yearling.store.store import Store

EXPORT_FORMAT = "yearling-export"
EXPORT_FORMAT_VERSION = 1
EXPORT_MANIFEST_MEMBER = "manifest.json"

_BATCH = 200


def export_person_data(
    store: Store, person_id: str, file: IO[bytes], *, feedback: Iterable[Mapping[str, Any]] = ()
) -> dict[str, int]:
    """Write all data of a person. `feedback` are their events with texts. Returns the number of records of each kind."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        writer = _ExportWriter(archive)
        blobs: set[str] = set()
        writer.write_lines(
            "folders", (_json_values(asdict(folder), drop=("num_conversations",)) for folder in store.folders.list(person_id))
        )
        writer.write_lines("samples", _iter_samples(store, person_id))
        writer.write_lines("conversations", _iter_conversations(store, person_id, blobs))
        writer.write_lines("comparisons", (_json_values(record_values(record)) for record in store.comparisons.list(person_id)))
        writer.write_lines("shares", (_json_values(record_values(record)) for record in store.shares.list(person_id)))
        writer.write_lines("offers", _iter_offers(store, person_id))
        writer.write_lines("memories", (_json_values(record_values(record)) for record in store.memories.list(person_id)))
        writer.write_lines("corrections", (_json_values(row) for row in _iter_corrections(store, person_id)))
        writer.write_lines("guesses", (_json_values(record_values(record)) for record in store.guesses.list(person_id)))
        writer.write_lines("api_conversations", (_json_values(row) for row in store.api_conversations.export(person_id)))
        writer.write_lines("rounds", _iter_rounds(store, person_id))
        writer.write_lines("documents", _iter_documents(store, person_id, blobs))
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
    """Writes members of the zip, and collects their sizes, hashes and counts."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, list[Any]] = {}
        self.counts: dict[str, int] = {}

    def write_lines(self, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows as one JSON object a line."""
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
        blob_hashes = store.attachments.blob_hashes_by_message([message.id for message in tree])
        blobs.update(sha256 for hashes in blob_hashes.values() for sha256 in hashes)
        message_rows = [
            _json_values(record_values(message), drop=("conversation_id",))
            | ({"blobs": blob_hashes[message.id]} if message.id in blob_hashes else {})
            for message in tree
        ]
        yield _json_values(record_values(conversation), drop=("person_id",)) | {"messages": message_rows}


def _iter_offers(store: Store, person_id: str) -> Iterator[dict[str, Any]]:
    records = store.offers.list(person_id)
    texts = store.texts.get_many([record.id for record in records])
    for record in records:
        text = texts.get(record.id)
        yield _json_values(record_values(record)) | ({"words": text.content, "salt": text.salt} if text else {})


def _iter_corrections(store: Store, person_id: str) -> Iterator[dict[str, Any]]:
    for row in store.corrections.export(person_id):
        yield row | {"wordings": [_json_values(wording) for wording in row["wordings"]]}


def _iter_rounds(store: Store, person_id: str) -> Iterator[dict[str, Any]]:
    """The question rounds that a person made, with their pairs. The importer leaves them out: judgements stay where they were."""
    for record in store.rounds.list(person_id=person_id):
        pairs = [record_values(pair) for pair in store.rounds.pairs([record.id])]
        yield _json_values(record_values(record)) | {"pairs": [_json_values(pair, drop=("round_id",)) for pair in pairs]}


def _iter_documents(store: Store, person_id: str, blobs: set[str]) -> Iterator[dict[str, Any]]:
    """The documents that a person added, with all versions: their originals and their texts are blobs."""
    for document in store.documents.list(person_id):
        if document.person_id != person_id:
            continue  # somebody else's, for everybody
        versions = store.documents.list_versions(document.id, person_id=person_id)
        blobs.update(version.content_sha256 for version in versions)
        blobs.update(version.text_sha256 for version in versions if version.text_sha256 is not None)
        rows = [_json_values(asdict(version), drop=("document_id",)) for version in versions]
        yield _json_values(record_values(document), drop=("person_id", "version", "searched_version_id")) | {"versions": rows}


def _json_values(values: Mapping[str, Any], *, drop: tuple[str, ...] = ("person_id",)) -> dict[str, Any]:
    """The values without those to drop, with times as text."""
    return {
        name: format_time(value) if isinstance(value, datetime) else value for name, value in values.items() if name not in drop
    }
