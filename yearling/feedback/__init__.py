"""Feedback: judgements, notes, rater reliability, bridged consensus, versioned status rules."""

from yearling.feedback.act_import import ActImportResult, export_own_acts, import_own_acts
from yearling.feedback.consensus import ConsensusResult, code_hash, log_hash, run_consensus
from yearling.feedback.consensus_runs import RecordedConsensusRun, load_latest_run, parse_snapshot, run_and_record
from yearling.feedback.defences import DefenceParameters, draw_jury
from yearling.feedback.division import Division, DivisionParameters
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import (
    EVENT_TYPES,
    RATING_VALUES,
    Comparison,
    DroppedEvent,
    Edit,
    FeedbackEvent,
    JuryInvitation,
    LogState,
    Note,
    NoteRating,
    Rating,
    Removal,
    Retraction,
    StatusChange,
    Vouch,
    canonical_event_bytes,
    canonical_utf8_json,
    event_from_dict,
    event_to_dict,
    fold_events,
    sort_events,
)
from yearling.feedback.explain import (
    PEOPLE_ARE_DIVIDED,
    STATUS_TITLES,
    display_status,
    explain_item,
    explain_snapshot,
    find_telling_items,
    shows_two_sides,
)
from yearling.feedback.file_import import FeedbackImportReport, import_feedback_file, parse_file_format
from yearling.feedback.item_update import update_item_result
from yearling.feedback.jsonl import export_log_lines
from yearling.feedback.live_consensus import ItemStatus, LiveConsensus
from yearling.feedback.log import FeedbackLog
from yearling.feedback.pairs import ConsensusPair, PairParameters
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.feedback.publication import ReplayReport, publication_lines, replay_publication
from yearling.feedback.rater_model import PAPER_FIT, PREDICTION_FIT, FitParameters
from yearling.feedback.rating_queue import RatingQueueItem, build_rating_queue
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import (
    HELPFUL,
    NEEDS_MORE,
    NOT_HELPFUL,
    STATUS_RULES,
    StatusParameters,
    StatusRule,
    choose_slate,
)

__all__ = [
    "EVENT_TYPES",
    "HELPFUL",
    "NEEDS_MORE",
    "NOT_HELPFUL",
    "PAPER_FIT",
    "PEOPLE_ARE_DIVIDED",
    "PREDICTION_FIT",
    "RATING_VALUES",
    "STATUS_RULES",
    "STATUS_TITLES",
    "ActImportResult",
    "Comparison",
    "ConsensusPair",
    "ConsensusParameters",
    "ConsensusResult",
    "DefenceParameters",
    "Division",
    "DivisionParameters",
    "DroppedEvent",
    "Edit",
    "EventIndex",
    "FeedbackEvent",
    "FeedbackImportReport",
    "FeedbackLog",
    "FitParameters",
    "ItemResult",
    "ItemStatus",
    "JuryInvitation",
    "LiveConsensus",
    "LogState",
    "Note",
    "NoteRating",
    "PairParameters",
    "Pseudonyms",
    "Rating",
    "RatingQueueItem",
    "RecordedConsensusRun",
    "Removal",
    "ReplayReport",
    "Retraction",
    "SideResult",
    "Snapshot",
    "StatusChange",
    "StatusParameters",
    "StatusRule",
    "Vouch",
    "build_rating_queue",
    "canonical_event_bytes",
    "canonical_utf8_json",
    "choose_slate",
    "code_hash",
    "display_status",
    "draw_jury",
    "event_from_dict",
    "event_to_dict",
    "explain_item",
    "explain_snapshot",
    "export_log_lines",
    "export_own_acts",
    "find_telling_items",
    "fold_events",
    "import_feedback_file",
    "import_own_acts",
    "load_latest_run",
    "log_hash",
    "parse_file_format",
    "parse_snapshot",
    "publication_lines",
    "replay_publication",
    "run_and_record",
    "run_consensus",
    "shows_two_sides",
    "sort_events",
    "update_item_result",
]
