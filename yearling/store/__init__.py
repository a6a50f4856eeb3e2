"""Records at rest: database, blobs, audit log, event log of feedback, backups. `Store` opens them all."""

from yearling.store.accounts.api_keys import ApiKey
from yearling.store.accounts.invitations import Invitation
from yearling.store.accounts.name_mentions import find_name_mentions
from yearling.store.accounts.names import normalise_name
from yearling.store.accounts.sessions import MAX_SESSION_LIFETIME, Session
from yearling.store.accounts.tokens import API_KEY_PREFIX, hash_token, new_token
from yearling.store.audit import verify_audit_entries
from yearling.store.backup.archive import BackupManifest
from yearling.store.backup.restore import RestoreResult, restore, verify_backup
from yearling.store.backup.summary import describe_store, find_exposed_data
from yearling.store.backup.verify import VerificationCheck, VerificationReport
from yearling.store.blobs import BlobStore
from yearling.store.chats.api_conversations import MAX_CONVERSATION_ITEMS, ApiConversation, full_conversation_error
from yearling.store.chats.attachments import BINARY_MEDIA_TYPE, Attachment, attachments_from_facts, sniff_media_type
from yearling.store.chats.comparisons import ComparisonRecord, DecidedSamples
from yearling.store.chats.conversations import MESSAGE_BLOB_KIND, UNCHANGED, DeletedContent, Unchanged
from yearling.store.chats.correction_rows import (
    MAX_CORRECTION_CHARS,
    MAX_CORRECTIONS_PER_PERSON,
    MAX_TEAM_CORRECTIONS,
    AddedCorrection,
    Correction,
    CorrectionKind,
    CorrectionOrigin,
    CorrectionProposal,
    CorrectionScope,
    CorrectionState,
    CorrectionWording,
    question_key,
)
from yearling.store.chats.corrections import MERGE_ACTION, CorrectionStore
from yearling.store.chats.folders import Folder
from yearling.store.chats.history import HistoryEntry, HistoryPage
from yearling.store.chats.memories import Memory
from yearling.store.chats.modes import ModeRecord
from yearling.store.chats.samples import answering_model_hash
from yearling.store.chats.share_links import ShareLink, is_shown, rateable_samples
from yearling.store.chats.used_corrections import CORRECTIONS_FACT
from yearling.store.database.search import bigrams, fold_for_search, index_words, split_by_script
from yearling.store.documents.canonical import MAX_TEXT_CHARS, CanonicalText, Location, Span, locations_of
from yearling.store.documents.documents import DocumentStore
from yearling.store.documents.file_collections import (
    MAX_ATTRIBUTES,
    MAX_FILES_AT_ONCE,
    Attributes,
    CollectedFile,
    FileBatch,
    FileCollection,
    FileCounts,
)
from yearling.store.documents.passages import FoundPassage, PassageStore
from yearling.store.documents.records import (
    MAX_DOCUMENT_NAME_CHARS,
    AddedDocument,
    Document,
    DocumentPlace,
    DocumentRemoved,
    DocumentScope,
    DocumentState,
    DocumentVersion,
    PassageWords,
    SearchedVersion,
    SearchScope,
    TextChanges,
)
from yearling.store.documents.vectors import MissingVector, VectorCount, VectorGeneration, VectorStore
from yearling.store.hash_chain import GENESIS_HASH, ChainVerification
from yearling.store.learning.consensus_runs import ConsensusRun
from yearling.store.learning.event_log import AppendResult, EventEntry, EventLogHead, hash_event_entry
from yearling.store.learning.exams import ExamRun, GradedSample
from yearling.store.learning.gates import GateRecord
from yearling.store.learning.guesses import GuessedOutcome, GuessRecord
from yearling.store.learning.jobs import END_STATES, MAX_JOB_OPTIONS_BYTES, MAX_QUEUED_JOBS, Job, JobState
from yearling.store.learning.lesson_sets import LessonSetRecord, LessonSource
from yearling.store.learning.offers import OfferRecord
from yearling.store.learning.retraction_rules import (
    IRREVOCABLE_KINDS,
    REMOVED,
    REPLACED_BY_LATER,
    WITHDRAWAL_KINDS,
    judgement_subject,
    latest_judgements,
    retracts_another_persons_act,
    void_acts,
    withdrawal_error,
)
from yearling.store.learning.rounds import (
    MAX_OPEN_ROUNDS,
    PairState,
    Round,
    RoundAnswer,
    RoundMethod,
    RoundPair,
    RoundQuestion,
    RoundState,
)
from yearling.store.learning.spec_runs import TRIAGES, SpecDispute, SpecOutput, SpecRun, Triage
from yearling.store.learning.texts import TextRecord, make_text
from yearling.store.learning.training_runs import TrainingRunStore
from yearling.store.posts.posts import NewPost, PostStore, StoredPost
from yearling.store.releases.canary_observations import CanaryArm, CanaryObservation, CanarySource
from yearling.store.releases.incidents import (
    INCIDENT_EXAM,
    MAX_INCIDENT_REASON_CHARS,
    Incident,
    IncidentCheck,
    IncidentState,
)
from yearling.store.releases.releases import (
    Release,
    ReleasedFile,
    ReleaseKind,
    new_release,
    release_bytes,
    release_from_bytes,
)
from yearling.store.store import Store
from yearling.store.transfer.audit_rows import AuditRow, AuditTableName, load_audit_rows, read_audit_rows
from yearling.store.transfer.exporter import export_person_data
from yearling.store.transfer.import_locks import IMPORT_POLL_INTERVAL_S, ImportLocks
from yearling.store.transfer.importer import import_person_data
from yearling.store.transfer.yearling_export import ActImporter, PersonImportResult
from yearling.store.writer import SampleWriter

