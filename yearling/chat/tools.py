"""Tool calls as text: describes tools in the prompt, and parses calls from the output of a model.

The form is the one that most open models were trained on: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`. A call that
the client requires is enforced: `forced_call_schema` describes the whole output, and the engine's grammar applies it. Independent
of engines; never runs a tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from yearling.chat.json_types import MessageDict, SchemaDict, ToolDict
from yearling.json_schemas import schema_violation

TOOL_CALL_OPEN = "<tool_call>"
TOOL_CALL_CLOSE = "</tool_call>"
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


# Tools in the prompt


def describe_tools(tools: Sequence[ToolDict], *, forced_tool: str | None = None) -> str:
    """The tools as a part of the system message. `forced_tool` names the function that must be called."""
    signatures = "\n".join(json.dumps(_signature(tool), ensure_ascii=False) for tool in tools)
    instruction = f"\n\nCall the function {forced_tool} now." if forced_tool else ""
    return (
        "# Tools\n\nYou may call functions to help with what the user asks. Their signatures stand within <tools></tools>:\n"
        f"<tools>\n{signatures}\n</tools>\n\n"
        f"To call a function, return a JSON object with its name and arguments within {TOOL_CALL_OPEN}{TOOL_CALL_CLOSE}:\n"
        f'{TOOL_CALL_OPEN}\n{{"name": <function-name>, "arguments": <object>}}\n{TOOL_CALL_CLOSE}\n'
        f"When no function helps, answer in plain words.{instruction}"
    )


def _signature(tool: ToolDict) -> ToolDict:
    function = {name: value for name, value in tool["function"].items() if name in ("name", "description", "parameters")}
    return {"type": "function", "function": function}


def tool_messages_as_text(messages: Sequence[MessageDict]) -> list[MessageDict]:
    """The messages with past calls and their results as text, for templates without tool support."""
    return [_call_as_text(message) if message.get("tool_calls") else _result_as_text(message) for message in messages]


def _call_as_text(message: MessageDict) -> MessageDict:
    calls = [format_tool_call(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]
    content = "\n".join([*([message["content"]] if message.get("content") else []), *calls])
    return {"role": message["role"], "content": content}


def _result_as_text(message: MessageDict) -> MessageDict:
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}


def with_object_arguments(messages: Sequence[MessageDict]) -> list[MessageDict]:
    """The messages with arguments of past calls as objects, as chat templates expect them. Clients send JSON text."""
    converted = []
    for message in messages:
        if message.get("tool_calls"):
            calls = [
                {**call, "function": {**call["function"], "arguments": _parse_arguments(call["function"]["arguments"])}}
                for call in message["tool_calls"]
            ]
            message = {**message, "tool_calls": calls}
        converted.append(message)
    return converted


def format_tool_call(name: str, arguments: str) -> str:
    """A call as models write it. Arguments that are not JSON stay text, so that the model sees the history as it happened."""
    call = json.dumps({"name": name, "arguments": _parse_arguments(arguments)}, ensure_ascii=False)
    return f"{TOOL_CALL_OPEN}\n{call}\n{TOOL_CALL_CLOSE}"


def _parse_arguments(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


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


def parse_forced_call(text: str) -> ToolCall | None:
    """The call in a grammar-constrained output. If the output was cut by its length, the arguments are cut as well."""
    try:
        call = json.loads(text)
        return ToolCall(call["name"], json.dumps(call["arguments"], ensure_ascii=False))
    except ValueError:
        match = re.match(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(.*)', text, re.DOTALL)
        return ToolCall(json.loads(match[1]), match[2]) if match else None


# Calls that the model chose to make


class ToolCallParser:
    """Separates tool calls from text in an output that arrives in pieces.

    An invalid call (no JSON, an unknown name, arguments that a strict function rejects) is passed on as text, so that nothing is
    lost. `ended` becomes true with the first text after a call, or with the first call if `parallel` is false.
    """

    def __init__(self, tools: Sequence[ToolDict], *, parallel: bool = True) -> None:
        self._tools = {tool_name(tool): tool["function"] for tool in tools}
        self._without_arguments = {tool_name(tool) for tool in tools if takes_no_arguments(tool)}
        self._parallel = parallel
        self._buffer = ""
        self._inside_call = False
        self.num_calls = 0
        self.ended = False

    def push(self, text: str) -> Iterator[str | ToolCall]:
        """Take the next piece of output; yield the text and the calls that are complete."""
        self._buffer += text
        while not self.ended:
            if self._inside_call:
                body, close_mark, rest = self._buffer.partition(TOOL_CALL_CLOSE)
                if not close_mark:
                    return
                self._inside_call, self._buffer = False, rest
                yield from self._end_call(body, close_mark)
                continue
            plain_text, open_mark, rest = self._buffer.partition(TOOL_CALL_OPEN)
            if open_mark:
                self._inside_call, self._buffer = True, rest
            else:
                end = len(self._buffer) - _partial_mark_length(self._buffer, TOOL_CALL_OPEN)
                plain_text, self._buffer = self._buffer[:end], self._buffer[end:]
            yield from self._emit_text(plain_text)
            if not open_mark:
                return

    def flush(self) -> Iterator[str | ToolCall]:
        """Yield what is left at the end of the output. Models often end their turn without closing the last call."""
        remaining, self._buffer = self._buffer, ""
        if self.ended:
            return
        if self._inside_call:
            self._inside_call = False
            yield from self._end_call(remaining, "")
        else:
            yield from self._emit_text(remaining)

    def _emit_text(self, text: str) -> Iterator[str]:
        if not self.num_calls:
            if text:
                yield text
        elif text.strip():
            self.ended = True

    def _end_call(self, body: str, close: str) -> Iterator[str | ToolCall]:
        calls = self._parse_calls(body)
        if not calls:
            yield from self._emit_text(f"{TOOL_CALL_OPEN}{body}{close}")
        for call in calls[: None if self._parallel else 1]:
            self.num_calls += 1
            self.ended = not self._parallel
            yield call

    def _parse_calls(self, body: str) -> list[ToolCall]:
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return []
        calls = []
        for item in parsed if isinstance(parsed, list) else [parsed]:
            call = self._parse_call(item)
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


def _partial_mark_length(text: str, mark: str) -> int:
    """Length of the longest suffix of the text that is a proper prefix of the mark."""
    return next((length for length in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-length:])), 0)
