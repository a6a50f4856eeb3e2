"""The events of a running turn and its complete answer. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.chat.json_types import ToolCallDict
from yearling.chat.lookup.sources import AnswerSources
from yearling.chat.output_parsing import TokenText
from yearling.records import FinishReason


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts. `completion_tokens` includes `reasoning_tokens`; the prompt is counted once, also for several passes."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEvent:
    """What one step adds to one choice.

    The last event of a choice carries `finish_reason`, `usage` and `sample_id`, and `sources` if anything was looked up; the
    sample is durable by then. `tool_calls` are deltas in OpenAI's form, each with an `index`.
    """

    choice: int
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDict, ...] = ()
    tokens: tuple[TokenText, ...] = ()
    finish_reason: FinishReason | None = None
    usage: TokenUsage | None = None
    sample_id: str = ""
    sources: AnswerSources | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceAnswer:
    """One complete choice of a turn. `tool_calls` are complete calls in OpenAI's form."""

    index: int
    text: str
    reasoning: str
    tool_calls: tuple[ToolCallDict, ...]
    tokens: tuple[TokenText, ...]
    finish_reason: FinishReason
    usage: TokenUsage
    sample_id: str
    sources: AnswerSources | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantAnswer:
    """The complete choices of a turn."""

    choices: tuple[ChoiceAnswer, ...]

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return self.choices[0].text

    @property
    def usage(self) -> TokenUsage:
        """The usage of the whole turn."""
        return total_token_usage([choice.usage for choice in self.choices])


def total_token_usage(usages: list[TokenUsage]) -> TokenUsage:
    """The usage of a turn from that of its choices, which share one prompt."""
    return TokenUsage(
        prompt_tokens=max((usage.prompt_tokens for usage in usages), default=0),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        reasoning_tokens=sum(usage.reasoning_tokens for usage in usages),
    )
