"""The habits of endpoints, brought into one form: each call is whole, thinking is reasoning, nothing malformed gets through."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.errors import Unavailable
from yearling.inference import Delta, split_unopened_thinking
from yearling.inference.messages import endpoint_answers
from yearling.inference.messages.endpoint_answers import EndpointAnswer, HalfCharacters
from yearling.unicode_repair import mend_surrogates


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(arguments: object = None, name: str | None = None, **fields: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return piece(tool_calls=[{**fields, "type": "function", "function": function}])


def read(*events: Any) -> tuple[str, str, list[tuple[str, str]], str]:
    """(text, reasoning, names and arguments of calls, finish reason) of an answer."""
    answer = EndpointAnswer()
    deltas = [delta for event in events if (delta := answer.read(event)) is not None]
    deltas += answer.end()
    calls: dict[int, list[str]] = {}
    ids: dict[int, str] = {}
    for delta in deltas:
        assert isinstance(delta, Delta)
        for item in delta.tool_calls:
            if item["index"] not in calls:
                assert item["id"], "each call begins with an id"
                assert item["id"] not in ids.values(), "and with one of its own"
                ids[item["index"]] = item["id"]
            found = calls.setdefault(item["index"], ["", ""])
            found[0] += item["function"].get("name", "")
            found[1] += item["function"].get("arguments", "")
    assert list(calls) == list(range(len(calls)))
    return (
        "".join(delta.text for delta in deltas),
        "".join(delta.reasoning for delta in deltas),
        [(name, arguments) for name, arguments in calls.values()],
        deltas[-1].finish_reason or "",
    )


HABITS = {
    "as OpenAI": [call("", "f", index=0, id="x"), call('{"a"', index=0), call(": 1}", index=0), call("{}", "g", index=1, id="y")],
    "one index, two ids": [call('{"a": 1}', "f", index=0, id="x"), call("{}", "g", index=0, id="y")],
    "one index, two ids, in pieces": [
        call('{"a"', "f", index=0, id="x"), call(": 1}", index=0, id="x"), call("{", "g", index=0, id="y"),
        call("}", index=0, id="y"),
    ],
    "one index, no ids": [call('{"a": 1}', "f", index=0), call("{}", "g", index=0)],
    "no index": [call('{"a": 1}', "f", id="x"), call("{}", "g", id="y")],
    "no index, in pieces": [call('{"a"', "f", id="x"), call(": 1}"), call("{", "g", id="y"), call("}")],
    "neither index nor id": [call('{"a": 1}', "f"), call("{}", "g")],
    "arguments as an object": [call({"a": 1}, "f", index=0, id="x"), call({}, "g", index=1, id="y")],
    "the name in every piece": [
        call('{"a"', "f", index=0, id="x"), call(": 1}", "f", index=0, id="x"), call("{", "g", index=1, id="y"),
        call("}", "g", index=1, id="y"),
    ],
    "an id in every piece": [call('{"a"', "f", index=0, id="x"), call(": 1}", index=0, id="z"), call("{}", "g", index=1, id="y")],
    "an empty id later": [call('{"a"', "f", index=0, id="x"), call(": 1}", index=0, id=""), call("{}", "g", index=1, id="y")],
    "both in one list": [piece(tool_calls=[
        {"id": "x", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "y", "function": {"name": "g", "arguments": "{}"}},
    ])],
    "one call, not a list": [
        piece(tool_calls={"id": "x", "function": {"name": "f", "arguments": {"a": 1}}}), call("{}", "g", id="y"),
    ],
    "a whole message": [{"choices": [{"message": {"content": None, "tool_calls": [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "y", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]}, "finish_reason": "tool_calls"}]}],
    "without `function`": [
        piece(tool_calls=[{"id": "x", "name": "f", "arguments": {"a": 1}}, {"id": "y", "name": "g", "arguments": "{}"}]),
    ],
    "empty deltas between": [
        call('{"a": 1}', "f", index=0, id="x"), piece(tool_calls=None), piece(tool_calls=[]), call("{}", "g", index=1, id="y"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("events", HABITS.values(), ids=HABITS)
def test_every_habit_gives_the_same_calls(events: list[dict[str, Any]]) -> None:
    for end in ("stop", "tool_calls", None):
        text, _, calls, finish = read(*events, *([piece(end)] if end else []))
        assert [(name, json.loads(arguments)) for name, arguments in calls] == [("f", {"a": 1}), ("g", {})]
        assert (text, finish) == ("", "tool_calls"), end


def test_calls_of_functions_before_tools_are_read() -> None:
    events = [
        piece(function_call={"name": "f", "arguments": '{"a"'}),
        piece(function_call={"arguments": ": 1}"}),
        piece("function_call"),
    ]
    assert read(*events) == ("", "", [("f", '{"a": 1}')], "tool_calls")


def test_an_answer_that_was_cut_stays_cut_beside_calls() -> None:
    assert read(call('{"a": ', "f", index=0, id="x"), piece("length"))[3] == "length"


@pytest.mark.parametrize(
    ("events", "text", "reasoning"),
    [
        ([piece(content="<think>Hm"), piece(content="m.</thi"), piece(content="nk>\n\nYes."), piece("stop")], "Yes.", "Hmm."),
        ([piece(reasoning_content="Hm."), piece(content="Yes.")], "Yes.", "Hm."),
        ([piece(reasoning="Hm."), piece(content="Yes.")], "Yes.", "Hm."),
        ([piece(thinking="Hm."), piece(content="Yes.")], "Yes.", "Hm."),
        ([piece(content="Yes: <think> is a tag.")], "Yes: <think> is a tag.", ""),
        ([piece(content=[{"type": "text", "text": "Y"}, "es", {"type": "image"}, {"type": "text", "text": "."}])], "Yes.", ""),
        ([piece(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, "Yes."])], "Yes.", "Hm."),
        ([piece(content="Yes \ud83d"), piece(content="\ude00.")], "Yes \U0001f600.", ""),
        ([piece(content="Yes \ud83d"), piece(content=".")], "Yes \ufffd.", ""),
        ([piece(content="\ude00Yes.\ud83d"), piece("stop")], "\ufffdYes.\ufffd", ""),
        ([{"choices": [{"index": 0, "delta": {"content": "Yes."}}, {"index": 1, "delta": {"content": "No."}}]}], "Yes.", ""),
    ],
)  # fmt: skip
def test_text_and_reasoning_in_the_forms_of_peers(events: list[dict[str, Any]], text: str, reasoning: str) -> None:
    assert read(*events)[:2] == (text, reasoning)


def test_halves_of_a_character_meet_inside_arguments() -> None:
    events = [call('{"a": "\ud83d', "f", index=0, id="x"), call('\ude00"}', index=0)]
    assert read(*events)[2] == [("f", '{"a": "\U0001f600"}')]
    assert read(call('"\ud83d', "f\udead", index=0, id="x\ud800"))[2] == [("f\ufffd", '"\ufffd')]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "tool_calls", "function", "id", "index", "name", "arguments", "content", "type",
             "text", "usage", "prompt_tokens", "finish_reason", "reasoning_content", "function_call"]
        ),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.lists(
        json_values.filter(lambda value: isinstance(value, dict)) | json_values.map(lambda value: piece(tool_calls=value)),
        max_size=4,
    )
)
def test_no_shape_of_an_event_is_an_exception(events: list[dict[str, Any]]) -> None:
    text, reasoning, calls, _ = read(*events)
    json.dumps([text, reasoning, calls]).encode()
    "".join([text, reasoning, *(part for call in calls for part in call)]).encode()


@given(st.lists(st.sampled_from(["\ud83d", "\ude00", "a", "\U0001f600", ""]), max_size=8))
def test_pieces_of_characters_are_joined_as_in_one_text(pieces: list[str]) -> None:
    characters = HalfCharacters()
    joined = "".join([*map(characters.push, pieces), characters.flush()])
    assert joined == mend_surrogates("".join(pieces))


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("I think.\n</think>\n\nParis.", "I think.", "Paris."),
        ("\n</think>\nParis.", "", "Paris."),
        ("I think.\n</think>", "I think.", ""),
        ("The tag </think> ends it.", "", "The tag </think> ends it."),
        ("As in <think>\nx\n</think>\n.", "", "As in <think>\nx\n</think>\n."),
        ("x" * (1 << 18) + "\n</think>\nParis.", "", "x" * (1 << 18) + "\n</think>\nParis."),
        ("Paris.", "", "Paris."),
    ],
)
def test_thoughts_that_are_only_closed(text: str, thoughts: str, answer: str) -> None:
    assert split_unopened_thinking(text) == (thoughts, answer)


def follow(*answers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(text, reasoning) of the answers of one model, each read as the one before it suggests."""
    begins_thinking, found = False, []
    for events in answers:
        answer = EndpointAnswer(begins_thinking=begins_thinking)
        deltas = [*filter(None, map(answer.read, events)), *answer.end()]
        found.append(("".join(delta.text for delta in deltas), "".join(delta.reasoning for delta in deltas)))
        begins_thinking = answer.begins_thinking
    return found