__all__ = [
    "API_KEY_PREFIX",
    "BINARY_MEDIA_TYPE",
    "CORRECTIONS_FACT",
    "END_STATES",
    "GENESIS_HASH",
    "IMPORT_POLL_INTERVAL_S",
    "INCIDENT_EXAM",
    "IRREVOCABLE_KINDS",
    "MAX_ATTRIBUTES",
    "MAX_CONVERSATION_ITEMS",
    "MAX_CORRECTIONS_PER_PERSON",
    "MAX_CORRECTION_CHARS",
    "MAX_DOCUMENT_NAME_CHARS",
    "MAX_FILES_AT_ONCE",
    "MAX_INCIDENT_REASON_CHARS",
    "MAX_JOB_OPTIONS_BYTES",
    "MAX_OPEN_ROUNDS",
    "MAX_QUEUED_JOBS",
    "MAX_SESSION_LIFETIME",
    "MAX_TEAM_CORRECTIONS",
    "MAX_TEXT_CHARS",
    "MERGE_ACTION",
    "MESSAGE_BLOB_KIND",
    "REMOVED",
    "REPLACED_BY_LATER",
    "TRIAGES",
    "UNCHANGED",
    "WITHDRAWAL_KINDS",
    "ActImporter",
    "AddedCorrection",
    "AddedDocument",
    "ApiConversation",
    "ApiKey",
    "AppendResult",
    "Attachment",
    "Attributes",
    "AuditRow",
    "AuditTableName",
    "BackupManifest",
    "BlobStore",
    "CanaryArm",
    "CanaryObservation",
    "CanarySource",
    "CanonicalText",
    "ChainVerification",
    "CollectedFile",
    "ComparisonRecord",
    "ConsensusRun",
    "Correction",
    "CorrectionKind",
    "CorrectionOrigin",
    "CorrectionProposal",
    "CorrectionScope",
    "CorrectionState",
    "CorrectionStore",
    "CorrectionWording",
    "DecidedSamples",
    "DeletedContent",
    "Document",
    "DocumentPlace",
    "DocumentRemoved",
    "DocumentScope",
    "DocumentState",
    "DocumentStore",
    "DocumentVersion",
    "EventEntry",
    "EventLogHead",
    "ExamRun",
    "FileBatch",
    "FileCollection",
    "FileCounts",
    "Folder",
    "FoundPassage",
    "GateRecord",
    "GradedSample",
    "GuessRecord",
    "GuessedOutcome",
    "HistoryEntry",
    "HistoryPage",
    "ImportLocks",
    "Incident",
    "IncidentCheck",
    "IncidentState",
    "Invitation",
    "Job",
    "JobState",
    "LessonSetRecord",
    "LessonSource",
    "Location",
    "Memory",
    "MissingVector",
    "ModeRecord",
    "NewPost",
    "OfferRecord",
    "PairState",
    "PassageStore",
    "PassageWords",
    "PersonImportResult",
    "PostStore",
    "Release",
    "ReleaseKind",
    "ReleasedFile",
    "RestoreResult",
    "Round",
    "RoundAnswer",
    "RoundMethod",
    "RoundPair",
    "RoundQuestion",
    "RoundState",
    "SampleWriter",
    "SearchScope",
    "SearchedVersion",
    "Session",
    "ShareLink",
    "Span",
    "SpecDispute",
    "SpecOutput",
    "SpecRun",
    "Store",
    "StoredPost",
    "TextChanges",
    "TextRecord",
    "TrainingRunStore",
    "Triage",
    "Unchanged",
    "VectorCount",
    "VectorGeneration",
    "VectorStore",
    "VerificationCheck",
    "VerificationReport",
    "answering_model_hash",
    "attachments_from_facts",
    "bigrams",
    "describe_store",
    "export_person_data",
    "find_exposed_data",
    "find_name_mentions",
    "fold_for_search",
    "full_conversation_error",
    "hash_event_entry",
    "hash_token",
    "import_person_data",
    "index_words",
    "is_shown",
    "judgement_subject",
    "latest_judgements",
    "load_audit_rows",
    "locations_of",
    "make_text",
    "new_release",
    "new_token",
    "normalise_name",
    "question_key",
    "rateable_samples",
    "read_audit_rows",
    "release_bytes",
    "release_from_bytes",
    "restore",
    "retracts_another_persons_act",
    "sniff_media_type",
    "split_by_script",
    "verify_audit_entries",
    "verify_backup",
    "void_acts",
    "withdrawal_error",
]
