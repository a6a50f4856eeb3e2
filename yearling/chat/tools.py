"""Tool calls of a turn: calls that the model chooses to make, and calls that the client requires.

A call that the model chooses is found in its output by the marks that models write (`inference.ToolCallScanner`) and checked
against the tools that the client offers. A call that the client requires is enforced: `forced_call_schema` describes the whole
output, and the engine's grammar applies it. Independent of engines; never runs a tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from yearling.chat.json_types import SchemaDict, ToolDict
from yearling.inference import CallBlock, ToolCallScanner, is_stray_delimiter, read_json
from yearling.json_schemas import schema_violation

FORCED_CALL_MARK = "yearling:tool_call"
"""`$comment` in the schema of a forced call. It tells the reader of a stored sample that the output is a tool call."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model makes. `arguments` is JSON text, as clients expect it."""

    name: str
    arguments: str


def tool_call_id(sample_id: str, index: int) -> str:
    """The id of a call in a sample. A stored sample therefore yields the same ids that its client received."""
    return f"call_{sample_id.replace('-', '')}{index}"


def tool_name(tool: ToolDict) -> str:
    """The function's name of a tool in OpenAI's form."""
    return str(tool["function"]["name"])


# Forced calls


NO_ARGUMENTS: SchemaDict = {"type": "object", "properties": {}, "additionalProperties": False}


def takes_no_arguments(tool: ToolDict) -> bool:
    """Whether a tool describes no arguments, so that every call of it has the arguments `{}`."""
    parameters = tool["function"].get("parameters") or {}
    return (
        parameters.get("type", "object") == "object"
        and not any(parameters.get(keyword) for keyword in ("properties", "additionalProperties", "required"))
        and parameters.keys() <= {"type", "properties", "additionalProperties", "required", "title", "description", "$schema"}
    )


def forced_call_schema(tools: Sequence[ToolDict]) -> SchemaDict:
    """A JSON schema that exactly one call of one of the tools satisfies. References inside the parameters are rewritten."""
    calls, definitions = [], {}
    for index, tool in enumerate(tools):
        place = f"f{index}"
        parameters = NO_ARGUMENTS
        if not takes_no_arguments(tool):
            parameters = _rebase_references(tool["function"]["parameters"], f"#/$defs/{place}")
        if _has_reference(parameters):
            definitions[place] = parameters
            parameters = {"$ref": f"#/$defs/{place}"}
        properties = {"name": {"const": tool_name(tool)}, "arguments": parameters}
        calls.append(
            {"type": "object", "properties": properties, "required": ["name", "arguments"], "additionalProperties": False}
        )
    schema: SchemaDict = {"$comment": FORCED_CALL_MARK, **(calls[0] if len(calls) == 1 else {"anyOf": calls})}
    if definitions:
        schema["$defs"] = definitions
    return schema


def named_call_schema(tool: ToolDict) -> SchemaDict:
    """A JSON schema that the arguments of a call of this tool satisfy, for an output whose prompt names the function."""
    parameters = NO_ARGUMENTS if takes_no_arguments(tool) else tool["function"]["parameters"]
    return {**parameters, "$comment": f"{FORCED_CALL_MARK} {tool_name(tool)}"}


def called_name(grammar: str) -> str:
    """The function that the prompt of an output names, from the schema that the output followed; empty if none."""
    match = re.search(rf'"{FORCED_CALL_MARK} ([^"\\]+)"', grammar)
    return match[1] if match else ""


def _rebase_references(schema: Any, place: str) -> Any:
    """The schema with its internal references rewritten for its new place inside a larger schema."""
    if isinstance(schema, list):
        return [_rebase_references(item, place) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"{place}{value[1:]}"
        if key == "$ref" and isinstance(value, str) and value.startswith("#")
        else _rebase_references(value, place)
        for key, value in schema.items()
    }


