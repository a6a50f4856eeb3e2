"""Tools and their calls as text in messages, for chat templates that describe neither in a form that `tool_calls.py` reads.

The form is the one that most open models were trained on: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`. Independent
of templates; never runs a tool.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from yearling.inference.messages.strict_json import read_json
from yearling.inference.messages.tool_calls import TOOL_CALL_CLOSE, TOOL_CALL_OPEN


def describe_tools(tools: Sequence[Mapping[str, Any]], *, forced_tool: str | None = None) -> str:
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


def _signature(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {name: value for name, value in tool["function"].items() if name in ("name", "description", "parameters")}
    return {"type": "function", "function": function}


def tool_messages_as_text(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with past calls and their results as text, for templates without tool support."""
    return [_call_as_text(message) if message.get("tool_calls") else _result_as_text(message) for message in messages]


def _call_as_text(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = [format_tool_call(call["function"]["name"], call["function"]["arguments"]) for call in message["tool_calls"]]
    content = "\n".join([*([message["content"]] if message.get("content") else []), *calls])
    return {"role": message["role"], "content": content}


def _result_as_text(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}


def with_object_arguments(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with arguments of past calls as objects, as chat templates expect them. Clients send JSON text.

    Nothing (empty or `null`) becomes `{}`. What is no object (a list, a cut text) becomes `{"invalid_arguments": ...}`, so that
    every template can write it and the model sees what it wrote.
    """
    converted = []
    for message in messages:
        if message.get("tool_calls"):
            calls = [
                {**call, "function": {**call["function"], "arguments": _as_object(call["function"].get("arguments"))}}
                for call in message["tool_calls"]
            ]
            message = {**message, "tool_calls": calls}
        converted.append(message)
    return converted


CallIds = Literal["short", "function"]


def with_call_ids(messages: Sequence[dict[str, Any]], form: CallIds) -> list[dict[str, Any]]:
    """The messages with new ids of calls: nine letters and digits (`short`), or the function and a number (`function`).

    Templates refuse other ids, or show them to the model. The new ones depend on nothing but the order of the calls.
    """
    new_ids: dict[object, str] = {}
    changed = []
    count = 0
    for message in messages:
        if message.get("tool_calls"):
            calls = []
            for call in message["tool_calls"]:
                new_id = f"call{count:05}" if form == "short" else f"functions.{call['function']['name']}:{count}"
                new_ids[call.get("id")] = new_id
                calls.append({**call, "id": new_id})
                count += 1
            message = {**message, "tool_calls": calls}
        elif message["role"] == "tool":
            message = {**message, "tool_call_id": new_ids.get(message.get("tool_call_id"), f"call{count:05}")}
        changed.append(message)
    return changed


def format_tool_call(name: str, arguments: str) -> str:
    """A call as models write it. Arguments that are not JSON stay text, so that the model sees the history as it happened."""
    call = json.dumps({"name": name, "arguments": _parse_arguments(arguments)}, ensure_ascii=False)
    return f"{TOOL_CALL_OPEN}\n{call}\n{TOOL_CALL_CLOSE}"


def _as_object(arguments: object) -> dict[str, Any]:
    value = _parse_arguments(arguments)
    if isinstance(value, dict):
        return value
    return {} if value is None or value == "" else {"invalid_arguments": value}


def _parse_arguments(arguments: object) -> Any:
    """The arguments of a past call as JSON values; text that is not JSON stays text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return read_json(arguments)
    except ValueError:
        return arguments.strip() and arguments
