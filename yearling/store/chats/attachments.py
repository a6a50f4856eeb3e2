"""Files that belong to messages: their names, owners and media types.

Their content is stored as blobs. A row of `blob_references` links a message to a blob, and only that row gives the owner of the
message access: knowing a hash does not. The media type follows from the first bytes of a file, never from its name or its sender.
Only the raster formats that browsers show without running code count as images; everything else is offered as a download.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from yearling.errors import NotFound
from yearling.store.blobs import BlobStore
from yearling.store.chats.conversations import MESSAGE_BLOB_KIND, require_conversation
from yearling.store.database.database import Database, in_batches
from yearling.store.database.schema import blob_references, messages

BINARY_MEDIA_TYPE = "application/octet-stream"
ATTACHMENTS_FACT = "attachments"
"""The key of `Message.facts` that lists its files."""

_MAX_NAME_CHARS = 200
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One file of a message. `media_type` is an image type or `BINARY_MEDIA_TYPE`."""

    sha256: str
    name: str
    media_type: str
    size_bytes: int


def describe_attachment(sha256: str, name: object, content: bytes) -> dict[str, object]:
    """The entry of a file in a message's facts. Unprintable characters are removed from its name."""
    printable = "".join(character for character in str(name or "") if character.isprintable())[:_MAX_NAME_CHARS]
    return asdict(Attachment(sha256=sha256, name=printable, media_type=sniff_media_type(content), size_bytes=len(content)))


def sniff_media_type(content: bytes) -> str:
    """The media type of content, by its signature; `BINARY_MEDIA_TYPE` unless it is a known image."""
    kinds = (kind for signature, offset, kind in _SIGNATURES if content.startswith(signature, offset))
    return next(kinds, BINARY_MEDIA_TYPE)


def attachments_from_facts(facts: Mapping[str, Any]) -> list[Attachment]:
    """The files that a message's facts list."""
    return [Attachment(**fields) for fields in facts.get(ATTACHMENTS_FACT, ())]


class AttachmentStore:
    """The files of all messages. Only the owner of a conversation can read its files."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def read_content(self, sha256: str, *, message_id: str, conversation_id: str, person_id: str) -> bytes:
        """The content of a message's file. Raises NotFound if it does not exist for this person, Untrusted if it is damaged."""
        claim = (
            sa.select(messages.c.id)
            .join(blob_references, blob_references.c.record_id == messages.c.id)
            .where(messages.c.id == message_id, messages.c.conversation_id == conversation_id)
            .where(blob_references.c.kind == MESSAGE_BLOB_KIND, blob_references.c.sha256 == sha256)
        )
        with self._database.read() as connection:
            require_conversation(connection, conversation_id, person_id)
            if connection.execute(claim).first() is None:
                raise NotFound("There is no such file in this message.")
        return self._blobs.get(sha256)

    def blob_hashes_by_message(self, message_ids: Sequence[str]) -> dict[str, list[str]]:
        """The blobs that each of these messages needs, by message id."""
        hashes: dict[str, list[str]] = {}
        with self._database.read() as connection:
            for batch in in_batches(message_ids):
                query = sa.select(blob_references).where(
                    blob_references.c.kind == MESSAGE_BLOB_KIND, blob_references.c.record_id.in_(batch)
                )
                for row in connection.execute(query.order_by(blob_references.c.sha256)):
                    hashes.setdefault(row.record_id, []).append(row.sha256)
        return hashes

    def add_references(self, message_id: str, hashes: Iterable[str]) -> None:
        """Record that a message needs these blobs. Raises NotFound if one is missing."""
        for sha256 in hashes:
            self._blobs.add_reference(sha256, MESSAGE_BLOB_KIND, message_id)
