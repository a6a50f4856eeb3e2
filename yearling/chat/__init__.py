"""One assistant turn: messages in, an answer and its sample out."""

from yearling.chat.effort import EFFORTS, Effort
from yearling.chat.events import Answer, ChoiceAnswer, TurnEvent, Usage, total_usage
from yearling.chat.replay import added, answer_message, own_messages
from yearling.chat.request import TurnRequest
from yearling.chat.shaping import TokenText
from yearling.chat.spec import SPEC_VERSION, SYSTEM
from yearling.chat.spec_cases import Problem, SpecCase, Twin
from yearling.chat.spec_folder import LEVELS, Clause, Level, Spec, load_spec, read_spec, spec_dir
from yearling.chat.structured import SchemaNotSatisfied
from yearling.chat.turn import DEFAULTS, Assistant, Turn

__all__ = [
    "DEFAULTS",
    "EFFORTS",
    "LEVELS",
    "SPEC_VERSION",
    "SYSTEM",
    "Answer",
    "Assistant",
    "ChoiceAnswer",
    "Clause",
    "Effort",
    "Level",
    "Problem",
    "SchemaNotSatisfied",
    "Spec",
    "SpecCase",
    "TokenText",
    "Turn",
    "TurnEvent",
    "TurnRequest",
    "Twin",
    "Usage",
    "added",
    "answer_message",
    "load_spec",
    "own_messages",
    "read_spec",
    "spec_dir",
    "total_usage",
]
