"""The request for one turn, and the checks that need neither a model nor HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.chat.json_types import MessageDict, SchemaDict, ToolDict
from yearling.chat.lookup.sources import TurnSources
from yearling.chat.reasoning_effort import REASONING_EFFORTS, ReasoningEffort
from yearling.chat.structured_output import OutputConstraint, effective_schema
from yearling.chat.tools import forced_call_schema, named_call_schema, tool_name
from yearling.errors import BadInput
from yearling.json_schemas import check_schema
from yearling.schema_limits import measure_schema

MAX_CHOICES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialAnswer:
    """The beginning of an answer that is to be continued.

    If its sample was kept, `prompt_ids` and `output_ids` are exactly what the model saw and emitted, and `corrections` the
    messages among it that showed corrections; the model with `model_hash` continues from them as long as the same corrections
    are shown. Otherwise the answer continues from the text.
    """

    text: str
    prompt_ids: tuple[int, ...] = ()
    output_ids: tuple[int, ...] = ()
    model_hash: str = ""
    corrections: tuple[MessageDict, ...] = ()

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
    An answer that is `strict` satisfies `json_schema` or fails; otherwise it is passed on after some attempts, as OpenAI does.
    Without `store`, no sample of the turn is stored, whatever the retention setting says. Without `corrections`, corrections
    memory does not act on the turn. `sources` are what was looked up for the question, which the messages then end with.
    """

    request_id: str
    messages: tuple[MessageDict, ...]
    model: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    n: int = 1
    logprobs: bool = False
    top_logprobs: int = 0
    json_schema: SchemaDict | None = None
    strict: bool = True
    tools: tuple[ToolDict, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    effort: ReasoningEffort | None = None
    partial_answer: PartialAnswer | None = None
    store: bool = True
    corrections: bool = True
    sources: TurnSources | None = None

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

    def is_strict_tool(self, name: str) -> bool:
        """Whether the arguments of this tool must satisfy its parameters."""
        return any(bool(tool["function"].get("strict")) for tool in self.tools if tool_name(tool) == name)

    @property
    def may_call_or_answer(self) -> bool:
        """Whether the model chooses between a call and an answer that satisfies a schema."""
        return self.json_schema is not None and bool(self.offered_tools) and self.forced_tool is None

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


def check_request(request: TurnRequest) -> OutputConstraint | None:
    """What the output must satisfy: the call that is forced, or the JSON schema of the answer. None if neither is given.

    Raises BadInput for invalid or contradictory fields. Call it from a worker thread for a request that `has_schemas`.
    """
    if not request.messages:
        raise BadInput("There are no messages.", advice="Send at least one.", param="messages")
    if not 1 <= request.n <= MAX_CHOICES:
        raise BadInput(f"n must be between 1 and {MAX_CHOICES}.", param="n")
    if request.effort is not None and request.effort not in REASONING_EFFORTS:
        raise BadInput(f"The effort must be one of {', '.join(REASONING_EFFORTS)}.", param="reasoning_effort")
    if request.top_logprobs and not request.logprobs:
        raise BadInput("top_logprobs needs logprobs to be true.", param="top_logprobs")
    constraint = None
    if request.json_schema is not None:
        measure_schema(request.json_schema, param="response_format")
        schema = effective_schema(request.json_schema, strict=request.strict)
        check_schema(schema, param="response_format")
        constraint = OutputConstraint.from_schema(schema)
    if request.partial_answer is not None and (request.tools or request.json_schema or request.effort not in (None, "none")):
        raise BadInput(
            "An answer with tools, a schema or reasoning cannot be continued.", advice="Regenerate it instead.", param="kind"
        )
    forced_call = _check_tools(request)
    return forced_call or constraint


def forced_function(request: TurnRequest, constraint: OutputConstraint | None) -> str | None:
    """The name of the function that must be called, also if it is the only one; otherwise as `TurnRequest.forced_tool`."""
    return (constraint.called_name if constraint is not None else "") or request.forced_tool


def _check_tools(request: TurnRequest) -> OutputConstraint | None:
    """What a forced call must satisfy."""
    names = [tool_name(tool) for tool in request.tools]
    if len(set(names)) < len(names):
        raise BadInput("Two tools have the same name.", param="tools")
    tools = [
        _with_effective_parameters(tool, param=f"tools[{index}].function.parameters") for index, tool in enumerate(request.tools)
    ]
    if request.tool_choice.startswith("function:") and request.forced_tool not in names:
        raise BadInput("tool_choice names a function that is not in tools.", param="tool_choice")
    if request.tool_choice == "required" and not names:
        raise BadInput("tool_choice is required, but there are no tools.", param="tool_choice")
    forced_tools = [tool for tool in tools if request.forced_tool in ("*", tool_name(tool))]
    if not forced_tools:
        return None
    schema = forced_call_schema(forced_tools)
    if len(forced_tools) > 1:
        check_schema(schema, param="tools")
        return OutputConstraint.from_schema(schema)
    [tool] = forced_tools
    named_call = OutputConstraint.from_schema(named_call_schema(tool), called_name=tool_name(tool))
    return OutputConstraint.from_schema(schema, named_call=named_call)


def _with_effective_parameters(tool: ToolDict, *, param: str) -> ToolDict:
    """The tool with the parameters that its calls are checked against. Raises BadInput."""
    function = tool["function"]
    measure_schema(function.get("parameters") or {}, param=param)
    parameters = effective_schema(function.get("parameters") or {}, strict=bool(function.get("strict")))
    check_schema(parameters, param=param)
    return {**tool, "function": {**function, "parameters": parameters}}
