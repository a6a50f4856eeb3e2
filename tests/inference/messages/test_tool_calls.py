"""Calls in the forms that models write: found however the output is split, never cut by what a string contains, never lost."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yearling.inference.messages import tool_calls
from yearling.inference.messages.strict_json import read_json
from yearling.inference.messages.tool_calls import CallBlock, ToolCallScanner, parse_tool_calls, read_calls
from yearling.models.tokenizer import WRITTEN_MARKS

PARAMETERS = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "count": {"type": "integer"},
        "flag": {"type": "boolean"},
        "items": {"type": "array"},
        "maybe": {"type": ["string", "null"]},
        "either": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    },
}
TAGS = "<function=f>\n<parameter=code>\nx\n</parameter>\n<parameter=count>\n2\n</parameter>\n</function>"
FORMS = {
    "json": '<tool_call>\n{"name": "f", "arguments": {"code": "x", "count": 2}}\n</tool_call>',
    "list": '<TOOLCALL>[{"name": "f", "arguments": {"code": "x", "count": 2}}]</TOOLCALL>',
    "lines": '<tool_calls>\n{"name": "f", "arguments": {"code": "x", "count": 2}}\n</tool_calls>',
    "tags": f"<tool_call>\n{TAGS}\n</tool_call>",
    "bare tags": TAGS,
    "seed": f"<seed:tool_call>\n{TAGS}\n</seed:tool_call>",
    "invoke": '<minimax:tool_call>\n<invoke name="f">\n<parameter name="code">x</parameter>\n<parameter name="count">2'
    "</parameter>\n</invoke>\n</minimax:tool_call>",
    "pairs": "<tool_call>f\n<arg_key>code</arg_key>\n<arg_value>x</arg_value>\n<arg_key>count</arg_key>\n<arg_value>2"
    "</arg_value>\n</tool_call>",
    "pairs in one line": "<tool_call>f<arg_key>code</arg_key><arg_value>x</arg_value><arg_key>count</arg_key><arg_value>2"
    "</arg_value></tool_call>",
    "json in tags": '<function=f>{"code": "x", "count": 2}</function>',
    "Mistral, a list": '[TOOL_CALLS][{"name": "f", "arguments": {"code": "x", "count": 2}, "id": "call00000"}]',
    "Mistral, names": '[TOOL_CALLS]f[ARGS]{"code": "x", "count": 2}',
    "Mistral, ids": '[TOOL_CALLS]f[CALL_ID]call00000[ARGS]{"code": "x", "count": 2}',
    "Kimi": '<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"code": "x", "count": 2}'
    "<|tool_call_end|><|tool_calls_section_end|>",
    "DeepSeek R1": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n"
    '{"code": "x", "count": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    "DeepSeek V3.1": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{"code": "x", "count": 2}<｜tool▁call▁end｜>'
    "<｜tool▁calls▁end｜>",
    "gpt-oss": '<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{"code": "x", "count": 2}<|call|>',
    "param": '<function name="f"><param name="code"><![CDATA[x]]></param><param name="count">2</param></function>',
}


def scan(*pieces: str) -> tuple[str, list[tuple[str, Any]]]:
    """(the text, the calls with their arguments) of an output in pieces."""
    scanner = ToolCallScanner()
    outputs = [output for piece in pieces for output in scanner.push(piece)] + list(scanner.flush())
    text = "".join(output if isinstance(output, str) else "" if output.calls else output.raw for output in outputs)
    calls = [call for output in outputs if isinstance(output, CallBlock) for call in output.calls]
    return text, [(call.name, call.typed_arguments(PARAMETERS)) for call in calls]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(max_examples=30)
@given(widths=st.lists(st.integers(1, 9), max_size=60))
def test_every_form_is_read_however_the_output_is_split(form: str, widths: list[int]) -> None:
    text, pieces = f"Let me see. {form}", []
    for width in widths:
        pieces.append(text[:width])
        text = text[width:]
    assert scan(*pieces, text) == ("Let me see. ", [("f", {"code": "x", "count": 2})])


@pytest.mark.parametrize(
    "code",
    [
        "[TOOL_CALLS]g[ARGS]{}",
        "<|tool_calls_section_end|>",
        "<｜tool▁calls▁end｜>",
        "<|call|>",
        "</tool_call>",
        'a "</tool_call>" b',
        "\\",
        '\\"</tool_call>',
        "{",
        "</parameter> and </tool_call> too",
        "<tool_call>",
    ],
)
def test_marks_inside_a_value_do_not_end_the_call(code: str) -> None:
    as_json = f"<tool_call>{json.dumps({'name': 'f', 'arguments': {'code': code}})}</tool_call>"
    tagged = f"<tool_call>\n<function=f>\n<parameter=code>\n{code}\n</parameter>\n</function>\n</tool_call>"
    pairs = f"<tool_call>f\n<arg_key>code</arg_key>\n<arg_value>{code}</arg_value>\n</tool_call>"
    headed = [
        f"{before}{json.dumps({'code': code})}{after}"
        for before, after in (
            ("[TOOL_CALLS]f[ARGS]", ""),
            (
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>",
                "<|tool_call_end|><|tool_calls_section_end|>",
            ),
            ("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>", "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"),
            ("<|start|>assistant to=functions.f<|channel|>commentary json<|message|>", "<|call|>"),
        )
    ]
    for text in (as_json, tagged, pairs, *headed):
        assert scan(text) == ("", [("f", {"code": code})]), text
        assert scan(*text) == ("", [("f", {"code": code})]), text


def test_parallel_calls_and_calls_that_are_not_closed() -> None:
    for form in FORMS.values():
        assert [name for name, _ in scan(f"{form}\n{form}")[1]] == ["f", "f"]
    unclosed = FORMS["tags"].removesuffix("\n</function>\n</tool_call>")
    assert scan(unclosed) == ("", [("f", {"code": "x", "count": 2})])


def test_several_calls_between_two_marks() -> None:
    kimi = "".join(
        f"<|tool_call_begin|>functions.{name}:{number}<|tool_call_argument_begin|>{{}}<|tool_call_end|>"
        for number, name in enumerate("fg")
    )
    assert scan(f"<|tool_calls_section_begin|>{kimi}<|tool_calls_section_end|>") == ("", [("f", {}), ("g", {})])
    assert scan('[TOOL_CALLS][{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}]') == ("", [("f", {}), ("g", {})])
    assert scan("[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[ARGS]{}") == ("", [("f", {}), ("g", {})])


@pytest.mark.parametrize(
    "text",
    [
        "[TOOL_CALLS] is a mark of Mistral's. " + "It begins a call. " * 60,
        "[TOOL_CALLS]",
        "[TOOL_CALLS]f[ARGS]",
        '[TOOL_CALLS]f[ARGS]{"code": "cut',
        "[TOOL_CALLS]f{}",
        "[TOOL_CALLS][1, 2]",
        "[TOOL_CALLS]f[ARGS]{'code': 1}",
        "<|tool_calls_section_begin|>nothing here<|tool_calls_section_end|>",
        "<|tool_calls_section_begin|><|tool_call_begin|>f<|tool_call_argument_begin|>{]<|tool_call_end|><|tool_calls_section_end|>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{} and more<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>code<|call|>",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert scan(text) == scan(*text) == (text, [])


def test_a_quotation_mark_without_its_partner_hides_no_later_call() -> None:
    text, calls = scan('<tool_call>{"name": "f</tool_call> and <tool_call>{"name": "f", "arguments": {}}</tool_call>')
    assert text == '<tool_call>{"name": "f</tool_call> and '
    assert calls == [("f", {})]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ({"flag": "True"}, True),
        ({"flag": "false"}, False),
        ({"count": "2"}, 2),
        ({"code": "2"}, "2"),
        ({"code": "null"}, "null"),
        ({"maybe": "null"}, None),
        ({"maybe": "nothing"}, "nothing"),
        ({"either": "2.5"}, 2.5),
        ({"either": "null"}, None),
        ({"items": '[1, {"a": null}]'}, [1, {"a": None}]),
        ({"count": "many"}, "many"),
        ({"unknown": '{"a": 1}'}, {"a": 1}),
        ({"unknown": "plain words"}, "plain words"),
        ({"count": "1e999"}, "1e999"),
        ({"unknown": "NaN"}, "NaN"),
    ],
)
def test_values_have_the_types_of_the_schema(written: dict[str, str], value: object) -> None:
    [(name, text)] = written.items()
    [(_, arguments)] = scan(f"<tool_call>\n<function=f>\n<parameter={name}>\n{text}\n</parameter>\n</function>\n</tool_call>")[1]
    assert arguments == {name: value}
    assert type(arguments[name]) is type(value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_json_lacks_make_no_call(number: str) -> None:
    text = f'<tool_call>{{"name": "f", "arguments": {{"count": {number}}}}}</tool_call>'
    assert scan(text) == (text, [])
    with pytest.raises(ValueError, match=r"NaN|Infinity|too large"):
        read_json(number)


def test_an_object_written_as_a_string_is_an_object() -> None:
    text = json.dumps({"name": "f", "arguments": json.dumps({"code": "x"})})
    assert scan(f"<tool_call>{text}</tool_call>") == ("", [("f", {"code": "x"})])


def test_a_call_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_calls, "MAX_CALL_CHARS", 100)
    text = f'<tool_call>{{"name": "f", "arguments": {{"code": "{"x" * 200}'
    scanner = ToolCallScanner()
    [block] = scanner.push(text)
    assert isinstance(block, CallBlock)
    assert (block.raw, block.calls) == (text, ())


def test_marks_that_are_control_tokens_have_text() -> None:
    written = " ".join([f"{marks.open} {marks.close}" for marks in tool_calls.TOOL_CALL_DELIMITERS] + list(FORMS.values()))
    marks = set(re.findall(r"\[[A-Z]+(?:_[A-Z]+)*\]|<\|[a-z_]+\|>|<｜tool[^｜]*｜>", written))
    assert len(marks) == 17
    assert marks <= WRITTEN_MARKS


def test_deep_nesting_is_no_call() -> None:
    text = "<tool_call>" + "[" * 100_000 + "</tool_call>"
    assert scan(text) == (text, [])


PIECES = [
    *'<>/={}[]":,\\ \nfx',
    *(
        "<tool_call>",
        "</tool_call>",
        "</function",
        "=param>",
        "[TOOL_CALLS]",
        "[ARGS]",
        "<|call|>",
        "<|start|>assistant to=functions.",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=300).map("".join))
def test_no_output_is_lost(text: str) -> None:
    scanner = ToolCallScanner()
    outputs = [*scanner.push(text), *scanner.flush()]
    assert "".join(output if isinstance(output, str) else output.raw for output in outputs) == text


@pytest.mark.parametrize(
    "piece",
    [
        "<tool_call>" + '{"a": "',
        "<tool_call>",
        "</tool_call>",
        "<function=f>",
        "<function=f><parameter=x>",
        "<parameter=x",
        "<parameterparameter=",
        "<tool_call>f<arg_key>a</arg_key><arg_value>",
        "<tool_call>f<arg_key>",
        '<tool_call>["</tool_call>',
        '<tool_call>{"a":"</tool_call>"',
        "<tool_call>f<arg_key>a</arg_key><arg_value>b</arg_value>></tool_call>",
        "<invoke name=x><param name=y ",
        "[TOOL_CALLS]",
        "[TOOL_CALLS]{",
        "[TOOL_CALLS]x[",
        '[TOOL_CALLS][{"',
        "[TOOL_CALLS]f[ARGS]",
        "<|tool_calls_section_begin|><|tool_call_begin|>f<|tool_call_argument_begin|>{}",
        "<|tool_call_begin|>f<|tool_call_argument_begin|>{}<|tool_call_end|>",
        "<｜tool▁call▁begin｜>f<｜tool▁sep｜>",
        "<",
    ],
)
def test_work_grows_no_faster_than_the_output(piece: str) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        parse_tool_calls(piece * count)
        read_calls(piece * count)
        return time.process_time() - started

    seconds(10)
    small = min(seconds(40_000 // len(piece)) for _ in range(3))
    large = seconds(640_000 // len(piece))
    assert large < max(0.5, 80 * small), f"16 times the output took {large / max(small, 1e-9):.0f} times as long"
