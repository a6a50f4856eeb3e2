"""Documents: files that the assistant may look things up in, each with its versions and their canonical texts.

A document is for one conversation, for a folder, for its person's library, or for everybody. The first three are visible to
their person only; those for everybody may be added, renamed and deleted by maintainers and owners. Every version keeps its
original and its text until the document is deleted, so that a citation stays readable; search finds the newest version whose
text is known.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.store.audit import append_audit_entry
from yearling.store.blobs import BlobStore
from yearling.store.database.database import Database
from yearling.store.database.documents_schema import document_versions, documents
from yearling.store.database.packing import compact_json
from yearling.store.database.schema import TableRow, blob_references
from yearling.store.database.search import DOCUMENT_FTS, fold_text, merge_index_segments
from yearling.store.documents.canonical import CanonicalText
from yearling.store.documents.document_rows import (
    VERSION_FIELDS,
    document_from_row,
    is_visible,
    lock_collection,
    require_changeable,
    require_document,
    require_place,
    require_version_row,
    require_visible,
    select_documents,
    version_from_row,
)
from yearling.store.documents.passage_rows import (
    DOCUMENT_BLOB_KIND,
    DOCUMENT_TABLES,
    delete_documents,
    delete_passages,
    insert_passages,
)
from yearling.store.documents.records import (
    MAX_DOCUMENT_NAME_CHARS,
    AddedDocument,
    Document,
    DocumentPlace,
    DocumentVersion,
    PassageWords,
    TextChanges,
    pack_changes,
    pack_locations,
    unpack_changes,
    unpack_locations,
)

DocumentRecords = list[Document]
VersionRecords = list[DocumentVersion]


class DocumentStore:
    """All documents. Every method that a person calls checks what that person may see and do."""

    def __init__(self, database: Database, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    def add(
        self,
        person_id: str,
        name: str,
        content: bytes | Path,
        *,
        place: DocumentPlace,
        media_type: str = "application/octet-stream",
    ) -> AddedDocument:
        """Store a file. Its text is found later: the version waits until `set_text` or `set_failed`.

        The same content in the same place is a duplicate, whatever its name. Another content under a known name is a new version
        of that document. Raises NotFound for a conversation or folder that is not the person's, NotAllowed for one who may not
        add documents for everybody, BadInput for an unusable name, StorageFailed.
        """
        name = _validated_name(name)
        with self._database.read() as connection:
            require_place(connection, person_id, place)
        with self._blobs.pause_collection():
            sha256 = self._blobs.put(content)
            size_bytes = self._blobs.path(sha256).stat().st_size
            with self._database.write() as connection:
                require_place(connection, person_id, place)
                lock_collection(connection, place.collection)
                if (twin := _find_by_content(connection, place.collection, sha256)) is not None:
                    return AddedDocument(document=twin, is_duplicate=True, is_new_version=False)
                in_place = sa.and_(documents.c.collection == place.collection, documents.c.name == name)
                known = connection.execute(sa.select(documents.c.id).where(in_place)).scalar()
                document_id, now = known or new_id(), now_utc()
                if known is None:
                    connection.execute(
                        documents.insert().values(
                            id=document_id,
                            person_id=person_id,
                            scope=place.scope,
                            collection=place.collection,
                            conversation_id=place.conversation_id,
                            folder_id=place.folder_id,
                            name=name,
                            searched_version_id=None,
                            created_utc=now,
                            updated_utc=now,
                        )
                    )
                else:
                    connection.execute(documents.update().where(documents.c.id == document_id).values(updated_utc=now))
                _insert_version(connection, document_id, sha256, size_bytes, media_type)
                if place.scope == "everybody":
                    append_audit_entry(connection, person_id, "document.add", document_id, {"content": sha256})
                document = require_document(connection, document_id)
        return AddedDocument(document=document, is_duplicate=False, is_new_version=known is not None)

    def list(
        self,
        person_id: str,
        *,
        place: DocumentPlace | None = None,
        search: str = "",
        limit: int | None = None,
        before: str | None = None,
        newest_first: bool = True,
    ) -> DocumentRecords:
        """The documents that a person may see, newest first or last; with `place`, only those of it.

        `search` finds a part of the name; `before` is the last id of the previous page.
        """
        order = documents.c.id.desc() if newest_first else documents.c.id
        query = select_documents().where(is_visible(person_id)).order_by(order)
        if place is not None:
            query = query.where(documents.c.collection == place.collection)
        if before is not None:
            query = query.where(documents.c.id < before if newest_first else documents.c.id > before)
        if limit is not None and not search:
            query = query.limit(limit)
        with self._database.read() as connection:
            found = [document_from_row(row) for row in connection.execute(query)]
        if search:
            wanted = fold_text(search)
            found = [document for document in found if wanted in fold_text(document.name)]
        return found[:limit]

    def get(self, document_id: str, *, person_id: str) -> Document:
        """A document that a person may see. Raises NotFound; DocumentRemoved for one that the person could see."""
        with self._database.read() as connection:
            return require_visible(connection, document_id, person_id)

    def names_of(self, document_ids: Collection[str], *, person_id: str) -> dict[str, str]:
        """The names of those of these documents, by ID, that are there and that a person may see."""
        query = sa.select(documents.c.id, documents.c.name).where(documents.c.id.in_(document_ids), is_visible(person_id))
        with self._database.read() as connection:
            return {row.id: row.name for row in connection.execute(query)}

    def list_versions(self, document_id: str, *, person_id: str) -> VersionRecords:
        """The versions of a document, newest first. Raises as `get`."""
        query = sa.select(*VERSION_FIELDS).where(document_versions.c.document_id == document_id)
        with self._database.read() as connection:
            require_visible(connection, document_id, person_id)
            return [version_from_row(row) for row in connection.execute(query.order_by(document_versions.c.id.desc()))]

    def read_content(self, document_id: str, content_sha256: str, *, person_id: str) -> bytes:
        """The original bytes of a version. Raises as `get`, and Untrusted if they are damaged."""
        self._require_version(document_id, document_versions.c.content_sha256 == content_sha256, person_id)
        return self._blobs.get(content_sha256)

    def read_text(self, document_id: str, text_sha256: str | None = None, *, person_id: str) -> CanonicalText:
        """The text of the version with this hash, which need not be the newest; without one, of the version that search finds.

        Raises as `get`, NotFound while the text is not known, and Untrusted if it is damaged.
        """
        if text_sha256 is None:
            document = self.get(document_id, person_id=person_id)
            condition = document_versions.c.id == document.searched_version_id
        else:
            condition = document_versions.c.text_sha256 == text_sha256
        row = self._require_version(document_id, condition, person_id)
        return self._read_text(row)

    def rename(self, document_id: str, name: str, *, person_id: str) -> Document:
        """Rename a document. Raises as `get`; NotAllowed, BadInput; Conflict if another document of the place has the name."""
        name = _validated_name(name)
        with self._database.write() as connection:
            document = require_changeable(connection, document_id, person_id)
            collection = sa.select(documents.c.collection).where(documents.c.id == document_id).scalar_subquery()
            others = sa.and_(documents.c.collection == collection, documents.c.name == name, documents.c.id != document_id)
            if connection.execute(sa.select(documents.c.id).where(others)).first() is not None:
                raise Conflict(f"There is a document {name!r} already.", advice="Choose another name.", param="name")
            changes = {"name": name, "updated_utc": now_utc()}
            connection.execute(documents.update().where(documents.c.id == document_id).values(changes))
            if document.scope == "everybody":
                append_audit_entry(connection, person_id, "document.rename", document_id)
            return require_document(connection, document_id)

    def delete(self, document_id: str, *, person_id: str) -> None:
        """Delete a document with all versions, texts, words and vectors, at once. Raises as `get`, and NotAllowed."""
        with self._database.write() as connection:
            document = require_changeable(connection, document_id, person_id)
            hashes = delete_documents(connection, documents.c.id == document_id)
            if document.scope == "everybody":
                append_audit_entry(connection, person_id, "document.delete", document_id)
        self._blobs.delete_unreferenced(hashes)
        self.scrub()

    def scrub(self) -> None:
        """Remove copies of deleted words from the index and from the database's logs."""
        merge_index_segments(self._database, DOCUMENT_FTS)
        self._database.scrub(*DOCUMENT_TABLES)

    def list_waiting(self, *, limit: int = 100) -> VersionRecords:
        """Versions whose text is not known yet, oldest first: what an indexer goes on with after it was killed."""
        query = sa.select(*VERSION_FIELDS).where(document_versions.c.state == "waiting").order_by(document_versions.c.id)
        with self._database.read() as connection:
            return [version_from_row(row) for row in connection.execute(query.limit(limit))]

    def name_of(self, document_id: str) -> str:
        """The name of a document, for the indexer. Raises NotFound if it was deleted."""
        with self._database.read() as connection:
            return require_document(connection, document_id).name

    def read_waiting_content(self, version: DocumentVersion) -> bytes:
        """The original bytes of a version, for the indexer. Raises NotFound if its document was deleted, and Untrusted."""
        return self._blobs.get(version.content_sha256)

    def read_replaced_text(self, version_id: str) -> CanonicalText | None:
        """The text that search finds now and this version will replace, for the indexer. None for a first version."""
        query = (
            sa.select(document_versions)
            .join(documents, documents.c.searched_version_id == document_versions.c.id)
            .where(documents.c.id == _document_of(version_id), document_versions.c.id != version_id)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._read_text(row)

    def read_indexed_text(self, version_id: str) -> CanonicalText:
        """The text of a version, for the indexer. Raises NotFound if it has none or was deleted, and Untrusted."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(document_versions).where(document_versions.c.id == version_id)).first()
        if row is None:
            raise NotFound("The document was deleted.")
        return self._read_text(row)

    def set_text(
        self, version_id: str, text: CanonicalText, passages: Sequence[PassageWords], *, changes: TextChanges | None = None
    ) -> DocumentVersion:
        """Record the text of a version and its passages, in one transaction; it replaces older versions in search.

        A version that is older than the one that search finds is recorded without passages. Raises NotFound if the document was
        deleted meanwhile, StorageFailed.
        """
        sha256 = text.sha256
        values = {
            "state": "indexed",
            "reason": "",
            "title": text.title,
            "media_type": text.media_type,
            "text_sha256": sha256,
            "num_chars": len(text.text),
            "num_pages": text.num_pages,
            "locations": pack_locations(text.locations),
            "warnings": compact_json(list(text.warnings)),
            "changes": pack_changes(changes),
        }
        try:
            with self._blobs.pause_collection():
                if self._blobs.put(text.text.encode()) != sha256:
                    raise RuntimeError("a text and its blob have different hashes")
                with self._database.write() as connection:
                    row = _lock_document_of(connection, version_id)
                    is_searched = row.searched_version_id is None or row.searched_version_id <= version_id
                    kept = passages if is_searched else ()
                    values |= {"num_passages": len(kept), "num_words": sum(len(passage.words) for passage in kept)}
                    connection.execute(document_versions.update().where(document_versions.c.id == version_id).values(values))
                    reference = {"sha256": sha256, "kind": DOCUMENT_BLOB_KIND, "record_id": version_id}
                    connection.execute(self._database.insert_or_ignore(blob_references).values(reference))
                    if is_searched:
                        replaced = [id_ for id_ in {version_id, row.searched_version_id} if id_ is not None]
                        delete_passages(connection, replaced)
                        insert_passages(connection, version_id, row.collection, kept)
                        now = {"searched_version_id": version_id, "updated_utc": now_utc()}
                        connection.execute(documents.update().where(documents.c.id == row.id).values(now))
                    return require_version_row(connection, version_id)
        except NotFound:  # deleted meanwhile, and the text must not outlive it
            self._blobs.delete_unreferenced([sha256])
            raise

    def set_passages(self, version_id: str, passages: Sequence[PassageWords]) -> None:
        """Replace the passages of the version that search finds, after the rules for them changed. Others are left alone.

        Raises NotFound if the document was deleted meanwhile.
        """
        with self._database.write() as connection:
            row = _lock_document_of(connection, version_id)
            if row.searched_version_id == version_id:
                values = {"num_passages": len(passages), "num_words": sum(len(passage.words) for passage in passages)}
                connection.execute(document_versions.update().where(document_versions.c.id == version_id).values(values))
                delete_passages(connection, [version_id])
                insert_passages(connection, version_id, row.collection, passages)

    def set_failed(self, version_id: str, reason: str) -> DocumentVersion:
        """Record that a version has no text, and why. An older version stays in search. Raises NotFound if it was deleted."""
        with self._database.write() as connection:
            _lock_document_of(connection, version_id)
            values = {"state": "failed", "reason": reason}
            connection.execute(document_versions.update().where(document_versions.c.id == version_id).values(values))
            return require_version_row(connection, version_id)

    def retry(self, document_id: str, *, person_id: str) -> Document:
        """Let the newest version wait again, after it failed. Raises as `get`, and NotAllowed."""
        with self._database.write() as connection:
            document = require_changeable(connection, document_id, person_id)
            failed = sa.and_(document_versions.c.id == document.version.id, document_versions.c.state == "failed")
            connection.execute(document_versions.update().where(failed).values(state="waiting", reason=""))
            return require_document(connection, document_id)

    def _require_version(self, document_id: str, condition: sa.ColumnElement[bool], person_id: str) -> TableRow:
        own = sa.and_(document_versions.c.document_id == document_id, condition)
        with self._database.read() as connection:
            require_visible(connection, document_id, person_id)
            row = connection.execute(sa.select(document_versions).where(own).order_by(document_versions.c.id.desc())).first()
        if row is None:
            raise NotFound("This document has no such version.", advice="Open its newest version.")
        return row

    def _read_text(self, row: TableRow) -> CanonicalText:
        if row.text_sha256 is None:
            raise NotFound("The text of this document is not known yet.", advice="Wait until it is indexed.")
        return _text_from_row(row, self._blobs.get(str(row.text_sha256)))


def _text_from_row(row: TableRow, content: bytes) -> CanonicalText:
    """The text of a version, from its row and its blob. Raises Untrusted."""
    try:
        return CanonicalText(
            text=content.decode(),
            title=row.title,
            media_type=row.media_type,
            locations=unpack_locations(row.locations),
            num_pages=row.num_pages,
            warnings=tuple(json.loads(row.warnings)),
        )
    except ValueError as error:
        raise Untrusted(
            f"The stored text of a document is broken ({error}).", advice="Restore a backup with `yearling restore FILE`."
        ) from None


def find_version_fault(row: TableRow) -> str | None:
    """What is wrong with the row of a version; None if nothing is."""
    try:
        locations = unpack_locations(row.locations)
        unpack_changes(row.changes)
        json.loads(row.warnings)
    except (Untrusted, ValueError, KeyError) as error:
        return f"version {row.id} of a document: {error}"
    if (row.state == "indexed") != (row.text_sha256 is not None):
        return f"version {row.id} of a document is {row.state} and has {'a' if row.text_sha256 else 'no'} text"
    if locations and locations[-1].end > row.num_chars:
        return f"version {row.id} of a document has a location past the end of its text"
    return None


def _insert_version(connection: Connection, document_id: str, sha256: str, size_bytes: int, media_type: str) -> None:
    version_id = new_id()
    connection.execute(
        document_versions.insert().values(
            id=version_id,
            document_id=document_id,
            content_sha256=sha256,
            size_bytes=size_bytes,
            media_type=media_type,
            state="waiting",
            reason="",
            title="",
            text_sha256=None,
            num_chars=0,
            num_pages=0,
            num_passages=0,
            num_words=0,
            locations=b"",
            warnings="[]",
            changes="",
            created_utc=now_utc(),
        )
    )
    connection.execute(blob_references.insert().values(sha256=sha256, kind=DOCUMENT_BLOB_KIND, record_id=version_id))


def _lock_document_of(connection: Connection, version_id: str) -> TableRow:
    """The row of the document of a version, locked until the transaction ends. Raises NotFound."""
    query = (
        sa.select(documents)
        .join(document_versions, document_versions.c.document_id == documents.c.id)
        .where(document_versions.c.id == version_id)
    )
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(of=documents)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("The document was deleted.")
    return row


def _document_of(version_id: str) -> sa.ScalarSelect[str]:
    return sa.select(document_versions.c.document_id).where(document_versions.c.id == version_id).scalar_subquery()


def _find_by_content(connection: Connection, collection: str, sha256: str) -> Document | None:
    """The document of a collection whose newest version has this content."""
    query = select_documents().where(documents.c.collection == collection, document_versions.c.content_sha256 == sha256)
    row = connection.execute(query.order_by(documents.c.id).limit(1)).first()
    return None if row is None else document_from_row(row)


def _validated_name(name: str) -> str:
    printable = "".join(character for character in name if character.isprintable()).strip()
    if not printable:
        raise BadInput("A document needs a name.", param="name")
    if len(printable) > MAX_DOCUMENT_NAME_CHARS:
        raise BadInput(f"The name has more than {MAX_DOCUMENT_NAME_CHARS} characters.", advice="Shorten it.", param="name")
    return printable
