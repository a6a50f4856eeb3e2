"""Reasoning effort: how many tokens a model may spend on reasoning before it answers.

Models whose template supports `<think>` reason there, within a budget. For all others, reasoning is a hidden first pass: the
model is asked for its reasoning only, and then for the answer given that reasoning. Independent of engines and streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from yearling.chat.json_types import MessageDict

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
"""Most reasoning tokens per effort. `max` has no entry: it is limited by the available tokens only."""

_REASONING_INSTRUCTION = (
    "Before you answer, write down your working: what is asked, what you know that bears on it, and the steps that lead to the "
    "answer. Be brief, and do not write the final answer yet."
)
_FINAL_ANSWER_INSTRUCTION = "Now give the final answer to what I asked, using your working. Write the answer only."


def reasoning_budget_tokens(effort: ReasoningEffort, *, available_tokens: int) -> int:
    """How many tokens reasoning may use: the effort's budget, at most half of those available for reasoning and answer."""
    return min(REASONING_BUDGET_TOKENS.get(effort, available_tokens), available_tokens // 2)


def reasoning_messages(messages: Sequence[MessageDict]) -> list[MessageDict]:
    """The messages of the hidden reasoning pass. Added messages carry a `source`, which tells them from the person's."""
    return [*messages, {"role": "user", "content": _REASONING_INSTRUCTION, "source": "effort"}]


def final_answer_messages(messages: Sequence[MessageDict], reasoning: str) -> list[MessageDict]:
    """The messages of the answer pass, which follows the reasoning pass."""
    return [
        *reasoning_messages(messages),
        {"role": "assistant", "content": reasoning, "source": "effort"},
        {"role": "user", "content": _FINAL_ANSWER_INSTRUCTION, "source": "effort"},
    ]
