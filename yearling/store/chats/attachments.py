"""Files that belong to messages: which there are, whose they are, and what they may be shown as.

Their content lies among the blobs, by its hash; that a message needs it is a row of `blob_references`, and only that row gives
its owner access: knowing a hash gives none. What a file is, its own first bytes say, never its name or whoever sent it: only the
few raster formats that browsers show without running anything are images; everything else is bytes to download.
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
"""Under which name a message's facts tell of its files."""

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
    """One file of a message. `media_type` is an image type or that of plain bytes."""

    sha256: str
    name: str
    media_type: str
    size_bytes: int


def describe_attachment(sha256: str, name: object, content: bytes) -> dict[str, Any]:
    """What a message's facts say of a file."""
    known = str(name or "")
    shown = "".join(character for character in known if character.isprintable())[:_MAX_NAME_CHARS]
    return asdict(Attachment(sha256=sha256, name=shown, media_type=sniff_media_type(content), size_bytes=len(content)))


def sniff_media_type(content: bytes) -> str:
    """What these bytes are, as far as they may be shown."""
    return next((kind for mark, at, kind in _SIGNATURES if content[at : at + len(mark)] == mark), BINARY_MEDIA_TYPE)


def attachments_from_facts(facts: Mapping[str, Any]) -> list[Attachment]:
    """The files that a message's facts tell of."""
    return [Attachment(**one) for one in facts.get(ATTACHMENTS_FACT, ())]


class AttachmentStore:
    """The files of everybody's messages, each there for the owner of its conversation only."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def read_content(self, sha256: str, *, message_id: str, conversation_id: str, person_id: str) -> bytes:
        """A file of a message. Raises NotFound for what is not there or not theirs, Untrusted for a damaged file."""
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
        """Which blobs each of these messages needs."""
        found: dict[str, list[str]] = {}
        with self._database.read() as connection:
            for batch in in_batches(message_ids):
                query = sa.select(blob_references).where(
                    blob_references.c.kind == MESSAGE_BLOB_KIND, blob_references.c.record_id.in_(batch)
                )
                for row in connection.execute(query.order_by(blob_references.c.sha256)):
                    found.setdefault(row.record_id, []).append(row.sha256)
        return found

    def add_references(self, message_id: str, hashes: Iterable[str]) -> None:
        """Note that a message needs these blobs."""
        for sha256 in hashes:
            self._blobs.add_reference(sha256, MESSAGE_BLOB_KIND, message_id)
