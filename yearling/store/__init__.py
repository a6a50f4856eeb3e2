"""Records at rest: database, blobs, audit log, event log of feedback, backups."""

from yearling.store.accounts.api_keys import ApiKey
from yearling.store.accounts.invitations import Invitation
from yearling.store.accounts.sessions import LONGEST as LONGEST_SESSION
from yearling.store.accounts.sessions import Session
from yearling.store.accounts.tokens import API_KEY_PREFIX, hash_token, new_token
from yearling.store.audit import GENESIS_HASH, ChainVerification
from yearling.store.backup.archive import BackupManifest
from yearling.store.backup.restore import RestoreResult, restore, verify_backup
from yearling.store.backup.summary import inspect
from yearling.store.backup.verify import VerificationCheck, VerificationReport
from yearling.store.chats.attachments import BINARY_MEDIA_TYPE, Attachment, attachments_from_facts, media_type
from yearling.store.chats.comparisons import ComparisonRecord
from yearling.store.chats.conversations import KEEP, MESSAGE_BLOB_KIND, DeletedContent
from yearling.store.chats.folders import Folder
from yearling.store.chats.history import Entry, Page
from yearling.store.chats.memories import Memory
from yearling.store.chats.personal_settings import ModeRecord
from yearling.store.chats.share_links import ShareLink
from yearling.store.database.search import words_of
from yearling.store.learning.consensus_runs import ConsensusRun
from yearling.store.learning.event_log import AppendResult, EventEntry, EventLogHead, entry_hash
from yearling.store.learning.exams import ExamRun, GateRecord, GradedSample
from yearling.store.learning.lesson_sets import LessonSetRecord, LessonSource
from yearling.store.learning.spec_runs import TRIAGES, SpecDispute, SpecOutput, SpecRun, Triage
from yearling.store.learning.texts import Text, make_text
from yearling.store.learning.training_runs import Runs
from yearling.store.store import Store
from yearling.store.transfer.exporter import export
from yearling.store.transfer.importer import ActImporter, PersonImportResult, import_file
from yearling.store.writer import SampleWriter

__all__ = [
    "API_KEY_PREFIX",
    "BINARY_MEDIA_TYPE",
    "GENESIS_HASH",
    "KEEP",
    "LONGEST_SESSION",
    "MESSAGE_BLOB_KIND",
    "TRIAGES",
    "ActImporter",
    "ApiKey",
    "AppendResult",
    "Attachment",
    "BackupManifest",
    "ChainVerification",
    "ComparisonRecord",
    "ConsensusRun",
    "DeletedContent",
    "Entry",
    "EventEntry",
    "EventLogHead",
    "ExamRun",
    "Folder",
    "GateRecord",
    "GradedSample",
    "Invitation",
    "LessonSetRecord",
    "LessonSource",
    "Memory",
    "ModeRecord",
    "Page",
    "PersonImportResult",
    "RestoreResult",
    "Runs",
    "SampleWriter",
    "Session",
    "ShareLink",
    "SpecDispute",
    "SpecOutput",
    "SpecRun",
    "Store",
    "Text",
    "Triage",
    "VerificationCheck",
    "VerificationReport",
    "attachments_from_facts",
    "entry_hash",
    "export",
    "hash_token",
    "import_file",
    "inspect",
    "make_text",
    "media_type",
    "new_token",
    "restore",
    "verify_backup",
    "words_of",
]