def in_pieces(text: str, finish: str = "stop") -> list[dict[str, Any]]:
    return [*(piece(content=character) for character in text), piece(finish=finish)]


def test_an_endpoint_that_only_closes_its_thoughts_is_understood_from_the_second_answer_on() -> None:
    thinking, plain, opened = "Hm.\n</think>\n\nParis.", "Paris.", "<think>Hm.</think>Paris."
    assert follow(in_pieces(thinking), in_pieces(thinking), in_pieces(opened), in_pieces(thinking)) == [
        (thinking, ""),
        *[("Paris.", "Hm.")] * 3,
    ]
    cut = follow(in_pieces(thinking), in_pieces("Hm", "length"), in_pieces(thinking))
    assert cut[1:] == [("", "Hm"), ("Paris.", "Hm.")], "an answer that is cut in its thoughts has no text"
    without = follow(in_pieces(thinking), in_pieces(plain), in_pieces(plain))
    assert without[1:] == [("Paris.", "Paris."), ("Paris.", "")], "an answer is never lost"
    separate = [piece(reasoning_content="Hm."), *in_pieces(plain)]
    assert follow(in_pieces(thinking), separate)[1] == ("Paris.", "Hm.")


def test_the_search_for_a_closing_line_takes_linear_time() -> None:
    started = time.process_time()
    for text in (" " * (1 << 20), "\n" * (1 << 20), "\n \t" * (1 << 18), "\n</think> x" * (1 << 17), "</think>" * (1 << 17)):
        split_unopened_thinking(text)
    assert time.process_time() - started < 1


