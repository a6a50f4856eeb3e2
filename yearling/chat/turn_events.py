"""What a turn tells while it runs and when it is done. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yearling.chat.output_parsing import TokenText
from yearling.records import FinishReason


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens. `completion` includes `reasoning`; `prompt` is the request's own prompt, counted once."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEvent:
    """What one step added to one choice.

    The last event of a choice carries `finish_reason`, `usage` and `sample_id`; its sample is durable by then. `tool_calls` are
    deltas in OpenAI's form, each with its `index`.
    """

    choice: int
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    tokens: tuple[TokenText, ...] = ()
    finish_reason: FinishReason | None = None
    usage: TokenUsage | None = None
    sample_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceAnswer:
    """One choice of a turn, added up. `tool_calls` are whole calls in OpenAI's form."""

    index: int
    text: str
    reasoning: str
    tool_calls: tuple[dict[str, Any], ...]
    tokens: tuple[TokenText, ...]
    finish_reason: FinishReason
    usage: TokenUsage
    sample_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantAnswer:
    """All choices of a turn."""

    choices: tuple[ChoiceAnswer, ...]

    @property
    def text(self) -> str:
        """Of the first choice."""
        return self.choices[0].text

    @property
    def usage(self) -> TokenUsage:
        return total_token_usage([choice.usage for choice in self.choices])


def total_token_usage(usages: list[TokenUsage]) -> TokenUsage:
    """Of a whole turn: the choices share one prompt."""
    return TokenUsage(
        prompt_tokens=max((part.prompt_tokens for part in usages), default=0),
        completion_tokens=sum(part.completion_tokens for part in usages),
        reasoning_tokens=sum(part.reasoning_tokens for part in usages),
    )
