"""The request for one turn, and the checks that need neither a model nor HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.chat.json_types import MessageDict, SchemaDict, ToolDict
from yearling.chat.reasoning_effort import REASONING_EFFORTS, ReasoningEffort
from yearling.chat.tools import forced_call_schema, tool_name
from yearling.errors import BadInput, Unsupported
from yearling.json_schemas import check_schema

MAX_CHOICES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialAnswer:
    """The beginning of an answer that is to be continued.

    If its sample was kept, `prompt_ids` and `output_ids` are exactly what the model saw and emitted; the model with `model_hash`
    continues from them. Any other model continues from the text.
    """

    text: str
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()
    model_hash: str = ""

    @property
    def message(self) -> MessageDict:
        """The partial answer as a message of the sample."""
        return {"role": "assistant", "content": self.text, "source": "begun"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """The request for one turn.

    `messages` have OpenAI's form with text as content; messages that are not the client's own carry a `source`. `sampling` holds
    only those fields of SamplingSettings that the client set. `tool_choice` is `none`, `auto`, `required` or `function:NAME`.
    `n` is the number of choices, 1 to 128; `logprobs` asks for log-probabilities, with `top_logprobs` alternatives per token.
    Without `store`, no sample of the turn is stored, whatever the retention setting says.
    """

    request_id: str
    messages: tuple[MessageDict, ...]
    model: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    n: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    json_schema: SchemaDict | None = None
    tools: tuple[ToolDict, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    effort: ReasoningEffort | None = None
    partial_answer: PartialAnswer | None = None
    store: bool = True

    @property
    def offered_tools(self) -> tuple[ToolDict, ...]:
        """The tools that the model sees."""
        return () if self.tool_choice == "none" else self.tools

    @property
    def forced_tool(self) -> str | None:
        """The name of the function that must be called, `*` for any of the tools, None if no call is enforced."""
        if not self.tools or self.tool_choice in ("none", "auto"):
            return None
        return "*" if self.tool_choice == "required" else self.tool_choice.removeprefix("function:")

    @property
    def forced_tools(self) -> list[ToolDict]:
        """The tools of which one must be called; empty if no call is enforced."""
        return [tool for tool in self.tools if self.forced_tool in ("*", tool_name(tool))]

    @property
    def has_schemas(self) -> bool:
        """Whether checking the request means work on schemas that a user supplies."""
        return self.json_schema is not None or bool(self.tools)

    @property
    def offered_tools_messages(self) -> list[MessageDict]:
        """The offered tools as a message of the sample; empty without tools."""
        if not self.offered_tools:
            return []
        fields = {"tools": list(self.offered_tools), "parallel": self.parallel_tool_calls}
        return [{"role": "system", "content": "", "source": "tools", **fields}]


def check_request(request: TurnRequest) -> None:
    """Raises BadInput for invalid or contradictory fields, Unsupported for combinations that no engine can do.

    Call it from a worker thread for a request that `has_schemas`.
    """
    if not request.messages:
        raise BadInput("There are no messages.", advice="Send at least one.", param="messages")
    if not 1 <= request.n <= MAX_CHOICES:
        raise BadInput(f"n must be between 1 and {MAX_CHOICES}.", param="n")
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
        raise BadInput(
            "An answer with tools, a schema or reasoning cannot be continued.", advice="Regenerate it instead.", param="kind"
        )
    _check_tools(request)


def _check_tools(request: TurnRequest) -> None:
    names = [tool_name(tool) for tool in request.tools]
    if len(set(names)) < len(names):
        raise BadInput("Two tools have the same name.", param="tools")
    for index, tool in enumerate(request.tools):
        check_schema(tool["function"].get("parameters") or {}, param=f"tools[{index}].function.parameters")
    if request.tool_choice.startswith("function:") and request.forced_tool not in names:
        raise BadInput("tool_choice names a function that is not in tools.", param="tool_choice")
    if request.tool_choice == "required" and not names:
        raise BadInput("tool_choice is required, but there are no tools.", param="tool_choice")
    if len(request.forced_tools) > 1:
        check_schema(forced_call_schema(request.forced_tools), param="tools")
