"""Import of a person's data from a file: conversations from other programs, or one of our own exports.

A chat export of another program is parsed by `chat_exports.py`, one of ours is imported by `yearling_export.py`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from typing import IO, Any

import sqlalchemy as sa

from yearling.errors import BadInput
from yearling.records import Conversation
from yearling.store.chats.attachments import ATTACHMENTS_FACT, describe_attachment
from yearling.store.database.schema import conversations
from yearling.store.store import Store
from yearling.store.transfer.chat_exports import Asset, detect_format, parse_chat_export
from yearling.store.transfer.exporter import EXPORT_MANIFEST_MEMBER
from yearling.store.transfer.yearling_export import (
    ActImporter,
    PersonImportResult,
    SettingsValidator,
    YearlingImporter,
    parse_json,
)

_MAX_COMPRESSION_RATIO = 50
"""A zip that unpacks to more than this many times its size is refused as a zip bomb."""


def import_person_data(
    store: Store,
    person_id: str,
    file: IO[bytes],
    *,
    max_bytes: int,
    validate_settings: SettingsValidator,
    import_acts: ActImporter,
) -> PersonImportResult:
    """Import an export of ChatGPT, Open WebUI or Yearling. Each conversation is stored completely or not at all.

    Raises BadInput for any other file, Untrusted for a damaged export of ours, StorageFailed.
    """
    if not zipfile.is_zipfile(file):
        file.seek(0)
        return _import_chat_export(store, person_id, parse_json(file.read()), _ArchiveFiles(store, None))
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            _reject_zip_bomb(archive, max_bytes)
            names = set(archive.namelist())
            if EXPORT_MANIFEST_MEMBER in names:
                return YearlingImporter(store, person_id, archive, validate_settings, import_acts).run()
            chats = sorted(
                name for name in names if name.rpartition("/")[2].startswith("conversations") and name.endswith(".json")
            )
            if not chats:
                chats = sorted(name for name in names if name.endswith(".json"))[:1]
            if not chats:
                raise BadInput("There are no conversations in this zip.", param="file")
            contents = [parse_json(archive.read(name)) for name in chats]
            merged = [chat for content in contents for chat in (content if isinstance(content, list) else [content])]
            return _import_chat_export(store, person_id, merged, _ArchiveFiles(store, archive))
    except zipfile.BadZipFile as error:
        raise BadInput(f"The zip is damaged: {error}.", advice="Export again.", param="file") from None


def _reject_zip_bomb(archive: zipfile.ZipFile, max_bytes: int) -> None:
    size_bytes = sum(info.file_size for info in archive.infolist())
    packed_bytes = sum(info.compress_size for info in archive.infolist())
    if size_bytes > max_bytes * 8 or size_bytes > max(packed_bytes, 1 << 20) * _MAX_COMPRESSION_RATIO:
        raise BadInput(f"The zip would unpack to {size_bytes} bytes.", advice="Split the export.", param="file")


def _import_chat_export(store: Store, person_id: str, content: Any, files: _ArchiveFiles) -> PersonImportResult:
    result = PersonImportResult(detect_format(content))
    for parsed in parse_chat_export(content, person_id, max_asset_bytes=files.max_bytes):
        result.skipped.update(parsed.skipped)
        if _was_imported(store, person_id, parsed.conversation):
            result.known += 1
            continue
        with store.blobs.pause_collection():  # no message refers to the new blobs yet
            attachments = {message_id: files.store_assets(assets, result) for message_id, assets in parsed.assets.items()}
            tree = [
                replace(message, facts={**message.facts, ATTACHMENTS_FACT: attachments[message.id]})
                if attachments.get(message.id)
                else message
                for message in parsed.messages
            ]
            store.conversations.insert_tree(parsed.conversation, tree)
            for message_id, entries in attachments.items():
                store.attachments.add_references(message_id, [entry["sha256"] for entry in entries])
        result.conversations += 1
        result.messages += len(tree)
        result.blobs += sum(map(len, attachments.values()))
    return result


def _was_imported(store: Store, person_id: str, conversation: Conversation) -> bool:
    """Whether the same version of this conversation was imported before."""
    source = conversation.facts["source"]
    own = sa.and_(conversations.c.person_id == person_id, conversations.c.origin == conversation.origin)
    same = sa.and_(own, conversations.c.created_utc == conversation.created_utc)
    with store.database.read() as connection:
        return any(
            json.loads(facts).get("source") == source
            for facts in connection.scalars(sa.select(conversations.c.facts).where(same))
        )


class _ArchiveFiles:
    """The files in an archive of another program, found by the beginning of their names."""

    def __init__(self, store: Store, archive: zipfile.ZipFile | None) -> None:
        self.max_bytes = store.settings.max_attachment_bytes
        self._store = store
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist() if archive else ():
            base = info.filename.rpartition("/")[2]
            for index, character in enumerate(base):
                if character in "-.":
                    self._members.setdefault(base[:index], info)
            self._members[base] = info

    def store_assets(self, assets: Iterable[Asset], result: PersonImportResult) -> list[dict[str, Any]]:
        """Store the files that exist and are not too large as blobs. Returns their entries for the facts of a message."""
        stored: dict[str, dict[str, Any]] = {}
        for asset in assets:
            content, info = asset.content, self._members.get(asset.key)
            size = len(content) if content is not None else info.file_size if info else None
            if size is None:
                result.skipped[("attachment", "it is not in the file")] += 1
            elif size > self.max_bytes:
                result.skipped[("attachment", f"it is larger than {self.max_bytes} bytes")] += 1
            else:
                if content is None and self._archive and info:
                    content = self._archive.read(info)
                content = content or b""
                name = asset.name or (info.filename.rpartition("/")[2] if info else "")
                sha256 = self._store.blobs.put(content)
                stored[sha256] = describe_attachment(sha256, name, content)
        return list(stored.values())
