"""The store: one database and one folder of blobs, opened together.

with Store.open(settings) as store:
    owner = store.people.owner()
"""

from __future__ import annotations

import errno
import os
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import Conflict, UserError
from yearling.files.disk import free_bytes
from yearling.files.locks import LockHeldError, acquire_shared_lock
from yearling.files.sync import make_directory
from yearling.store.accounts.api_keys import ApiKeyStore
from yearling.store.accounts.identities import IdentityStore
from yearling.store.accounts.installation_secrets import SecretStore
from yearling.store.accounts.invitations import InvitationStore
from yearling.store.accounts.passwords import PasswordStore
from yearling.store.accounts.people import PersonStore
from yearling.store.accounts.sessions import SessionStore
from yearling.store.audit import AuditLog
from yearling.store.backup.archive import BackupManifest, BackupProgress, read_backup_manifest, write_backup
from yearling.store.backup.restore import finish_interrupted_restore
from yearling.store.backup.verify import VerificationReport, verify_store
from yearling.store.blobs import BlobStore
from yearling.store.chats.api_conversations import ApiConversationStore
from yearling.store.chats.attachments import AttachmentStore
from yearling.store.chats.comparisons import ComparisonStore
from yearling.store.chats.conversations import ConversationStore, DeletedContent
from yearling.store.chats.corrections import CorrectionStore
from yearling.store.chats.folders import FolderStore
from yearling.store.chats.history import ConversationHistory
from yearling.store.chats.memories import MemoryStore
from yearling.store.chats.modes import ModeStore
from yearling.store.chats.personal_settings import PersonalSettingsStore
from yearling.store.chats.samples import SampleStore
from yearling.store.chats.share_links import ShareLinkStore
from yearling.store.database.database import Database
from yearling.store.database.errors import translate_storage_errors
from yearling.store.database.migrate import migrate
from yearling.store.database.schema import SCHEMA_VERSION
from yearling.store.database.sqlite_file import (
    STORE_LOCK_NAME,
    check_sqlite_file,
    is_database_recorded,
    note_closed,
    note_opened,
    record_database,
)
from yearling.store.documents.documents import DocumentStore
from yearling.store.documents.file_collections import FileCollectionStore
from yearling.store.documents.passages import PassageStore
from yearling.store.documents.vectors import VectorStore
from yearling.store.learning.consensus_runs import ConsensusRunStore
from yearling.store.learning.event_log import EventLog
from yearling.store.learning.exams import ExamStore
from yearling.store.learning.gates import GateStore
from yearling.store.learning.guesses import GuessStore
from yearling.store.learning.jobs import JobStore
from yearling.store.learning.lesson_sets import LessonSetStore
from yearling.store.learning.offers import OfferStore
from yearling.store.learning.rounds import RoundStore
from yearling.store.learning.spec_runs import SpecRunStore
from yearling.store.learning.texts import TextStore
from yearling.store.learning.training_runs import TrainingRunStore
from yearling.store.posts.posts import PostStore
from yearling.store.releases.canary_observations import CanaryStore
from yearling.store.releases.incidents import IncidentStore
from yearling.store.releases.releases import ReleaseStore

_MIN_FREE_BYTES = 1024 * 1024


