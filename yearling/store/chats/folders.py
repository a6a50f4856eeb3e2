"""Folders in which people sort conversations. A conversation is in one folder or in none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.database.database import Database
from yearling.store.database.documents_schema import documents
from yearling.store.database.schema import TableRow, conversations, folders
from yearling.store.documents.passage_rows import delete_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder with the number of conversations in it."""

    id: str
    name: str
    created_utc: datetime
    num_conversations: int = 0


FolderRecords = list[Folder]


class FolderStore:
    """All folders. Each is visible to its owner only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, person_id: str, name: str, *, folder_id: str | None = None, created_utc: datetime | None = None) -> Folder:
        """Create a folder; imports give its id and time. Raises Conflict for a name in use, BadInput for an empty name."""
        folder = Folder(id=folder_id or new_id(), name=_validated_name(name), created_utc=created_utc or now_utc())
        row = {"id": folder.id, "person_id": person_id, "name": folder.name, "created_utc": folder.created_utc}
        try:
            with self._database.write() as connection:
                connection.execute(folders.insert().values(row))
        except sa.exc.IntegrityError:
            raise _name_taken_error(name) from None
        return folder

    def list(self, person_id: str) -> FolderRecords:
        """A person's folders by name."""
        with self._database.read() as connection:
            return [_folder_from_row(row) for row in connection.execute(_select_folders(person_id).order_by(folders.c.name))]

    def get(self, folder_id: str, *, person_id: str) -> Folder:
        """A folder of a person. Raises NotFound."""
        with self._database.read() as connection:
            return _require_folder(connection, folder_id, person_id)

    def rename(self, folder_id: str, name: str, *, person_id: str) -> Folder:
        """Rename a folder. Raises NotFound, Conflict, BadInput."""
        new_name = _validated_name(name)
        try:
            with self._database.write() as connection:
                _require_folder(connection, folder_id, person_id)
                connection.execute(folders.update().where(folders.c.id == folder_id).values(name=new_name))
                return _require_folder(connection, folder_id, person_id)
        except sa.exc.IntegrityError:
            raise _name_taken_error(name) from None

    def delete(self, folder_id: str, *, person_id: str) -> set[str]:
        """Delete a folder with its documents, and keep the conversations in it. Raises NotFound.

        Returns the hashes of the documents' blobs, which `Store.delete_folder` deletes as well.
        """
        with self._database.write() as connection:
            _require_folder(connection, folder_id, person_id)
            hashes = delete_documents(connection, documents.c.folder_id == folder_id)
            connection.execute(folders.delete().where(folders.c.id == folder_id))
        return hashes


def _select_folders(person_id: str) -> sa.Select[str, str, datetime, int]:
    inside = sa.select(sa.func.count()).where(conversations.c.folder_id == folders.c.id).correlate(folders).scalar_subquery()
    return sa.select(folders.c.id, folders.c.name, folders.c.created_utc, inside.label("num_conversations")).where(
        folders.c.person_id == person_id
    )


def _require_folder(connection: Connection, folder_id: str, person_id: str) -> Folder:
    row = connection.execute(_select_folders(person_id).where(folders.c.id == folder_id)).first()
    if row is None:
        raise NotFound(f"There is no folder {folder_id!r}.")
    return _folder_from_row(row)


def _folder_from_row(row: TableRow) -> Folder:
    return Folder(**row._mapping)


def _validated_name(name: str) -> str:
    if not name.strip():
        raise BadInput("A folder needs a name.", param="name")
    return name.strip()


def _name_taken_error(name: str) -> Conflict:
    return Conflict(f"You already have a folder {name.strip()!r}.", advice="Choose another name.", param="name")
