"""What is asked of the assistant in one turn, and what about it contradicts itself. Knows neither models nor HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.chat.reasoning_effort import REASONING_EFFORTS, ReasoningEffort
from yearling.chat.tools import forced_call_schema, tool_name
from yearling.errors import BadInput, Unsupported
from yearling.json_schemas import check_schema

MAX_CHOICES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialAnswer:
    """The beginning of an answer that is to be gone on with. The ids are exact where its sample was kept: what the model saw and
    emitted; another model is given the words."""

    text: str
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()
    model_hash: str = ""

    @property
    def message(self) -> dict[str, Any]:
        """How samples keep it."""
        return {"role": "assistant", "content": self.text, "source": "begun"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """What is asked of the assistant.

    `messages` are in OpenAI's form, with text as content; a message that is not the person's own carries `source`. `sampling`
    holds the fields of SamplingSettings that were asked for, and only those. `tool_choice` is none, auto, required or a
    function's name behind `function:`.
    """

    request_id: str
    messages: tuple[dict[str, Any], ...]
    model: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    n: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    json_schema: dict[str, Any] | None = None
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    effort: ReasoningEffort | None = None
    partial_answer: PartialAnswer | None = None

    @property
    def offered_tools(self) -> tuple[dict[str, Any], ...]:
        """The tools that the model is told of."""
        return () if self.tool_choice == "none" else self.tools

    @property
    def forced_tool(self) -> str | None:
        """The function that must be called, `*` for any, None when nothing is forced."""
        if not self.tools or self.tool_choice in ("none", "auto"):
            return None
        return "*" if self.tool_choice == "required" else self.tool_choice.removeprefix("function:")

    @property
    def forced_tools(self) -> list[dict[str, Any]]:
        """Those of which one must be called."""
        return [tool for tool in self.tools if self.forced_tool in ("*", tool_name(tool))]

    @property
    def has_schemas(self) -> bool:
        """Whether checking the request means work on schemas that a user supplies."""
        return self.json_schema is not None or bool(self.tools)

    @property
    def offered_tools_messages(self) -> list[dict[str, Any]]:
        """The offered tools as a message of its own, as samples keep them."""
        if not self.offered_tools:
            return []
        offer = {"tools": list(self.offered_tools), "parallel": self.parallel_tool_calls}
        return [{"role": "system", "content": "", "source": "tools", **offer}]


def check_request(request: TurnRequest) -> None:
    """Raises BadInput for requests that contradict themselves. For a worker thread where there are schemas: see `has_schemas`."""
    if not request.messages:
        raise BadInput("There are no messages.", advice="Send at least one.", param="messages")
    if not 1 <= request.n <= MAX_CHOICES:
        raise BadInput(f"n must lie between 1 and {MAX_CHOICES}.", param="n")
    if request.effort is not None and request.effort not in REASONING_EFFORTS:
        raise BadInput(f"The effort must be one of {', '.join(REASONING_EFFORTS)}.", param="reasoning_effort")
    if request.top_logprobs and not request.logprobs:
        raise BadInput("top_logprobs needs logprobs to be true.", param="top_logprobs")
    if request.json_schema is not None:
        check_schema(request.json_schema, param="response_format")
        if request.offered_tools and request.forced_tool is None:
            raise Unsupported(
                "A response format and tools that the model may choose cannot be combined.",
                advice="Set tool_choice to none or required, or leave one of them out.",
                param="response_format",
            )
    if request.partial_answer is not None and (request.tools or request.json_schema or request.effort not in (None, "none")):
        raise BadInput("An answer with tools, a schema or thinking cannot be gone on with.", advice="Ask anew.", param="kind")
    _check_tools(request)


def _check_tools(request: TurnRequest) -> None:
    names = [tool_name(tool) for tool in request.tools]
    if len(set(names)) < len(names):
        raise BadInput("Two tools have the same name.", param="tools")
    for index, tool in enumerate(request.tools):
        check_schema(tool["function"].get("parameters") or {}, param=f"tools[{index}].function.parameters")
    if request.tool_choice.startswith("function:") and request.forced_tool not in names:
        raise BadInput("tool_choice names a function that is not among the tools.", param="tool_choice")
    if request.tool_choice == "required" and not names:
        raise BadInput("tool_choice is required, but there are no tools.", param="tool_choice")
    if len(request.forced_tools) > 1:
        check_schema(forced_call_schema(request.forced_tools), param="tools")
