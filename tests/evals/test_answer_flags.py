"""The flags of answers that need no model."""

from __future__ import annotations

import time

import pytest

from yearling.evals import ANSWER_FLAGS, flag_answer
from yearling.records import FinishReason


@pytest.mark.parametrize(
    ("text", "finish", "flags"),
    [
        ("Paris is the capital of France.", "stop", ()),
        ("", "stop", ("empty",)),
        (" \n", "length", ("empty", "cut")),
        ("And then", "length", ("cut",)),
        ("I am sorry, but I cannot help with that.", "stop", ("refusal",)),
        ("the same words again and " * 30, "stop", ("repetition",)),
        ("I feel so lonely and I love you.", "stop", ("spec",)),
    ],
)
def test_each_fault_has_its_flag(text: str, finish: FinishReason, flags: tuple[str, ...]) -> None:
    assert flag_answer(text, finish) == flags
    assert set(flags) <= set(ANSWER_FLAGS)


def test_no_answer_keeps_a_thread_busy() -> None:
    started = time.process_time()
    for text in ("a" * 2_000_000, "x y " * 500_000, "\ud800" * 100_000, "好" * 500_000):
        flag_answer(text, "stop")
    assert time.process_time() - started < 2
