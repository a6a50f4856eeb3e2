"""Records at rest: database, blobs, audit log, event log of feedback, backups."""

from yearling.store.accounts.api_keys import ApiKey
from yearling.store.accounts.invitations import Invitation
from yearling.store.accounts.sessions import LONGEST as LONGEST_SESSION
from yearling.store.accounts.sessions import Session
from yearling.store.accounts.tokens import KEY_PREFIX, new_token, token_hash
from yearling.store.audit import GENESIS, ChainState
from yearling.store.backup.archive import Manifest
from yearling.store.backup.restore import Restored, restore, verify_backup
from yearling.store.backup.summary import inspect
from yearling.store.backup.verify import Check, Report
from yearling.store.chats.attachments import BYTES, Attachment, attachments_of, media_type
from yearling.store.chats.comparisons import ComparisonRecord
from yearling.store.chats.conversations import BLOB_KIND, KEEP, Removed
from yearling.store.chats.folders import Folder
from yearling.store.chats.history import Entry, Page
from yearling.store.chats.memories import Memory
from yearling.store.chats.personal_settings import ModeRecord
from yearling.store.chats.share_links import Share
from yearling.store.database.search import words_of
from yearling.store.learning.consensus_runs import ConsensusRun
from yearling.store.learning.event_log import Appended, EventEntry, Head, entry_hash
from yearling.store.learning.exams import ExamRun, GateRecord, GradedSample
from yearling.store.learning.lesson_sets import LessonSetRecord, LessonSource
from yearling.store.learning.spec_runs import TRIAGES, SpecDispute, SpecOutput, SpecRun, Triage
from yearling.store.learning.texts import Text, make_text
from yearling.store.learning.training_runs import Runs
from yearling.store.store import Store
from yearling.store.transfer.exporter import export
from yearling.store.transfer.importer import Imported, TakeActs, import_file
from yearling.store.writer import SampleWriter

__all__ = [
    "BLOB_KIND",
    "BYTES",
    "GENESIS",
    "KEEP",
    "KEY_PREFIX",
    "LONGEST_SESSION",
    "TRIAGES",
    "ApiKey",
    "Appended",
    "Attachment",
    "ChainState",
    "Check",
    "ComparisonRecord",
    "ConsensusRun",
    "Entry",
    "EventEntry",
    "ExamRun",
    "Folder",
    "GateRecord",
    "GradedSample",
    "Head",
    "Imported",
    "Invitation",
    "LessonSetRecord",
    "LessonSource",
    "Manifest",
    "Memory",
    "ModeRecord",
    "Page",
    "Removed",
    "Report",
    "Restored",
    "Runs",
    "SampleWriter",
    "Session",
    "Share",
    "SpecDispute",
    "SpecOutput",
    "SpecRun",
    "Store",
    "TakeActs",
    "Text",
    "Triage",
    "attachments_of",
    "entry_hash",
    "export",
    "import_file",
    "inspect",
    "make_text",
    "media_type",
    "new_token",
    "restore",
    "token_hash",
    "verify_backup",
    "words_of",
]