class Store:
    """All records of an installation. Synchronous and thread-safe; several processes may have it open at once."""

    def __init__(self, settings: Settings, database: Database, lock_fd: int) -> None:
        """Called by `Store.open`. `lock_fd` holds the shared lock on the data folder."""
        self.settings = settings
        self.database = database
        self.people = PersonStore(database)
        self.passwords = PasswordStore(database)
        self.identities = IdentityStore(database)
        self.sessions = SessionStore(database)
        self.api_keys = ApiKeyStore(database)
        self.invitations = InvitationStore(database, self.people.has_accounts)
        self.conversations = ConversationStore(database)
        self.api_conversations = ApiConversationStore(database)
        self.history = ConversationHistory(database)
        self.folders = FolderStore(database)
        self.shares = ShareLinkStore(database)
        self.comparisons = ComparisonStore(database)
        self.memories = MemoryStore(database)
        self.corrections = CorrectionStore(database)
        self.personal_settings = PersonalSettingsStore(database)
        self.modes = ModeStore(database)
        self.samples = SampleStore(database, settings.retention)
        self.audit = AuditLog(database)
        self.blobs = BlobStore(settings.data_dir / "blobs", database)
        self.attachments = AttachmentStore(database, self.blobs)
        self.documents = DocumentStore(database, self.blobs)
        self.file_collections = FileCollectionStore(database)
        self.passages = PassageStore(database)
        self.vectors = VectorStore(database)
        self.posts = PostStore(database)
        self.events = EventLog(database)
        self.texts = TextStore(database)
        self.offers = OfferStore(database)
        self.guesses = GuessStore(database)
        self.rounds = RoundStore(database)
        self.secrets = SecretStore(database)
        self.consensus_runs = ConsensusRunStore(database, self.blobs)
        self.lesson_sets = LessonSetStore(database, self.blobs)
        self.spec_runs = SpecRunStore(database)
        self.runs = TrainingRunStore(settings.runs_dir)
        self.jobs = JobStore(database)
        self.exams = ExamStore(database)
        self.gates = GateStore(database)
        self.releases = ReleaseStore(database)
        self.canaries = CanaryStore(database)
        self.incidents = IncidentStore(database)
        self._lock_fd: int | None = lock_fd

    @classmethod
    def open(cls, settings: Settings, *, lock_timeout_s: float = 5.0) -> Store:
        """Open the data folder, create or migrate its database, and delete samples past their retention.

        Raises Conflict if a newer Yearling wrote the data or a restore is running, Untrusted if the database is damaged,
        StorageFailed if the folder is read-only, full or locked, Unavailable if the database server does not answer.
        """
        folder = settings.data_dir
        finish_interrupted_restore(settings)
        database = Database(settings.resolved_database_url, lock_timeout_s=lock_timeout_s)
        lock = _acquire_store_lock(folder)
        is_open_here = database.path is not None and note_opened(database.path)
        try:
            with translate_storage_errors(f"The data folder {folder}"):
                if database.path:
                    make_directory(database.path.parent)
                    if not is_open_here:
                        check_sqlite_file(database.path, database.label, expected=is_database_recorded(folder, database))
                    database.use_wal()
                    database.quick_check()
                store = cls(settings, database, lock)
                migrate(database, create_backup=store._backup_before_migration, find_newest_backup=store._find_newest_backup)
                store.people.owner()
                store.delete_expired_samples()
                record_database(folder, database)
        except BaseException:
            database.close()
            os.close(lock)
            if database.path is not None:
                note_closed(database.path)
            raise
        return store

    def delete_conversation(self, conversation_id: str, *, person_id: str, scrub: bool = True) -> DeletedContent:
        """Delete a conversation with its messages, samples and blobs. Raises NotFound."""
        deleted = self.conversations.delete(conversation_id, person_id=person_id, scrub=scrub)
        self.blobs.delete_unreferenced(deleted.blob_hashes)
        return deleted

    def delete_message(self, message_id: str, *, conversation_id: str, person_id: str) -> DeletedContent:
        """Delete a message with everything below it, samples and blobs included. Raises NotFound."""
        deleted = self.conversations.delete_message(message_id, conversation_id=conversation_id, person_id=person_id)
        self.blobs.delete_unreferenced(deleted.blob_hashes)
        return deleted

    def delete_folder(self, folder_id: str, *, person_id: str, scrub: bool = True) -> None:
        """Delete a folder with its documents, and keep the conversations in it. Raises NotFound."""
        hashes = self.folders.delete(folder_id, person_id=person_id)
        self.blobs.delete_unreferenced(hashes)
        if hashes and scrub:
            self.documents.scrub()

    def delete_person(self, person_id: str, *, actor: str) -> None:
        """Delete a person with everything they own, after closing their account. Raises NotFound, Conflict."""
        self.people.require_deletable(person_id)
        self.people.close_account(person_id, actor=actor)
        for conversation in self.conversations.list(person_id):
            self.delete_conversation(conversation.id, person_id=person_id, scrub=False)
        for folder in self.folders.list(person_id):
            self.delete_folder(folder.id, person_id=person_id, scrub=False)
        self.blobs.delete_unreferenced(self.file_collections.delete_library(person_id))
        for record in self.rounds.list(person_id=person_id):
            self.rounds.delete(record.id, actor=actor)
        self.conversations.scrub()
        self.people.delete(person_id, actor=actor)

    def delete_expired_samples(self) -> int:
        """Delete samples that are older than the retention setting allows. Returns how many."""
        if self.settings.retention_days == 0:
            return 0
        return self.samples.delete_older_than(now_utc() - timedelta(days=self.settings.retention_days))

    def check_writable(self) -> None:
        """Check that the store can save, by an empty write transaction. Raises StorageFailed, Untrusted or Unavailable."""
        folder = self.settings.data_dir
        with translate_storage_errors(f"The data folder {folder}"):
            if free_bytes(folder) < _MIN_FREE_BYTES:
                raise OSError(errno.ENOSPC, "nearly full")
        with self.database.write():
            pass

    def verify(self) -> VerificationReport:
        """Check everything that is stored: database, references, both hash chains, texts, samples and blobs."""
        return verify_store(self.database, self.blobs)

    def backup(self, path: Path, *, with_keys: bool = True, progress: BackupProgress | None = None) -> BackupManifest:
        """Write a backup of database, blobs and releases to a new file while they are in use.

        `with_keys` includes the private keys of releases. Raises as `write_backup`.
        """
        return write_backup(
            path, self.database, self.blobs, data_dir=self.settings.data_dir, with_keys=with_keys, progress=progress
        )

    def close(self) -> None:
        """Close all connections and release the lock. Closing twice is harmless."""
        self.database.close()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None
            if self.database.path is not None:
                note_closed(self.database.path)

    def _backup_before_migration(self, old_version: str) -> Path:
        path = self.settings.data_dir / "backups" / f"schema-{old_version}-{now_utc():%Y%m%dT%H%M%S%fZ}.tar.gz"
        write_backup(path, self.database, None)  # migrations leave blobs alone
        return path

    def _find_newest_backup(self) -> Path | None:
        """The newest backup in the data folder that this version can restore."""
        backups = (self.settings.data_dir / "backups").glob("*.tar.gz")
        for path in sorted(backups, key=lambda path: path.stat().st_mtime, reverse=True):
            try:
                schema = read_backup_manifest(path).schema
            except UserError:
                continue  # not one of ours, or damaged
            if schema and int(schema) <= int(SCHEMA_VERSION):
                return path
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _acquire_store_lock(folder: Path) -> int:
    with translate_storage_errors(f"The data folder {folder}"):
        make_directory(folder)
        try:
            return acquire_shared_lock(folder / STORE_LOCK_NAME)
        except LockHeldError:
            raise Conflict(f"A restore into {folder} is running.", advice="Wait until it has finished.") from None
