"""Feedback: judgements, notes, rater reliability, bridged consensus, versioned status rules."""

from yearling.feedback.act_import import Carried, bring_back, own_acts
from yearling.feedback.consensus import Result, code_hash, log_hash, run
from yearling.feedback.consensus_runs import Finished, latest, run_and_record, snapshot_from
from yearling.feedback.defences import DefenceParameters, draw_jury
from yearling.feedback.division import Division, DivisionParameters
from yearling.feedback.event_index import Ledger
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
    in_log_order,
    to_dict,
)
from yearling.feedback.explain import explain_item, explain_snapshot
from yearling.feedback.file_import import ImportReport, checked_format, import_file
from yearling.feedback.item_update import update_item
from yearling.feedback.jsonl import export_lines
from yearling.feedback.live_consensus import Board, Standing
from yearling.feedback.log import FeedbackLog
from yearling.feedback.pairs import Pair, PairParameters
from yearling.feedback.parameters import Parameters
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.feedback.publication import Replay, publication_lines, replay
from yearling.feedback.rater_model import PAPER, PREDICTION, FitParameters
from yearling.feedback.rating_queue import Wanted, rating_queue
from yearling.feedback.snapshot import ItemResult, SideView, Snapshot
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, NOT_HELPFUL, RULES, Rule, StatusParameters, slate

__all__ = [
    "HELPFUL",
    "KINDS",
    "NEEDS_MORE",
    "NOT_HELPFUL",
    "PAPER",
    "PREDICTION",
    "RATING_VALUES",
    "RULES",
    "Board",
    "Carried",
    "Comparison",
    "DefenceParameters",
    "Division",
    "DivisionParameters",
    "Dropped",
    "Edit",
    "Event",
    "FeedbackLog",
    "Finished",
    "FitParameters",
    "ImportReport",
    "ItemResult",
    "JuryInvitation",
    "Ledger",
    "Note",
    "NoteRating",
    "Pair",
    "PairParameters",
    "Parameters",
    "Pseudonyms",
    "Rating",
    "Removal",
    "Replay",
    "Result",
    "Retraction",
    "Rule",
    "SideView",
    "Snapshot",
    "Standing",
    "State",
    "StatusChange",
    "StatusParameters",
    "Vouch",
    "Wanted",
    "bring_back",
    "canonical_bytes",
    "canonical_json",
    "checked_format",
    "code_hash",
    "draw_jury",
    "explain_item",
    "explain_snapshot",
    "export_lines",
    "fold",
    "from_dict",
    "import_file",
    "in_log_order",
    "latest",
    "log_hash",
    "own_acts",
    "publication_lines",
    "rating_queue",
    "replay",
    "run",
    "run_and_record",
    "slate",
    "snapshot_from",
    "to_dict",
    "update_item",
]