def test_arguments_whose_pieces_all_repeat_the_name_are_read_in_linear_time() -> None:
    pieces = ['{"a": [', *['"b}", '] * 40_000, '"c"]}']
    started = time.process_time()
    calls = read(*(call(each, "f", id="") for each in pieces), piece("stop"))[2]
    assert time.process_time() - started < 5
    assert calls == [("f", "".join(pieces))]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_answers, "MAX_CALLS", 2)
    monkeypatch.setattr(endpoint_answers, "MAX_ANSWER_CHARS", 100)
    with pytest.raises(Unavailable, match="more than 2 tool calls"):
        read(*(call("{}", "f", index=number, id=str(number)) for number in range(3)))
    with pytest.raises(Unavailable, match="more than 100 characters"):
        read(piece(content="a" * 60), piece(reasoning="b" * 60))
    with pytest.raises(Unavailable, match="more than 100 characters"):
        read(call("a" * 101, "f", index=0, id="x"))
    name = read(call("{}", "f" * 1000, index=0, id="x" * 1000))[2][0][0]
    assert len(name) == endpoint_answers.MAX_NAME_CHARS
    name = read(*(call("", f"{number:100}", index=0) for number in range(100)))[2][0][0]
    assert len(name) == endpoint_answers.MAX_NAME_CHARS
