"""Records at rest: database, blobs, audit log, event log of feedback, backups."""

from yearling.store.api_keys import ApiKey
from yearling.store.archive import Manifest
from yearling.store.attachments import BYTES, Attachment, attachments_of, media_type
from yearling.store.audit import GENESIS, ChainState
from yearling.store.comparisons import ComparisonRecord
from yearling.store.consensus_runs import ConsensusRun
from yearling.store.conversations import BLOB_KIND, KEEP, Removed
from yearling.store.events import Appended, EventEntry, Head, entry_hash
from yearling.store.exams import ExamRun, GateRecord, GradedSample
from yearling.store.folders import Folder
from yearling.store.history import Entry, Page
from yearling.store.invitations import Invitation
from yearling.store.lesson_sets import LessonSetRecord, LessonSource
from yearling.store.memories import Memory
from yearling.store.personal import ModeRecord
from yearling.store.portable import export
from yearling.store.restoring import Restored, restore, verify_backup
from yearling.store.runs import Runs
from yearling.store.search import words_of
from yearling.store.sessions import LONGEST as LONGEST_SESSION
from yearling.store.sessions import Session
from yearling.store.shares import Share
from yearling.store.spec_runs import TRIAGES, SpecDispute, SpecOutput, SpecRun, Triage
from yearling.store.store import Store
from yearling.store.summary import inspect
from yearling.store.taking_in import Imported, TakeActs, import_file
from yearling.store.texts import Text, make_text
from yearling.store.tokens import KEY_PREFIX, new_token, token_hash
from yearling.store.verify import Check, Report
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
