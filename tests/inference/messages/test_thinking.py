"""Thinking sections become reasoning, in whatever pieces they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.inference import ThinkingSplitter


def split(*pieces: str) -> tuple[str, str, int]:
    """(text, reasoning, hidden bytes) of an output in pieces."""
    splitter = ThinkingSplitter()
    outputs = [splitter.push(piece) for piece in pieces] + [splitter.flush()]
    return (
        "".join(output.text for output in outputs),
        "".join(output.reasoning for output in outputs),
        sum(output.hidden_bytes for output in outputs),
    )


@pytest.mark.parametrize(
    ("output", "text", "reasoning"),
    [
        ("<think>\nHm, é.\n</think>\n\nParis.", "Paris.", "Hm, é."),
        ("\n<think>Hm.</think>Paris.", "Paris.", "Hm."),
        ("<think>\n\n</think>\n\nParis.", "Paris.", ""),
        ("<think>never closed </thin", "", "never closed </thin"),
        ("Paris. <think>no</think>", "Paris. <think>no</think>", ""),
        ("<thin air", "<thin air", ""),
        ("  Paris.", "  Paris.", ""),
        ("<think>a\n\nb</think> <think>c</think>", "<think>c</think>", "a\n\nb"),
        ("", "", ""),
        ("<thi", "<thi", ""),
    ],
)
def test_only_a_section_at_the_beginning_is_reasoning(output: str, text: str, reasoning: str) -> None:
    for pieces in ((output,), tuple(output)):
        assert split(*pieces)[:2] == (text, reasoning)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", "</", "\n", " ", "a", "é", "Paris"]), max_size=12))
def test_the_pieces_do_not_matter_and_nothing_is_counted_twice(parts: list[str]) -> None:
    output = "".join(parts)
    text, reasoning, hidden = split(output)
    assert split(*output)[:2] == (text, reasoning)
    assert split(*parts) == split(*output)
    assert len(text.encode()) + hidden == len(output.encode())
