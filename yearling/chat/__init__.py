"""Assistant turns: messages in, an answer and its samples out."""

from yearling.chat.answer_style import (
    ANSWER_LANGUAGES,
    BUILTIN_MODES,
    FUN_MODE,
    REGULAR_MODE,
    AnswerBluntness,
    AnswerLength,
    AnswerMode,
    AnswerStyle,
    system_messages,
)
from yearling.chat.comparison_prompts import NUM_RECENT_OFFERS, should_offer_comparison
from yearling.chat.context_window import prepare_fitting_turn
from yearling.chat.conversation_turns import ConversationTurns, TurnInput, title_from_question
from yearling.chat.corrections.earlier_turn import CORRECTION_SOURCE, UsedCorrection, correction_fact
from yearling.chat.corrections.faq_file import MAX_FAQ_BYTES, MAX_FAQ_ENTRIES, FaqEntry, faq_csv, parse_faq_file
from yearling.chat.corrections.fixed import FixedCorrections
from yearling.chat.corrections.memory import CorrectionMemory
from yearling.chat.corrections.offer import CorrectionOffer, find_offer
from yearling.chat.live_turn import LiveTurn
from yearling.chat.lookup.lookup import LookupQuery, SourceLookup
from yearling.chat.lookup.sources import SOURCES_FACT, AnswerSources, TurnSources, sources_fact
from yearling.chat.memory import ExtractedMemory, extract_memories, select_memories
from yearling.chat.model_routing import CHALLENGER, CHAMPION, DirectRouter, ModelRouter
from yearling.chat.output_parsing import TokenText, TokenTextAligner
from yearling.chat.personalisation import (
    PersonalChatSettings,
    available_modes,
    change_personal_settings,
    define_mode,
    get_mode,
    get_personal_settings,
    personal_answer_style,
    personalise_turn,
    remember_from_turn,
)
from yearling.chat.reasoning_effort import REASONING_EFFORTS, ReasoningEffort
from yearling.chat.request import PartialAnswer, TurnRequest
from yearling.chat.sample_replay import answer_message, client_messages, message_from_source
from yearling.chat.served_spec import SPEC_SYSTEM_MESSAGE, SPEC_VERSION
from yearling.chat.spec_cases import SpecCase, SpecProblem, SpecTwin
from yearling.chat.spec_folder import CLAUSE_LEVELS, BehaviourSpec, Clause, ClauseLevel, load_spec, read_spec, spec_dir
from yearling.chat.structured_output import SchemaNotSatisfied
from yearling.chat.turn import DEFAULT_SAMPLING, Assistant, CorrectionSource, PreparedTurn, ServedModelProvider
from yearling.chat.turn_events import AssistantAnswer, ChoiceAnswer, TokenUsage, TurnEvent, total_token_usage
from yearling.chat.turn_plan import conversation_model

__all__ = [
    "ANSWER_LANGUAGES",
    "BUILTIN_MODES",
    "CHALLENGER",
    "CHAMPION",
    "CLAUSE_LEVELS",
    "CORRECTION_SOURCE",
    "DEFAULT_SAMPLING",
    "FUN_MODE",
    "MAX_FAQ_BYTES",
    "MAX_FAQ_ENTRIES",
    "NUM_RECENT_OFFERS",
    "REASONING_EFFORTS",
    "REGULAR_MODE",
    "SOURCES_FACT",
    "SPEC_SYSTEM_MESSAGE",
    "SPEC_VERSION",
    "AnswerBluntness",
    "AnswerLength",
    "AnswerMode",
    "AnswerSources",
    "AnswerStyle",
    "Assistant",
    "AssistantAnswer",
    "BehaviourSpec",
    "ChoiceAnswer",
    "Clause",
    "ClauseLevel",
    "ConversationTurns",
    "CorrectionMemory",
    "CorrectionOffer",
    "CorrectionSource",
    "DirectRouter",
    "ExtractedMemory",
    "FaqEntry",
    "FixedCorrections",
    "LiveTurn",
    "LookupQuery",
    "ModelRouter",
    "PartialAnswer",
    "PersonalChatSettings",
    "PreparedTurn",
    "ReasoningEffort",
    "SchemaNotSatisfied",
    "ServedModelProvider",
    "SourceLookup",
    "SpecCase",
    "SpecProblem",
    "SpecTwin",
    "TokenText",
    "TokenTextAligner",
    "TokenUsage",
    "TurnEvent",
    "TurnInput",
    "TurnRequest",
    "TurnSources",
    "UsedCorrection",
    "answer_message",
    "available_modes",
    "change_personal_settings",
    "client_messages",
    "conversation_model",
    "correction_fact",
    "define_mode",
    "extract_memories",
    "faq_csv",
    "find_offer",
    "get_mode",
    "get_personal_settings",
    "load_spec",
    "message_from_source",
    "parse_faq_file",
    "personal_answer_style",
    "personalise_turn",
    "prepare_fitting_turn",
    "read_spec",
    "remember_from_turn",
    "select_memories",
    "should_offer_comparison",
    "sources_fact",
    "spec_dir",
    "system_messages",
    "title_from_question",
    "total_token_usage",
]
