"""Feedback: judgements, notes, rater reliability, bridged consensus, versioned status rules."""

from yearling.feedback.consensus import Result, code_hash, log_hash, run
from yearling.feedback.defences import DefenceParameters, draw_jury
from yearling.feedback.division import Division, DivisionParameters
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
from yearling.feedback.model import PAPER, PREDICTION, FitParameters
from yearling.feedback.pairs import Pair, PairParameters
from yearling.feedback.parameters import Parameters
from yearling.feedback.queue import Wanted, rating_queue
from yearling.feedback.snapshot import ItemResult, SideView, Snapshot
from yearling.feedback.status import HELPFUL, NEEDS_MORE, NOT_HELPFUL, RULES, Rule, StatusParameters, slate
from yearling.feedback.update import update_item

__all__ = [
    "HELPFUL",
    "KINDS",
    "NEEDS_MORE",
    "NOT_HELPFUL",
    "PAPER",
    "PREDICTION",
    "RATING_VALUES",
    "RULES",
    "Comparison",
    "DefenceParameters",
    "Division",
    "DivisionParameters",
    "Dropped",
    "Edit",
    "Event",
    "FitParameters",
    "ItemResult",
    "JuryInvitation",
    "Note",
    "NoteRating",
    "Pair",
    "PairParameters",
    "Parameters",
    "Rating",
    "Removal",
    "Result",
    "Retraction",
    "Rule",
    "SideView",
    "Snapshot",
    "State",
    "StatusChange",
    "StatusParameters",
    "Vouch",
    "Wanted",
    "canonical_bytes",
    "canonical_json",
    "code_hash",
    "draw_jury",
    "explain_item",
    "explain_snapshot",
    "fold",
    "from_dict",
    "in_log_order",
    "log_hash",
    "rating_queue",
    "run",
    "slate",
    "to_dict",
    "update_item",
]
