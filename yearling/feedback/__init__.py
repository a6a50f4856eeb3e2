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
from yearling.feedback.explain import explain_item, explain_snapshot
from yearling.feedback.file_import import FeedbackImportReport, import_feedback_file, parse_file_format
from yearling.feedback.item_update import update_item_result
from yearling.feedback.jsonl import export_log_lines
from yearling.feedback.live_consensus import ItemStatus, LiveConsensus
from yearling.feedback.log import WRITTEN_ANSWER_KIND, FeedbackLog
from yearling.feedback.pairs import ConsensusPair, PairParameters
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.pseudonyms import Pseudonyms
from yearling.feedback.publication import ReplayReport, publication_lines, replay_publication
from yearling.feedback.rater_model import PAPER_FIT, PREDICTION_FIT, FitParameters
from yearling.feedback.rating.guess_scores import GuessScore, score_guesses
from yearling.feedback.rating.judgement_index import JudgementIndex
from yearling.feedback.rating.next_judgement import JudgementPicker, NextJudgement, TeamProgress, is_guess_due
from yearling.feedback.rating.rater_report import MemberGroup, RaterReport, build_rater_report
from yearling.feedback.rating_queue import RatingQueueItem, build_rating_queue, division_degree, expected_weight_change
from yearling.feedback.rounds import (
    DEFAULT_PEOPLE_PER_PAIR,
    MAX_CSV_CHARS,
    MAX_PEOPLE_PER_PAIR,
    MAX_QUESTION_CHARS,
    MAX_QUESTIONS,
    MAX_ROUND_TITLE_CHARS,
    MAX_WANTED_CHARS,
    RoundProgress,
    close_finished_rounds,
    create_round,
    judges_by_pair,
    pairs_to_judge,
    parse_questions_csv,
    round_progress,
)
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
    "DEFAULT_PEOPLE_PER_PAIR",
    "EVENT_TYPES",
    "HELPFUL",
    "MAX_CSV_CHARS",
    "MAX_PEOPLE_PER_PAIR",
    "MAX_QUESTIONS",
    "MAX_QUESTION_CHARS",
    "MAX_ROUND_TITLE_CHARS",
    "MAX_WANTED_CHARS",
    "NEEDS_MORE",
    "NOT_HELPFUL",
    "PAPER_FIT",
    "PREDICTION_FIT",
    "RATING_VALUES",
    "STATUS_RULES",
    "WRITTEN_ANSWER_KIND",
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
    "GuessScore",
    "ItemResult",
    "ItemStatus",
    "JudgementIndex",
    "JudgementPicker",
    "JuryInvitation",
    "LiveConsensus",
    "LogState",
    "MemberGroup",
    "NextJudgement",
    "Note",
    "NoteRating",
    "PairParameters",
    "Pseudonyms",
    "RaterReport",
    "Rating",
    "RatingQueueItem",
    "RecordedConsensusRun",
    "Removal",
    "ReplayReport",
    "Retraction",
    "RoundProgress",
    "SideResult",
    "Snapshot",
    "StatusChange",
    "StatusParameters",
    "StatusRule",
    "TeamProgress",
    "Vouch",
    "build_rater_report",
    "build_rating_queue",
    "canonical_event_bytes",
    "canonical_utf8_json",
    "choose_slate",
    "close_finished_rounds",
    "code_hash",
    "create_round",
    "division_degree",
    "draw_jury",
    "event_from_dict",
    "event_to_dict",
    "expected_weight_change",
    "explain_item",
    "explain_snapshot",
    "export_log_lines",
    "export_own_acts",
    "fold_events",
    "import_feedback_file",
    "import_own_acts",
    "is_guess_due",
    "judges_by_pair",
    "load_latest_run",
    "log_hash",
    "pairs_to_judge",
    "parse_file_format",
    "parse_questions_csv",
    "parse_snapshot",
    "publication_lines",
    "replay_publication",
    "round_progress",
    "run_and_record",
    "run_consensus",
    "score_guesses",
    "sort_events",
    "update_item_result",
]
