"""Fits long conversations into a model's context window: keeps the newest messages and leaves room for an answer.

The oldest messages are dropped first, and the kept part always starts with a question. The sample records what the model saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from yearling.chat.json_types import MessageDict
from yearling.chat.request import TurnRequest
from yearling.chat.turn import Assistant, PreparedTurn
from yearling.errors import ContextLengthExceeded

_MIN_ANSWER_TOKENS = 512
_MAX_CHARS_PER_TOKEN = 6
"""An upper bound, so that the first cut by characters drops nothing that might fit."""
_SHRINK_FACTOR = 0.75


async def prepare_fitting_turn(
    assistant: Assistant,
    person_id: str,
    model: str | None,
    history: Sequence[MessageDict],
    build_request: Callable[[Sequence[MessageDict]], TurnRequest],
) -> tuple[PreparedTurn, int]:
    """Prepare a turn over as much of the end of `history` as fits. Returns the turn and the number of omitted messages.

    `build_request` makes the request from the kept messages. Raises ContextLengthExceeded if the last message alone is too long,
    and what `Assistant.prepare` raises.
    """
    context_tokens = await assistant.context_tokens(model, person_id=person_id)
    start = 0 if context_tokens is None else _first_question_within(history, 0, context_tokens * _MAX_CHARS_PER_TOKEN)
    while True:
        next_start = _first_question_within(history, start + 1, _SHRINK_FACTOR * _num_chars(history[start:]))
        try:
            turn = await assistant.prepare(build_request(history[start:]), person_id=person_id)
        except ContextLengthExceeded:
            if next_start >= len(history):
                raise
        else:
            min_answer_tokens = 0 if context_tokens is None else min(_MIN_ANSWER_TOKENS, context_tokens // 4)
            if turn.choices[0].available_tokens >= min_answer_tokens or next_start >= len(history):
                return turn, start
        start = next_start


def _first_question_within(history: Sequence[MessageDict], start: int, max_chars: float) -> int:
    """Index of the first question from `start` on that is followed by at most `max_chars` characters, itself included.

    The last message counts as short enough. Without such a question: 0 if `start` is 0, else `len(history)`.
    """
    remaining_chars = _num_chars(history[start:])
    for index in range(start, len(history)):
        if history[index]["role"] == "user" and (remaining_chars <= max_chars or index == len(history) - 1):
            return index
        remaining_chars -= len(history[index]["content"])
    return start if start == 0 else len(history)


def _num_chars(messages: Sequence[MessageDict]) -> int:
    return sum(len(message["content"]) for message in messages)
