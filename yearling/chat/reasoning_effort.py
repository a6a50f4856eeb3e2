"""The effort dial: how much a model may think before it answers.

Models whose template knows `<think>` think there, within a budget. For all others the working is a hidden first pass: the model
is asked for its working only, and then for the answer, given that working. Knows nothing of engines or of streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

REASONING_EFFORTS: tuple[str, ...] = get_args(ReasoningEffort)

REASONING_BUDGET_TOKENS: dict[ReasoningEffort, int] = {
    "none": 0,
    "minimal": 64,
    "low": 256,
    "medium": 1024,
    "high": 4096,
    "xhigh": 16384,
}
"""`max` has no entry: it may use what there is."""

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

_REASONING_INSTRUCTION = (
    "Before you answer, write down your working: what is asked, what you know that bears on it, and the steps that lead to the "
    "answer. Be brief, and do not write the final answer yet."
)
_FINAL_ANSWER_INSTRUCTION = "Now give the final answer to what I asked, using your working. Write the answer only."


def reasoning_budget_tokens(effort: ReasoningEffort, *, available_tokens: int) -> int:
    """How many tokens the working may have when `room` tokens are left for working and answer: never more than half of them."""
    return min(REASONING_BUDGET_TOKENS.get(effort, available_tokens), available_tokens // 2)


def reasoning_messages(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the model sees in the hidden first pass. What we add carries `source`, so that it is never taken for the person's."""
    return [*messages, {"role": "user", "content": _REASONING_INSTRUCTION, "source": "effort"}]


def final_answer_messages(messages: Sequence[dict[str, Any]], reasoning: str) -> list[dict[str, Any]]:
    """What the model sees in the second pass."""
    return [
        *reasoning_messages(messages),
        {"role": "assistant", "content": reasoning, "source": "effort"},
        {"role": "user", "content": _FINAL_ANSWER_INSTRUCTION, "source": "effort"},
    ]
