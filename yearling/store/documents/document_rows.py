"""Rows of documents as records, and what a person may see, change and add: within a transaction of somebody else."""

from __future__ import annotations

import json

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.errors import NotAllowed, NotFound
from yearling.store.database.documents_schema import document_versions, documents, removed_documents
from yearling.store.database.schema import TableRow, conversations, folders, people
from yearling.store.documents.records import Document, DocumentPlace, DocumentRemoved, DocumentVersion, unpack_changes

VERSION_FIELDS = [column for column in document_versions.c if column.name not in ("locations", "num_words")]


def select_documents() -> sa.Select[tuple[object, ...]]:
    """Documents with their newest versions: `document_from_row` reads a row."""
    newest = (
        sa.select(sa.func.max(document_versions.c.id))
        .where(document_versions.c.document_id == documents.c.id)
        .correlate(documents)
        .scalar_subquery()
    )
    version = [column.label(f"version_{column.name}") for column in VERSION_FIELDS]
    return sa.select(documents, *version).join(document_versions, document_versions.c.id == newest)


def is_visible(person_id: str) -> sa.ColumnElement[bool]:
    """Whether a person may see a document."""
    return sa.or_(documents.c.scope == "everybody", documents.c.person_id == person_id)


def require_document(connection: Connection, document_id: str) -> Document:
    """A document, whoever asks. Raises NotFound."""
    row = connection.execute(select_documents().where(documents.c.id == document_id)).first()
    if row is None:
        raise document_not_found()
    return document_from_row(row)


def require_visible(connection: Connection, document_id: str, person_id: str) -> Document:
    """A document that a person may see. Raises NotFound; DocumentRemoved for one that the person could see."""
    row = connection.execute(select_documents().where(documents.c.id == document_id, is_visible(person_id))).first()
    if row is not None:
        return document_from_row(row)
    could_see = sa.or_(removed_documents.c.scope == "everybody", removed_documents.c.person_id == person_id)
    if connection.execute(sa.select(removed_documents.c.id).where(removed_documents.c.id == document_id, could_see)).first():
        raise DocumentRemoved("This document was removed.", advice="Ask whoever had it for a copy.")
    raise document_not_found()


def require_changeable(connection: Connection, document_id: str, person_id: str) -> Document:
    """A document that a person may change. Raises as `require_visible`, and NotAllowed."""
    document = require_visible(connection, document_id, person_id)
    if document.scope == "everybody":
        require_maintainer(connection, person_id)
    return document


def require_place(connection: Connection, person_id: str, place: DocumentPlace) -> None:
    """Check that a person may add documents to a place. Raises NotFound, NotAllowed."""
    if place.scope == "everybody":
        require_maintainer(connection, person_id)
        return
    if place.scope == "library":
        if place.library_of != person_id:
            raise NotFound("There is no such library.")
        return
    table = conversations if place.scope == "conversation" else folders
    own = sa.and_(table.c.id == place.collection, table.c.person_id == person_id)
    if connection.execute(sa.select(table.c.id).where(own)).first() is None:
        raise NotFound(f"There is no {place.scope} {place.collection[:100]!r}.", param=f"{place.scope}_id")


def require_maintainer(connection: Connection, person_id: str) -> None:
    """Check that a person may change what is for everybody. Raises NotAllowed."""
    role = connection.execute(sa.select(people.c.role).where(people.c.id == person_id)).scalar()
    if role not in ("owner", "maintainer"):
        raise NotAllowed(
            "Only maintainers and owners add, change and remove documents for everybody.",
            advice="Add the document to a conversation or to a folder of yours.",
        )


def lock_collection(connection: Connection, collection: str) -> None:
    """On Postgres, let only one writer at a time look for duplicates in a collection. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"documents {collection}"))))


def require_version_row(connection: Connection, version_id: str) -> DocumentVersion:
    """A version, which exists."""
    row = connection.execute(sa.select(*VERSION_FIELDS).where(document_versions.c.id == version_id)).one()
    return version_from_row(row)


def version_from_row(row: TableRow, *, prefix: str = "") -> DocumentVersion:
    """The version of a row with `VERSION_FIELDS`."""
    values = {column.name: getattr(row, prefix + column.name) for column in VERSION_FIELDS}
    values |= {"warnings": tuple(json.loads(values["warnings"])), "changes": unpack_changes(values["changes"])}
    return DocumentVersion(**values)


def document_from_row(row: TableRow) -> Document:
    """The document of a row of `select_documents`."""
    values = {column.name: getattr(row, column.name) for column in documents.c if column.name != "collection"}
    return Document(**values, version=version_from_row(row, prefix="version_"))


def document_not_found() -> NotFound:
    """The error for an unknown document."""
    return NotFound("There is no such document.")
