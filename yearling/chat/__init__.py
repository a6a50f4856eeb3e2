"""One assistant turn: messages in, an answer and its sample out."""

from yearling.chat.answer_style import BUILTIN_MODES, FUN_MODE, LANGUAGES, REGULAR_MODE, AnswerMode, AnswerStyle, system_messages
from yearling.chat.comparison_prompts import NUM_RECENT_OFFERS, should_offer_comparison
from yearling.chat.conversation_turns import ConversationTurns, TurnInput, title_from_question
from yearling.chat.live_turn import LiveTurn
from yearling.chat.memory import ExtractedMemory, choose, extract
from yearling.chat.output_parsing import TokenText
from yearling.chat.reasoning_effort import REASONING_EFFORTS, ReasoningEffort
from yearling.chat.request import PartialAnswer, TurnRequest
from yearling.chat.sample_replay import added, answer_message, client_messages
from yearling.chat.served_spec import SPEC_SYSTEM_MESSAGE, SPEC_VERSION
from yearling.chat.spec_cases import SpecCase, SpecProblem, SpecTwin
from yearling.chat.spec_folder import LEVELS, BehaviourSpec, Clause, ClauseLevel, load_spec, read_spec, spec_dir
from yearling.chat.structured_output import SchemaNotSatisfied
from yearling.chat.turn import DEFAULTS, Assistant, PreparedTurn
from yearling.chat.turn_events import Answer, ChoiceAnswer, TokenUsage, TurnEvent, total_token_usage

__all__ = [
    "BUILTIN_MODES",
    "DEFAULTS",
    "FUN_MODE",
    "LANGUAGES",
    "LEVELS",
    "NUM_RECENT_OFFERS",
    "REASONING_EFFORTS",
    "REGULAR_MODE",
    "SPEC_SYSTEM_MESSAGE",
    "SPEC_VERSION",
    "Answer",
    "AnswerMode",
    "AnswerStyle",
    "Assistant",
    "BehaviourSpec",
    "ChoiceAnswer",
    "Clause",
    "ClauseLevel",
    "ConversationTurns",
    "ExtractedMemory",
    "LiveTurn",
    "PartialAnswer",
    "PreparedTurn",
    "ReasoningEffort",
    "SchemaNotSatisfied",
    "SpecCase",
    "SpecProblem",
    "SpecTwin",
    "TokenText",
    "TokenUsage",
    "TurnEvent",
    "TurnInput",
    "TurnRequest",
    "added",
    "answer_message",
    "choose",
    "client_messages",
    "extract",
    "load_spec",
    "read_spec",
    "should_offer_comparison",
    "spec_dir",
    "system_messages",
    "title_from_question",
    "total_token_usage",
]
