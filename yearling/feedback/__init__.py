"""Feedback: judgements, notes, rater reliability, bridged consensus, versioned status rules."""

from yearling.feedback.bench import Line as BenchLine
from yearling.feedback.bench import speeds as bench_speeds
from yearling.feedback.bench import table as bench_table
from yearling.feedback.board import Board, Standing
from yearling.feedback.carrying import Carried, bring_back, own_acts
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
from yearling.feedback.importing import ImportReport, checked_format, import_file
from yearling.feedback.ledger import Ledger
from yearling.feedback.lines import export_lines
from yearling.feedback.log import FeedbackLog
from yearling.feedback.model import PAPER, PREDICTION, FitParameters
from yearling.feedback.pairs import Pair, PairParameters
from yearling.feedback.parameters import Parameters
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.feedback.publication import Replay, publication_lines, replay
from yearling.feedback.queue import Wanted, rating_queue
from yearling.feedback.runs import Finished, latest, run_and_record, snapshot_from
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
    "BenchLine",
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
    "bench_speeds",
    "bench_table",
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
