"""One assistant turn: messages in, an answer and its sample out."""

from yearling.chat.effort import EFFORTS, Effort
from yearling.chat.events import Answer, ChoiceAnswer, TurnEvent, Usage, total_usage
from yearling.chat.replay import added, answer_message, own_messages
from yearling.chat.request import TurnRequest
from yearling.chat.shaping import TokenText
from yearling.chat.spec import SPEC_VERSION
from yearling.chat.structured import SchemaNotSatisfied
from yearling.chat.turn import DEFAULTS, Assistant, Turn

__all__ = [
    "DEFAULTS",
    "EFFORTS",
    "SPEC_VERSION",
    "Answer",
    "Assistant",
    "ChoiceAnswer",
    "Effort",
    "SchemaNotSatisfied",
    "TokenText",
    "Turn",
    "TurnEvent",
    "TurnRequest",
    "Usage",
    "added",
    "answer_message",
    "own_messages",
    "total_usage",
]
