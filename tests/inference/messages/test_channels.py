"""The channels of gpt-oss: thoughts become reasoning, the final part text, and calls have one form, however they are split."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.messages.test_thinking import split
from yearling.inference import CallBlock, ToolCallScanner
from yearling.inference.messages.channels import MAX_HEADER_CHARS, ChannelSplitter, begins_with_channel

ANALYSIS = "<|channel|>analysis<|message|>Hm, é."
FINAL = "<|start|>assistant<|channel|>final<|message|>Paris."
ARGUMENTS = '{"a": "<|end|> \\" <|call|>"}'


@pytest.mark.parametrize(
    ("output", "text", "reasoning"),
    [
        (f"{ANALYSIS}<|end|>{FINAL}", "Paris.", "Hm, é."),
        (f"{ANALYSIS}{FINAL}<|return|>", "Paris.", "Hm, é."),
        ("<|channel|>final<|message|>Paris.", "Paris.", ""),
        (f"<|start|>assistant{ANALYSIS}<|end|>{FINAL}", "Paris.", "Hm, é."),
        ("<|channel|>analysis<|message|>cut", "", "cut"),
        (f"{ANALYSIS}<|end|><|start|>assistant{ANALYSIS}<|end|>{FINAL}", "Paris.", "Hm, é.\n\nHm, é."),
        (f"<|channel|>commentary<|message|>I look it up.<|end|>{FINAL}", "I look it up.\n\nParis.", ""),
        ("<|channel|>final<|message|>1 < 2 <|x|> \\", "1 < 2 <|x|> \\", ""),
        ("Paris. <|channel|>analysis<|message|>no", "Paris. <|channel|>analysis<|message|>no", ""),
        ("to be", "to be", ""),
        ("to=", "to=", ""),
        ("to=x or <|chan", "to=x or <|chan", ""),
        ("<|channel", "<|channel", ""),
        ("<|channel|>no message", "<|channel|>no message", ""),
        ("<|channel|>analysis to=python<|message|>1 + 1<|call|>", "<|channel|>analysis to=python<|message|>1 + 1<|call|>", ""),
        ("<|channel|>" + "x" * 2 * MAX_HEADER_CHARS, "<|channel|>" + "x" * 2 * MAX_HEADER_CHARS, ""),
    ],
)
def test_the_parts_of_an_output(output: str, text: str, reasoning: str) -> None:
    for pieces in ((output,), tuple(output)):
        assert split(*pieces)[:2] == (text, reasoning)


@pytest.mark.parametrize(
    "header",
    [
        " to=functions.f<|channel|>commentary json<|message|>",
        "<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.f<|message|>",
        f"{ANALYSIS}<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>",
        f"{ANALYSIS}<|end|><|start|>assistant to=functions.f<|channel|>commentary json<|message|>",
        "<|channel|>analysis to=functions.f code<|message|>",
    ],
)
@pytest.mark.parametrize("end", ["", "<|call|>"])
def test_calls_have_one_form_whatever_their_header(header: str, end: str) -> None:
    output = header + ARGUMENTS + end
    for pieces in ((output,), tuple(output)):
        text, reasoning, _ = split(*pieces)
        scanner = ToolCallScanner()
        blocks = [block for block in (*scanner.push(text), *scanner.flush()) if isinstance(block, CallBlock)]
        calls: list[Any] = [(call.name, call.arguments) for block in blocks for call in block.calls]
        assert calls == [("f", {"a": '<|end|> " <|call|>'})]
        assert "".join(block.raw for block in blocks) == text
        assert reasoning in ("", "Hm, é.")


PARTS = [
    *("<|start|>", "assistant", "<|channel|>", "analysis", "final", "commentary", " to=functions.f", " to=python"),
    *("<|constrain|>json", "<|message|>", "<|end|>", "<|call|>", "<|", "\\", '"', "{", "}", "\n", " ", "é", "Paris"),
]


@given(st.lists(st.sampled_from(PARTS), max_size=25))
def test_the_pieces_do_not_matter(parts: list[str]) -> None:
    output = "<|channel|>" + "".join(parts)
    assert split(*output)[:2] == split("<|channel|>", *parts)[:2] == split(output)[:2]


@given(st.lists(st.sampled_from(["a", "é ", "\n", "<", "|", '"', "{}"]), min_size=1, max_size=8), st.sampled_from(PARTS))
def test_no_words_are_lost(words: list[str], before: str) -> None:
    text, reasoning, _ = split("<|channel|>", before, "<|message|>", *words)
    assert "".join(words).strip() in text + reasoning


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("", None),
        ("  <|chan", None),
        ("<|channel|>", True),
        (" t", None),
        (" to=f<|", None),
        ("to=f<|channel|>", True),
        ("Hello", False),
        ("to be", False),
        ("<think>", False),
        ("to=" + "x" * 300, False),
        ("<|im_end|>", False),
    ],
)
def test_the_beginning_decides(text: str, begins: bool | None) -> None:
    assert begins_with_channel(text) is begins


@pytest.mark.parametrize("piece", ["<|channel|>", "<|message|>", "<|", '<|channel|>a to=functions.f<|message|>"', "\\", "x"])
def test_work_grows_no_faster_than_the_output(piece: str) -> None:
    def seconds(count: int) -> float:
        started = time.process_time()
        splitter = ChannelSplitter()
        for start in ("<|channel|>final<|message|>", "<|channel|>c to=functions.f<|message|>"):
            splitter.push(start)
            for _ in range(count):
                splitter.push(piece)
            splitter.flush()
        return time.process_time() - started

    seconds(10)
    small = min(seconds(1_000) for _ in range(3))
    large = seconds(16_000)
    assert large < max(0.5, 80 * small), f"16 times the output took {large / max(small, 1e-9):.0f} times as long"
