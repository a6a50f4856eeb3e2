"""Long conversations and a model's context: as much of the end as leaves room for an answer.

The oldest messages are left out first, and an answer never without its question; what the model really saw is in the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from yearling.chat.request import TurnRequest
from yearling.chat.turn import Assistant, PreparedTurn
from yearling.errors import ContextLengthExceeded

_MIN_ANSWER_TOKENS = 512
_MAX_CHARS_PER_TOKEN = 6
"""More than any text has, so that nothing is left out that might fit."""
_SHRINK_FACTOR = 0.75


async def prepare_fitting_turn(
    assistant: Assistant,
    person_id: str,
    model: str | None,
    history: Sequence[dict[str, Any]],
    build_request: Callable[[Sequence[dict[str, Any]]], TurnRequest],
) -> tuple[PreparedTurn, int]:
    """The turn over as much of the history's end as fits, and how many messages were left out.

    Raises ContextExceeded when the last message alone is too long, and what preparing raises.
    """
    context = await assistant.context_tokens(model)
    start = 0 if context is None else _first_question_within(history, 0, context * _MAX_CHARS_PER_TOKEN)
    while True:
        following = _first_question_within(history, start + 1, _SHRINK_FACTOR * _num_chars(history[start:]))
        try:
            turn = await assistant.prepare(build_request(history[start:]), person_id=person_id)
        except ContextLengthExceeded:
            if following >= len(history):
                raise
        else:
            wanted = 0 if context is None else min(_MIN_ANSWER_TOKENS, context // 4)
            if turn.choices[0].available_tokens >= wanted or following >= len(history):
                return turn, start
        start = following


def _first_question_within(history: Sequence[dict[str, Any]], start: int, max_chars: float) -> int:
    """The first place from `start` on that is a question and leaves at most so many characters; the end when there is none."""
    left = _num_chars(history[start:])
    for at in range(start, len(history)):
        if history[at]["role"] == "user" and (left <= max_chars or at == len(history) - 1):
            return at
        left -= len(history[at]["content"])
    return start if start == 0 else len(history)


def _num_chars(messages: Sequence[dict[str, Any]]) -> int:
    return sum(len(message["content"]) for message in messages)