def _has_reference(schema: object) -> bool:
    if isinstance(schema, dict):
        return isinstance(schema.get("$ref"), str) or any(map(_has_reference, schema.values()))
    return isinstance(schema, list) and any(map(_has_reference, schema))


def parse_forced_call(text: str, *, name: str = "") -> ToolCall | None:
    """The call in a grammar-constrained output. If the output was cut by its length, the arguments are cut as well.

    `name`: the function that the prompt names, so that the output holds the arguments only.
    """
    if name:
        with suppress(ValueError):
            return ToolCall(name, json.dumps(read_json(text), ensure_ascii=False))
        return ToolCall(name, text)
    try:
        call = read_json(text)
        return ToolCall(call["name"], json.dumps(call["arguments"], ensure_ascii=False))
    except ValueError:
        match = re.match(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(.*)', text, re.DOTALL)
        if match is None:
            return None
        arguments = match[2]
        with suppress(ValueError, RecursionError):
            json.loads(text)  # complete: only a number is too large for a float, which the client may read as it likes
            arguments = arguments.rstrip().removesuffix("}").rstrip()
        return ToolCall(json.loads(match[1]), arguments)


# Calls that the model chose to make


class ToolCallParser:
    """Separates tool calls from text in an output that arrives in pieces.

    An invalid call (unreadable, an unknown name, arguments that a strict function rejects) is passed on as text, so that nothing
    is lost. `ended` becomes true with the first text after a call, or with the first call if `parallel` is false.
    """

    def __init__(self, tools: Sequence[ToolDict], *, parallel: bool = True) -> None:
        self._tools = {tool_name(tool): tool["function"] for tool in tools}
        self._without_arguments = {tool_name(tool) for tool in tools if takes_no_arguments(tool)}
        self._parallel = parallel
        self._scanner = ToolCallScanner()
        self.num_calls = 0
        self.ended = False

    def push(self, text: str) -> Iterator[str | ToolCall]:
        """Take the next piece of output; yield the text and the calls that are complete."""
        yield from self._read(self._scanner.push(text))

    def flush(self) -> Iterator[str | ToolCall]:
        """Yield what is left at the end of the output. Models often end their turn without closing the last call."""
        yield from self._read(self._scanner.flush())

    def _read(self, outputs: Iterator[str | CallBlock]) -> Iterator[str | ToolCall]:
        for output in outputs:
            if self.ended:
                return
            if isinstance(output, str):
                yield from self._emit_text(output)
            else:
                yield from self._end_call(output)

    def _emit_text(self, text: str) -> Iterator[str]:
        if not self.num_calls:
            if text:
                yield text
        elif not is_stray_delimiter(text):
            self.ended = True

    def _end_call(self, block: CallBlock) -> Iterator[str | ToolCall]:
        calls = self._parse_calls(block)
        if not calls:
            yield from self._emit_text(block.raw)
        for call in calls[: None if self._parallel else 1]:
            self.num_calls += 1
            self.ended = not self._parallel
            yield call

    def _parse_calls(self, block: CallBlock) -> list[ToolCall]:
        calls = []
        for written in block.calls:
            parameters = self._tools.get(written.name, {}).get("parameters") or {}
            call = self._parse_call({"name": written.name, "arguments": written.typed_arguments(parameters)})
            if call is None:
                return []
            calls.append(call)
        return calls

    def _parse_call(self, value: object) -> ToolCall | None:
        if not isinstance(value, dict) or not isinstance(value.get("name"), str) or value["name"] not in self._tools:
            return None
        arguments = value.get("arguments", value.get("parameters", {}))
        if not isinstance(arguments, dict):
            return None
        if value["name"] in self._without_arguments:
            arguments = {}
        function = self._tools[value["name"]]
        if function.get("strict") and schema_violation(arguments, function.get("parameters") or {}):
            return None
        return ToolCall(value["name"], json.dumps(arguments, ensure_ascii=False))
