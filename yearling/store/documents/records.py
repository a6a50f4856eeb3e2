"""Records of documents, their versions and where they belong."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.store.database.packing import compact_json
from yearling.store.documents.canonical import Location, Span

DocumentScope: TypeAlias = Literal["conversation", "folder", "library", "everybody"]
"""Whom a document is for: one conversation, the conversations of one folder, its person alone, or everybody here."""

DocumentState: TypeAlias = Literal["waiting", "indexed", "failed"]

EVERYBODY = "everybody"
"""The collection of the documents that are for everybody."""

MAX_DOCUMENT_NAME_CHARS = 200


class DocumentRemoved(NotFound):
    """The document was here, and the person could read it, until somebody removed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentPlace:
    """Where a document belongs: in a conversation, in a folder, in the library of a person, or, with none, for everybody.

    A library holds the files that its person uploads through OpenAI's API. Conversations find what is in one only if they name a
    collection of files.
    """

    conversation_id: str | None = None
    folder_id: str | None = None
    library_of: str | None = None
    """ID of the person."""

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.conversation_id, self.folder_id, self.library_of)) > 1:
            raise BadInput("A document is in a conversation, in a folder or in a library, not in two of them.", param="folder_id")

    @property
    def scope(self) -> DocumentScope:
        """Whom the document is for."""
        if self.conversation_id is not None:
            return "conversation"
        if self.folder_id is not None:
            return "folder"
        return "everybody" if self.library_of is None else "library"

    @property
    def collection(self) -> str:
        """The key of what is searched together."""
        return self.conversation_id or self.folder_id or self.library_of or EVERYBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchScope:
    """What a person searches: documents of a conversation and of its folder, those of a folder, those for everybody, and those
    of the person's library that are in one of `file_collection_ids`.

    Only documents of the person's own places are ever found. `document_ids`, if given, narrows that down.
    """

    person_id: str
    conversation_id: str | None = None
    folder_id: str | None = None
    with_everybody: bool = True
    file_collection_ids: frozenset[str] = frozenset()
    document_ids: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChanges:
    """How the text of a version differs from that of the version before: sentences that are new, and that are gone."""

    num_added: int
    num_removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentVersion:
    """One content of a document. `reason` says why it failed; `text_sha256` is None until its text is known."""

    id: str
    document_id: str
    content_sha256: str
    size_bytes: int
    media_type: str
    state: DocumentState
    reason: str
    title: str
    text_sha256: str | None
    num_chars: int
    num_pages: int
    num_passages: int
    warnings: tuple[str, ...]
    changes: TextChanges | None
    created_utc: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document with its newest version, and the version that search finds, which is older while the newest one waits."""

    id: str
    person_id: str | None
    """Who added it; None if that person's account was deleted."""
    scope: DocumentScope
    conversation_id: str | None
    folder_id: str | None
    name: str
    created_utc: datetime
    updated_utc: datetime
    version: DocumentVersion
    searched_version_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedDocument:
    """What adding a document did. A duplicate is one with the same content in the same place: nothing was added."""

    document: Document
    is_duplicate: bool
    is_new_version: bool


@dataclass(frozen=True, slots=True)
class PassageWords:
    """A passage of a text and the words that search finds it by, in order, with repetitions."""

    span: Span
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedVersion:
    """A version that a search looks through."""

    id: str
    document_id: str
    collection: str
    name: str
    title: str
    text_sha256: str
    num_passages: int
    num_words: int


def pack_locations(locations: tuple[Location, ...]) -> bytes:
    """Locations as compressed JSON."""
    rows = [
        [
            location.start,
            location.end,
            location.page,
            list(location.box) if location.box is not None else None,
            location.t0_s,
            location.t1_s,
            location.label,
        ]
        for location in locations
    ]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode()) if rows else b""


def unpack_locations(packed: bytes) -> tuple[Location, ...]:
    """The inverse of `pack_locations`. Raises Untrusted."""
    if not packed:
        return ()
    try:
        return tuple(
            Location(start=start, end=end, page=page, box=tuple(box) if box else None, t0_s=t0_s, t1_s=t1_s, label=label)
            for start, end, page, box, t0_s, t1_s, label in json.loads(zlib.decompress(packed))
        )
    except (zlib.error, ValueError, TypeError) as error:
        raise Untrusted(
            f"The stored locations of a document are broken ({error}).",
            advice="Run `yearling verify`; restore a backup if it is damaged.",
        ) from None


def pack_changes(changes: TextChanges | None) -> str:
    """Changes as JSON; empty for a first version."""
    return "" if changes is None else compact_json({"added": changes.num_added, "removed": changes.num_removed})


def unpack_changes(packed: str) -> TextChanges | None:
    """The inverse of `pack_changes`."""
    if not packed:
        return None
    values: Mapping[str, int] = json.loads(packed)
    return TextChanges(num_added=values["added"], num_removed=values["removed"])
