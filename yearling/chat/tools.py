"""Tools for models that only know text: their description in the prompt, and calls found in what the model writes.

The form is the one most open models were trained on: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`. A call that the
client demands is not left to the model's good will: `call_schema` says what the whole output must look like, and the engine
enforces it. Knows nothing of engines, and never runs a tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from yearling.json_schemas import schema_violation

TOOL_CALL_OPEN = "<tool_call>"
TOOL_CALL_CLOSE = "</tool_call>"
FORCED_CALL_MARK = "yearling:tool_call"
"""`$comment` of the schema of a forced call, by which a stored sample tells what its output is."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model wants called. `arguments` is JSON text, as the client's own parser expects it."""

    name: str
    arguments: str


def tool_call_id(sample_id: str, index: int) -> str:
    """Of a call in a sample: a function of both, so that a stored sample yields the ids that its client was told."""
    return f"call_{sample_id.replace('-', '')}{index}"


def tool_name(tool: dict[str, Any]) -> str:
    return str(tool["function"]["name"])


# Into the prompt


def describe_tools(tools: Sequence[dict[str, Any]], *, forced_tool: str | None = None) -> str:
    """The tools as a part of the system message. `only` names the function that must be called."""
    signatures = "\n".join(json.dumps(_signature(tool), ensure_ascii=False) for tool in tools)
    must = f"\n\nCall the function {forced_tool} now." if forced_tool else ""
    return (
        "# Tools\n\nYou may call functions to help with what the user asks. Their signatures stand within <tools></tools>:\n"
        f"<tools>\n{signatures}\n</tools>\n\n"
        f"To call a function, return a JSON object with its name and arguments within {TOOL_CALL_OPEN}{TOOL_CALL_CLOSE}:\n"
        f'{TOOL_CALL_OPEN}\n{{"name": <function-name>, "arguments": <object>}}\n{TOOL_CALL_CLOSE}\n'
        f"When no function helps, answer in plain words.{must}"
    )


def _signature(tool: dict[str, Any]) -> dict[str, Any]:
    function = {name: value for name, value in tool["function"].items() if name in ("name", "description", "parameters")}
    return {"type": "function", "function": function}


def tool_messages_as_text(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Past calls and their results in words, for templates that know no tools."""
    return [_call_as_text(message) if message.get("tool_calls") else _result_as_text(message) for message in messages]


def _call_as_text(message: dict[str, Any]) -> dict[str, Any]:
    calls = [format_tool_call(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]
    content = "\n".join([*([message["content"]] if message.get("content") else []), *calls])
    return {"role": message["role"], "content": content}


def _result_as_text(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}


def with_object_arguments(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Past calls with their arguments as objects, which is what chat templates expect; clients send them as JSON text."""
    changed = []
    for message in messages:
        if message.get("tool_calls"):
            calls = [
                {**call, "function": {**call["function"], "arguments": _parse_arguments(call["function"]["arguments"])}}
                for call in message["tool_calls"]
            ]
            message = {**message, "tool_calls": calls}
        changed.append(message)
    return changed


def format_tool_call(name: str, arguments: str) -> str:
    """A call as models write it. Arguments that are no JSON stay text: the history is shown to the model as it happened."""
    return f"{TOOL_CALL_OPEN}\n{json.dumps({'name': name, 'arguments': _parse_arguments(arguments)}, ensure_ascii=False)}\n{TOOL_CALL_CLOSE}"


def _parse_arguments(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


# Forced calls


def forced_call_schema(tools: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A JSON schema of one call of one of the tools. The parameters' own references keep their meaning at their new place."""
    calls, definitions = [], {}
    for index, tool in enumerate(tools):
        place = f"f{index}"
        parameters = _rebase_references(
            tool["function"].get("parameters") or {"type": "object", "properties": {}}, f"#/$defs/{place}"
        )
        if _has_reference(parameters):
            definitions[place] = parameters
            parameters = {"$ref": f"#/$defs/{place}"}
        properties = {"name": {"const": tool_name(tool)}, "arguments": parameters}
        calls.append(
            {"type": "object", "properties": properties, "required": ["name", "arguments"], "additionalProperties": False}
        )
    schema: dict[str, Any] = {"$comment": FORCED_CALL_MARK, **(calls[0] if len(calls) == 1 else {"anyOf": calls})}
    if definitions:
        schema["$defs"] = definitions
    return schema


def _rebase_references(schema: Any, place: str) -> Any:
    """The schema with every reference into itself rewritten for the place where it now stands."""
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


def _has_reference(schema: Any) -> bool:
    if isinstance(schema, dict):
        return isinstance(schema.get("$ref"), str) or any(map(_has_reference, schema.values()))
    return isinstance(schema, list) and any(map(_has_reference, schema))


def parse_forced_call(text: str) -> ToolCall | None:
    """The call that a constrained output is; of one that was cut by its length, name and arguments as far as they go."""
    try:
        call = json.loads(text)
        return ToolCall(call["name"], json.dumps(call["arguments"], ensure_ascii=False))
    except ValueError:
        cut = re.match(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(.*)', text, re.DOTALL)
        return ToolCall(json.loads(cut[1]), cut[2]) if cut else None


# Calls that the model chose to make


class ToolCallParser:
    """Tells calls from words in a text that comes in pieces.

    What looks like a call but is none (no JSON, an unknown name, arguments that a strict function refuses) is passed on as words:
    nothing vanishes. `ended` becomes true with the first word after a call, or with the first call where only one is allowed.
    """

    def __init__(self, tools: Sequence[dict[str, Any]], *, parallel: bool = True) -> None:
        self._tools = {tool_name(tool): tool["function"] for tool in tools}
        self._parallel = parallel
        self._buffer = ""
        self._inside_call = False
        self.num_calls = 0
        self.ended = False

    def push(self, text: str) -> Iterator[str | ToolCall]:
        self._buffer += text
        while not self.ended:
            if self._inside_call:
                body, found, rest = self._buffer.partition(TOOL_CALL_CLOSE)
                if not found:
                    return
                self._inside_call, self._buffer = False, rest
                yield from self._end_call(body, found)
                continue
            words, found, rest = self._buffer.partition(TOOL_CALL_OPEN)
            if found:
                self._inside_call, self._buffer = True, rest
            else:
                kept = _partial_mark_length(self._buffer, TOOL_CALL_OPEN)
                words, self._buffer = self._buffer[: len(self._buffer) - kept], self._buffer[len(self._buffer) - kept :]
            yield from self._emit_text(words)
            if not found:
                return

    def flush(self) -> Iterator[str | ToolCall]:
        """What is left at the end of the text. Models often end their turn without closing the last call."""
        held, self._buffer = self._buffer, ""
        if self.ended:
            return
        if self._inside_call:
            self._inside_call = False
            yield from self._end_call(held, "")
        else:
            yield from self._emit_text(held)

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
        found = []
        for one in parsed if isinstance(parsed, list) else [parsed]:
            call = self._parse_call(one)
            if call is None:
                return []
            found.append(call)
        return found

    def _parse_call(self, one: Any) -> ToolCall | None:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or one["name"] not in self._tools:
            return None
        arguments = one.get("arguments", one.get("parameters", {}))
        if not isinstance(arguments, dict):
            return None
        function = self._tools[one["name"]]
        if function.get("strict") and schema_violation(arguments, function.get("parameters") or {}):
            return None
        return ToolCall(one["name"], json.dumps(arguments, ensure_ascii=False))


def _partial_mark_length(text: str, mark: str) -> int:
    """Length of the longest end of the text that begins the mark."""
    return next((length for length in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-length:])), 0)
