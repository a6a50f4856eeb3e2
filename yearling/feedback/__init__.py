"""Feedback: judgements, notes, rater reliability, bridged consensus, versioned status rules."""

from yearling.feedback.act_import import ActImportResult, bring_back, export_own_acts
from yearling.feedback.consensus import Result, code_hash, log_hash, run
from yearling.feedback.consensus_runs import RecordedConsensusRun, latest, parse_snapshot, run_and_record
from yearling.feedback.defences import DefenceParameters, draw_jury
from yearling.feedback.division import Division, DivisionParameters
from yearling.feedback.event_index import EventIndex
from yearling.feedback.events import (
    KINDS,
    RATING_VALUES,
    Comparison,
    Dropped,
    Edit,
    Event,
    JuryInvitation,
    Note,
    NoteRating,
    Rating,
    Removal,
    Retraction,
    State,
    StatusChange,
    Vouch,
    canonical_bytes,
    canonical_json,
    fold,
    from_dict,
    sort_events,
    to_dict,
)
from yearling.feedback.explain import explain_item, explain_snapshot
from yearling.feedback.file_import import ImportReport, import_file, parse_file_format
from yearling.feedback.item_update import update_item_result
from yearling.feedback.jsonl import export_log_lines
from yearling.feedback.live_consensus import LiveConsensus, Standing
from yearling.feedback.log import FeedbackLog
from yearling.feedback.pairs import Pair, PairParameters
from yearling.feedback.parameters import Parameters
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.feedback.publication import ReplayReport, publication_lines, replay
from yearling.feedback.rater_model import PAPER_FIT, PREDICTION_FIT, FitParameters
from yearling.feedback.rating_queue import RatingQueueItem, build_rating_queue
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, NOT_HELPFUL, STATUS_RULES, StatusParameters, StatusRule, slate

__all__ = [
    "HELPFUL",
    "KINDS",
    "NEEDS_MORE",
    "NOT_HELPFUL",
    "PAPER_FIT",
    "PREDICTION_FIT",
    "RATING_VALUES",
    "STATUS_RULES",
    "ActImportResult",
    "Comparison",
    "DefenceParameters",
    "Division",
    "DivisionParameters",
    "Dropped",
    "Edit",
    "Event",
    "EventIndex",
    "FeedbackLog",
    "FitParameters",
    "ImportReport",
    "ItemResult",
    "JuryInvitation",
    "LiveConsensus",
    "Note",
    "NoteRating",
    "Pair",
    "PairParameters",
    "Parameters",
    "Pseudonyms",
    "Rating",
    "RatingQueueItem",
    "RecordedConsensusRun",
    "Removal",
    "ReplayReport",
    "Result",
    "Retraction",
    "SideResult",
    "Snapshot",
    "Standing",
    "State",
    "StatusChange",
    "StatusParameters",
    "StatusRule",
    "Vouch",
    "bring_back",
    "build_rating_queue",
    "canonical_bytes",
    "canonical_json",
    "code_hash",
    "draw_jury",
    "explain_item",
    "explain_snapshot",
    "export_log_lines",
    "export_own_acts",
    "fold",
    "from_dict",
    "import_file",
    "latest",
    "log_hash",
    "parse_file_format",
    "parse_snapshot",
    "publication_lines",
    "replay",
    "run",
    "run_and_record",
    "slate",
    "sort_events",
    "to_dict",
    "update_item_result",
]
