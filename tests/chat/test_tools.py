"""Tool calls in text: found however the text is split, never invented, never lost."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat.helpers import ADD, CALL
from yearling.chat.tools import (
    ToolCall,
    ToolCallParser,
    forced_call_schema,
    parse_forced_call,
    tool_call_id,
)
from yearling.inference import describe_tools, tool_messages_as_text, with_object_arguments


def parse(*pieces: str, tools: tuple[dict[str, Any], ...] = (ADD,), parallel: bool = True) -> tuple[str, list[ToolCall], bool]:
    """(text, calls, whether the parser has ended) of an output in pieces."""
    parser = ToolCallParser(tools, parallel=parallel)
    outputs = [output for piece in pieces for output in parser.push(piece)] + list(parser.flush())
    return (
        "".join(output for output in outputs if isinstance(output, str)),
        [output for output in outputs if isinstance(output, ToolCall)],
        parser.ended,
    )


@given(st.lists(st.integers(1, 12), max_size=40))
def test_calls_are_found_however_the_text_is_split(widths: list[int]) -> None:
    text, pieces = f"Let me see. {CALL}\n{CALL}", []
    for width in widths:
        pieces.append(text[:width])
        text = text[width:]
    plain_text, calls, _ = parse(*pieces, text)
    assert plain_text == "Let me see. "
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("add", {"a": 1, "b": 2})] * 2


@pytest.mark.parametrize(
    "text",
    [
        "a < b and <tool is no call",
        "<tool_call>not json</tool_call>",
        '<tool_call>{"name": "subtract", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": "a"}</tool_call>',
        '<tool_call>{"name": ["add"], "arguments": {}}</tool_call>',
        "<tool_call>" + "[" * 100_000 + "</tool_call>",
        "ends with <tool_cal",
    ],
)
def test_invalid_calls_stay_text(text: str) -> None:
    assert parse(text)[:2] == (text, [])


def test_unclosed_call_is_parsed_at_the_end() -> None:
    assert len(parse(CALL.removesuffix("</tool_call>"))[1]) == 1


def test_only_one_call_without_parallel_calls() -> None:
    for text in (CALL * 2, '<tool_call>[{"name": "add", "arguments": {}}, {"name": "add", "arguments": {}}]</tool_call>'):
        _, calls, ended = parse(text, parallel=False)
        assert len(calls) == 1
        assert ended


def test_text_after_a_call_ends_the_turn() -> None:
    plain_text, calls, ended = parse(CALL, "\n", "<tool_response>3</tool_response>")
    assert (plain_text, len(calls), ended) == ("", 1, True)


def test_strict_function_rejects_invalid_arguments() -> None:
    strict = {"type": "function", "function": {**ADD["function"], "strict": True}}
    invalid = CALL.replace('"b": 2', '"b": "two"')
    assert parse(invalid, tools=(strict,))[:2] == (invalid, [])
    assert len(parse(invalid)[1]) == 1
    assert len(parse(CALL, tools=(strict,))[1]) == 1


def test_forced_call_schema_checks_the_parameters_of_the_called_function() -> None:
    tree = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}}},
    }
    plant = {"type": "function", "function": {"name": "plant", "parameters": tree}}
    schema = forced_call_schema([ADD, plant])
    jsonschema.Draft202012Validator.check_schema(schema)
    is_valid = jsonschema.Draft202012Validator(schema).is_valid
    assert is_valid({"name": "add", "arguments": {"a": 1, "b": 2}})
    assert is_valid({"name": "plant", "arguments": {"root": {"next": {"next": {"v": 1}}}}})
    assert not is_valid({"name": "plant", "arguments": {"root": {"next": {"next": {"v": "one"}}}}})
    assert not is_valid({"name": "plant", "arguments": {"a": 1, "b": 2}})
    assert not is_valid({"name": "other", "arguments": {}})


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('{"name": "add", "arguments": {"a": 1}}', "add", '{"a": 1}'),
        ('{"name": "add", "arguments": {"a": 1, "b', "add", '{"a": 1, "b'),
        ('{"name": "a\\"b", "arguments": {', 'a"b', "{"),
        ('{"name": "add", "arguments": {"a": 1e999}}', "add", '{"a": 1e999}'),
    ],
)
def test_cut_forced_call_keeps_partial_arguments(text: str, name: str, arguments: str) -> None:
    call = parse_forced_call(text)
    assert call is not None
    assert (call.name, call.arguments) == (name, arguments)


def test_forced_call_cut_before_its_arguments_is_none() -> None:
    assert parse_forced_call('{"name": "ad') is None


def test_tool_history_renders_in_the_form_that_models_write() -> None:
    call: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    history: list[dict[str, Any]] = [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "3"},
    ]
    text_messages = tool_messages_as_text(history)
    assert [message["role"] for message in text_messages] == ["assistant", "user"]
    assert parse(text_messages[0]["content"])[1] == [ToolCall("add", '{"a": 1, "b": 2}')]
    assert "3" in text_messages[1]["content"]
    assert with_object_arguments(history)[0]["tool_calls"][0]["function"]["arguments"] == {"a": 1, "b": 2}
    assert call["function"]["arguments"] == '{"a": 1, "b": 2}', "the request itself is not changed"


def test_tool_description_contains_signature_and_forced_function() -> None:
    text = describe_tools([ADD], forced_tool="add")
    assert '"name": "add"' in text
    assert "Add two numbers." in text
    assert "Call the function add" in text
    assert "Call the function" not in describe_tools([ADD])


def test_call_ids_depend_on_the_sample_only() -> None:
    assert tool_call_id("ab-cd", 0) == tool_call_id("ab-cd", 0) != tool_call_id("ab-cd", 1)
