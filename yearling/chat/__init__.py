"""One assistant turn: messages in, an answer and its sample out."""

from yearling.chat.answer_style import BUILTIN, FUN, LANGUAGES, REGULAR, Manner, Mode, system_messages
from yearling.chat.comparison_prompts import LOOK_BACK, may_offer
from yearling.chat.conversation_turns import Ask, Talks, title_of
from yearling.chat.live_turn import LiveTurn
from yearling.chat.memory import Fact, choose, extract
from yearling.chat.output_parsing import TokenText
from yearling.chat.reasoning_effort import EFFORTS, Effort
from yearling.chat.request import Begun, TurnRequest
from yearling.chat.sample_replay import added, answer_message, own_messages
from yearling.chat.served_spec import SPEC_VERSION, SYSTEM
from yearling.chat.spec_cases import Problem, SpecCase, Twin
from yearling.chat.spec_folder import LEVELS, Clause, Level, Spec, load_spec, read_spec, spec_dir
from yearling.chat.structured_output import SchemaNotSatisfied
from yearling.chat.turn import DEFAULTS, Assistant, Turn
from yearling.chat.turn_events import Answer, ChoiceAnswer, TurnEvent, Usage, total_usage

__all__ = [
    "BUILTIN",
    "DEFAULTS",
    "EFFORTS",
    "FUN",
    "LANGUAGES",
    "LEVELS",
    "LOOK_BACK",
    "REGULAR",
    "SPEC_VERSION",
    "SYSTEM",
    "Answer",
    "Ask",
    "Assistant",
    "Begun",
    "ChoiceAnswer",
    "Clause",
    "Effort",
    "Fact",
    "Level",
    "LiveTurn",
    "Manner",
    "Mode",
    "Problem",
    "SchemaNotSatisfied",
    "Spec",
    "SpecCase",
    "Talks",
    "TokenText",
    "Turn",
    "TurnEvent",
    "TurnRequest",
    "Twin",
    "Usage",
    "added",
    "answer_message",
    "choose",
    "extract",
    "load_spec",
    "may_offer",
    "own_messages",
    "read_spec",
    "spec_dir",
    "system_messages",
    "title_of",
    "total_usage",
]
