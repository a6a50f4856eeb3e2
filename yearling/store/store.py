"""The store: one database and one folder of blobs, opened together.

with Store.open(settings) as store:
    owner = store.people.owner()
"""

from __future__ import annotations

import errno
import os
import shutil
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import Conflict, UserError
from yearling.files.atomic import make_folder
from yearling.files.locks import LOCK, hold_shared
from yearling.store.accounts.api_keys import ApiKeys
from yearling.store.accounts.identities import Identities
from yearling.store.accounts.installation_secrets import Secrets
from yearling.store.accounts.invitations import Invitations
from yearling.store.accounts.passwords import Passwords
from yearling.store.accounts.people import People
from yearling.store.accounts.sessions import Sessions
from yearling.store.audit import Audit
from yearling.store.backup.archive import Manifest, Progress, read_manifest, write
from yearling.store.backup.verify import Report, verify
from yearling.store.blobs import Blobs
from yearling.store.chats.attachments import Attachments
from yearling.store.chats.comparisons import Comparisons
from yearling.store.chats.conversations import Conversations, Removed
from yearling.store.chats.folders import Folders
from yearling.store.chats.history import History
from yearling.store.chats.memories import Memories
from yearling.store.chats.personal_settings import Modes, Personal
from yearling.store.chats.samples import Samples
from yearling.store.chats.share_links import Shares
from yearling.store.database.database import Database
from yearling.store.database.errors import in_words
from yearling.store.database.migrate import migrate
from yearling.store.database.schema import VERSION
from yearling.store.database.sqlite_file import check_file, is_expected, note_database
from yearling.store.learning.consensus_runs import ConsensusRuns
from yearling.store.learning.event_log import Events
from yearling.store.learning.exams import Exams
from yearling.store.learning.lesson_sets import LessonSets
from yearling.store.learning.spec_runs import SpecRuns
from yearling.store.learning.texts import Texts
from yearling.store.learning.training_runs import Runs

_LEAST_FREE_BYTES = 1024 * 1024


class Store:
    """Everything that is remembered. Synchronous and thread-safe; several processes may have it open at once."""

    def __init__(self, settings: Settings, database: Database, lock: int) -> None:
        """Use `Store.open`."""
        self.settings = settings
        self.database = database
        self.people = People(database)
        self.passwords = Passwords(database)
        self.identities = Identities(database)
        self.sessions = Sessions(database)
        self.api_keys = ApiKeys(database)
        self.invitations = Invitations(database, self.people.have_accounts)
        self.conversations = Conversations(database)
        self.history = History(database)
        self.folders = Folders(database)
        self.shares = Shares(database)
        self.comparisons = Comparisons(database)
        self.memories = Memories(database)
        self.personal = Personal(database)
        self.modes = Modes(database)
        self.samples = Samples(database, settings.retention)
        self.audit = Audit(database)
        self.blobs = Blobs(settings.data_dir / "blobs", database)
        self.attachments = Attachments(database, self.blobs)
        self.events = Events(database)
        self.texts = Texts(database)
        self.secrets = Secrets(database)
        self.consensus_runs = ConsensusRuns(database, self.blobs)
        self.lesson_sets = LessonSets(database, self.blobs)
        self.spec_runs = SpecRuns(database)
        self.runs = Runs(settings.runs_dir)
        self.exams = Exams(database)
        self._lock: int | None = lock

    @classmethod
    def open(cls, settings: Settings, *, lock_timeout_s: float = 5.0) -> Store:
        """Open the data folder, creating or migrating what is in it, and delete samples past their retention.

        Raises Conflict when a newer Yearling wrote the data or a restore is going on, Untrusted when the database is damaged,
        StorageFailed when the folder is read-only, full or locked, Unavailable when the database server does not answer.
        """
        folder = settings.data_dir
        database = Database(settings.resolved_database_url, lock_timeout_s=lock_timeout_s)
        lock = _join(folder)
        try:
            with in_words(f"The data folder {folder}"):
                if database.path:
                    make_folder(database.path.parent)
                    check_file(database.path, database.place, expected=is_expected(folder, database))
                    database.use_wal()
                    database.quick_check()
                store = cls(settings, database, lock)
                migrate(database, back_up=store._back_up_schema, newest_backup=store._newest_backup)
                store.people.owner()
                store.expire()
                note_database(folder, database)
        except BaseException:
            database.close()
            os.close(lock)
            raise
        return store

    def delete_conversation(self, conversation_id: str, *, person_id: str, scrub: bool = True) -> Removed:
        """Delete a conversation with all that is kept of it, its blobs included. Raises NotFound."""
        removed = self.conversations.delete(conversation_id, person_id=person_id, scrub=scrub)
        self.blobs.discard(removed.blobs)
        return removed

    def delete_message(self, message_id: str, *, conversation_id: str, person_id: str) -> Removed:
        """Delete a message with everything under it, its blobs included. Raises NotFound."""
        removed = self.conversations.delete_message(message_id, conversation_id=conversation_id, person_id=person_id)
        self.blobs.discard(removed.blobs)
        return removed

    def delete_person(self, person_id: str, *, by: str) -> None:
        """Delete a person with everything that is theirs. Access ends first. Raises NotFound, Conflict."""
        self.people.require_leavable(person_id)
        self.people.close(person_id, by=by)
        for conversation in self.conversations.list(person_id):
            self.delete_conversation(conversation.id, person_id=person_id, scrub=False)
        self.conversations.scrub()
        self.people.delete(person_id, by=by)

    def expire(self) -> int:
        """Delete the samples that are older than the retention setting allows; returns how many."""
        if self.settings.retention_days == 0:
            return 0
        return self.samples.delete_older_than(now_utc() - timedelta(days=self.settings.retention_days))

    def check_writable(self) -> None:
        """Take and give back the write lock. Raises StorageFailed, Untrusted or Unavailable when nothing could be saved now."""
        folder = self.settings.data_dir
        with in_words(f"The data folder {folder}"):
            if shutil.disk_usage(folder).free < _LEAST_FREE_BYTES:
                raise OSError(errno.ENOSPC, "nearly full")
        with self.database.write():
            pass

    def verify(self) -> Report:
        """Check everything that is stored: structures, references, both chains, texts, samples, blobs."""
        return verify(self.database, self.blobs)

    def backup(self, path: Path, *, progress: Progress | None = None) -> Manifest:
        """Write a backup of everything to a new file while the store is in use.

        Raises Conflict when the file exists, Untrusted when a blob is damaged, StorageFailed.
        """
        return write(path, self.database, self.blobs, progress=progress)

    def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        self.database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _back_up_schema(self, found: str) -> Path:
        path = self.settings.data_dir / "backups" / f"schema-{found}-{now_utc():%Y%m%dT%H%M%S%fZ}.tar.gz"
        write(path, self.database, None)  # migrations leave blobs alone
        return path

    def _newest_backup(self) -> Path | None:
        """The newest backup in the data folder that this program can restore."""
        backups = (self.settings.data_dir / "backups").glob("*.tar.gz")
        for path in sorted(backups, key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                schema = read_manifest(path).schema
            except UserError:
                continue  # not one of ours, or damaged
            if schema and int(schema) <= int(VERSION):
                return path
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _join(folder: Path) -> int:
    with in_words(f"The data folder {folder}"):
        make_folder(folder)
        try:
            return hold_shared(folder / LOCK)
        except BlockingIOError:
            raise Conflict(f"A restore into {folder} is going on.", advice="Wait until it has finished.") from None
