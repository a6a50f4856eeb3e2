"""Tool calls in text: found however the text is cut, never invented, never lost."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat.helpers import ADD, CALL
from yearling.chat.tools import (
    ToolCall,
    ToolCallParser,
    describe_tools,
    forced_call_schema,
    parse_forced_call,
    tool_call_id,
    tool_messages_as_text,
    with_object_arguments,
)


def parsed(
    *pieces: str, tools: tuple[dict[str, object], ...] = (ADD,), parallel: bool = True
) -> tuple[str, list[ToolCall], bool]:
    parser = ToolCallParser(tools, parallel=parallel)
    found = [one for piece in pieces for one in parser.push(piece)] + list(parser.flush())
    return (
        "".join(one for one in found if isinstance(one, str)),
        [one for one in found if isinstance(one, ToolCall)],
        parser.ended,
    )


@given(st.lists(st.integers(1, 12), max_size=40))
def test_a_call_is_found_however_the_text_is_cut(widths: list[int]) -> None:
    text, pieces = f"Let me see. {CALL}\n{CALL}", []
    for width in widths:
        pieces.append(text[:width])
        text = text[width:]
    words, calls, _ = parsed(*pieces, text)
    assert words == "Let me see. "
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
def test_what_is_no_call_stays_text(text: str) -> None:
    assert parsed(text)[:2] == (text, [])


def test_a_call_that_is_not_closed_counts_at_the_end() -> None:
    assert len(parsed(CALL.removesuffix("</tool_call>"))[1]) == 1


def test_one_call_only_where_parallel_calls_are_off() -> None:
    for text in (CALL * 2, '<tool_call>[{"name": "add", "arguments": {}}, {"name": "add", "arguments": {}}]</tool_call>'):
        _, calls, ended = parsed(text, parallel=False)
        assert len(calls) == 1
        assert ended


def test_words_after_a_call_end_the_turn() -> None:
    words, calls, ended = parsed(CALL, "\n", "<tool_response>3</tool_response>")
    assert (words, len(calls), ended) == ("", 1, True)


def test_a_strict_function_gets_only_arguments_that_fit() -> None:
    strict = {"type": "function", "function": {**ADD["function"], "strict": True}}  # type: ignore[dict-item]
    wrong = CALL.replace('"b": 2', '"b": "two"')
    assert parsed(wrong, tools=(strict,))[:2] == (wrong, [])
    assert len(parsed(wrong)[1]) == 1
    assert len(parsed(CALL, tools=(strict,))[1]) == 1


def test_forced_calls_satisfy_the_parameters_of_their_own_function() -> None:
    tree = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "v": {"type": "integer"}}}},
    }
    plant = {"type": "function", "function": {"name": "plant", "parameters": tree}}
    schema = forced_call_schema([ADD, plant])
    jsonschema.Draft202012Validator.check_schema(schema)
    fits = jsonschema.Draft202012Validator(schema).is_valid
    assert fits({"name": "add", "arguments": {"a": 1, "b": 2}})
    assert fits({"name": "plant", "arguments": {"root": {"next": {"next": {"v": 1}}}}})
    assert not fits({"name": "plant", "arguments": {"root": {"next": {"next": {"v": "one"}}}}})
    assert not fits({"name": "plant", "arguments": {"a": 1, "b": 2}})
    assert not fits({"name": "other", "arguments": {}})


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ('{"name": "add", "arguments": {"a": 1}}', "add", '{"a": 1}'),
        ('{"name": "add", "arguments": {"a": 1, "b', "add", '{"a": 1, "b'),
        ('{"name": "a\\"b", "arguments": {', 'a"b', "{"),
    ],
)
def test_a_forced_call_is_told_as_far_as_it_goes(text: str, name: str, arguments: str) -> None:
    call = parse_forced_call(text)
    assert call is not None
    assert (call.name, call.arguments) == (name, arguments)


def test_a_forced_call_cut_before_its_arguments_is_none() -> None:
    assert parse_forced_call('{"name": "ad') is None


def test_the_history_reads_as_the_model_wrote_it() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    history = [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "3"},
    ]
    flat = tool_messages_as_text(history)
    assert [message["role"] for message in flat] == ["assistant", "user"]
    assert parsed(flat[0]["content"])[1] == [ToolCall("add", '{"a": 1, "b": 2}')]
    assert "3" in flat[1]["content"]
    assert with_object_arguments(history)[0]["tool_calls"][0]["function"]["arguments"] == {"a": 1, "b": 2}
    assert call["function"]["arguments"] == '{"a": 1, "b": 2}', "the request itself is left alone"


def test_the_description_names_function_and_form() -> None:
    text = describe_tools([ADD], forced_tool="add")
    assert '"name": "add"' in text
    assert "Add two numbers." in text
    assert "Call the function add" in text
    assert "Call the function" not in describe_tools([ADD])


def test_call_ids_are_a_function_of_the_sample() -> None:
    assert tool_call_id("ab-cd", 0) == tool_call_id("ab-cd", 0) != tool_call_id("ab-cd", 1)
