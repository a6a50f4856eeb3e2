"""Wire models of documents. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.store import MAX_DOCUMENT_NAME_CHARS, DocumentScope, DocumentState

MAX_QUERY_CHARS = 4_000


class DocumentChange(StrictModel):
    """Changes to a document."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_DOCUMENT_NAME_CHARS)]
    """New name."""


class DocumentSearchRequest(StrictModel):
    """A search in documents."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS)]
    """Question, or words."""
    conversation: Annotated[str | None, Field(max_length=64)] = None
    """ID of a conversation whose documents, and those of its folder, are searched as well."""
    folder: Annotated[str | None, Field(max_length=64)] = None
    """ID of a folder whose documents are searched as well."""
    everybody: bool = True
    """Whether documents for everybody are searched."""
    documents: Annotated[tuple[Annotated[str, Field(max_length=64)], ...] | None, Field(max_length=1000)] = None
    """IDs of documents; the search finds no others. Null means all."""
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    """Maximum number of passages."""


class TextChangesView(ResponseModel):
    """How a text differs from the version before."""

    added: int
    """Sentences that are new."""
    removed: int
    """Sentences that are gone."""


class DocumentVersionView(ResponseModel):
    """One content of a document."""

    object: Literal["document.version"]
    """Always `document.version`."""
    id: str
    """ID of the version."""
    state: DocumentState
    """`waiting`: it is being read. `indexed`: search finds it. `failed`: it cannot be read, see `reason`."""
    reason: str
    """Why it cannot be read; empty otherwise."""
    content: str
    """SHA-256 of the file."""
    text: str | None
    """SHA-256 of its text; null until it is read."""
    size_bytes: int
    """Size of the file."""
    media_type: str
    """Type of the file."""
    title: str
    """Title that stands in the file; empty if none does."""
    characters: int
    """Length of the text."""
    pages: int
    """Number of pages or slides; 0 where the format has none."""
    passages: int
    """Number of passages that search looks through."""
    warnings: list[str]
    """What was not read, in a sentence each."""
    changes: TextChangesView | None
    """How it differs from the version before; null for a first one."""
    created: str
    """When it was added."""


class DocumentView(ResponseModel):
    """A document with its newest version."""

    object: Literal["document"]
    """Always `document`."""
    id: str
    """ID of the document."""
    name: str
    """Name of the file. Another file with the same name in the same place is a new version."""
    scope: DocumentScope
    """For whom it is: one conversation, the conversations of a folder, or everybody here."""
    conversation: str | None
    """ID of the conversation."""
    folder: str | None
    """ID of the folder."""
    mine: bool
    """Whether the caller added it."""
    version: DocumentVersionView
    """The newest version. Search finds the one before while this one waits, and if it failed."""
    searchable: bool
    """Whether search finds a version of it."""
    created: str
    """When the document was added."""
    updated: str
    """When the newest version was added."""


class AddedDocumentView(ResponseModel):
    """What adding a file did."""

    object: Literal["document.added"]
    """Always `document.added`."""
    document: DocumentView
    """The document."""
    duplicate: bool
    """Whether the same content was in this place already. Nothing was added then."""
    new_version: bool
    """Whether it is another version of a document that was there."""


class DocumentList(ResponseModel):
    """Documents, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[DocumentView]
    """The documents."""
    next: str | None
    """Cursor of the next page; null on the last one."""
    waiting_for_meaning: int
    """Passages that search finds by their words only as yet."""


class DocumentVersionList(ResponseModel):
    """The versions of a document, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[DocumentVersionView]
    """The versions."""


class LocationView(ResponseModel):
    """Where a range of a text stood in the file."""

    start: int
    """Begin of the range, in Unicode code points."""
    end: int
    """End of the range."""
    page: int | None
    """Page or slide, from 1."""
    box: list[float] | None
    """Left, top, right and bottom on the page, as fractions of its width and height."""
    t0: float | None
    """Start in a recording, in seconds."""
    t1: float | None
    """End in a recording, in seconds."""
    label: str
    """Heading, sheet and row, or chapter."""


class DocumentTextView(ResponseModel):
    """A part of the text of a version."""

    object: Literal["document.text"]
    """Always `document.text`."""
    document: str
    """ID of the document."""
    text_sha256: str
    """The version, by the hash of its whole text."""
    start: int
    """Begin of the part in the whole text, in Unicode code points."""
    text: str
    """The part."""
    characters: int
    """Length of the whole text."""
    locations: list[LocationView]
    """Where the part stood in the file."""


class DocumentHit(ResponseModel):
    """A passage that matches."""

    document: str
    """ID of the document."""
    title: str
    """Its title or name."""
    text_sha256: str
    """The version, by the hash of its text."""
    start: int
    """Begin of the passage in the text, in Unicode code points."""
    end: int
    """End of the passage."""
    text: str
    """The passage."""
    score: float
    """How well it matches, among the passages of this search."""
    page: int | None
    """Page on which it begins."""
    label: str
    """Heading, sheet and row, or chapter, where it begins."""


class DocumentSearchView(ResponseModel):
    """What a search found."""

    object: Literal["document.search"]
    """Always `document.search`."""
    data: list[DocumentHit]
    """Passages, best first."""
    score: float
    """How surely they answer the question."""
    is_in_documents: bool | None
    """Whether the answer probably is in the documents; null where nothing was measured, as for a search by words alone."""
    by_meaning: bool
    """Whether passages were compared by meaning as well as by words."""
