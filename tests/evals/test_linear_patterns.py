"""Patterns of exams: they mean what they mean in Python, and no answer makes them slow."""

from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.errors import BadInput
from yearling.evals.linear_patterns import check_pattern, is_found

PIECES = ("a", "b", ".", "é", "数", "٣", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\.", r"\é", "\n", "[ab]", "[^a]")
SETS = (r"[\w.-]", r"[\d]", r"[^\d]", r"[^\w]", "[]a]", "[^]a]", r"[\]]", "[[a]", "[a&b]", "[é-ü]", r"[a\D]")
SUFFIXES = ("", "", "", "*", "+", "?", "{2}", "{,2}", "{1,}", "*?")
TEXTS = st.text(alphabet="abéü数٣4 .]&-\n_[", max_size=12)


def patterns() -> st.SearchStrategy[str]:
    piece = st.builds(
        lambda body, suffix: body + ("" if body == r"\b" else suffix), st.sampled_from(PIECES + SETS), st.sampled_from(SUFFIXES)
    )
    words = st.lists(piece, min_size=1, max_size=4).map("".join)
    branches = st.lists(words, min_size=1, max_size=3).map("|".join)
    return st.builds(
        lambda flags, begin, body, end: f"{flags}{begin}({body}){end}",
        st.sampled_from(("", "", "(?i)", "(?m)")),
        st.sampled_from(("", "^", r"\A")),
        branches,
        st.sampled_from(("", "$", r"\Z")),
    )


@given(pattern=patterns(), text=TEXTS)
def test_patterns_mean_what_they_mean_in_python(pattern: str, text: str) -> None:
    check_pattern(pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of brackets in brackets, which it may read differently some day
        expected = re.search(pattern, text, re.DOTALL) is not None
    assert is_found(pattern, text) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", "[a", "a" * 1001, "((a{1,1000}){1,1000}){1,1000}", "(" * 400 + ")" * 400),
        *("a(?=b)", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<x>a)(?P=x)", "(?>a)", r"[^\W\d]"),
    ],
    ids=lambda pattern: pattern[:20],
)
def test_other_patterns_are_refused_with_advice(pattern: str) -> None:
    with pytest.raises(BadInput, match="cannot be used as a regular expression") as raised:
        check_pattern(pattern)
    assert "Look-around" in (raised.value.advice or "")


@pytest.mark.parametrize("pattern", ["^(a|a)*$", "(a+)+$", "^((a|a)*[^\\s\\S]|a{25})$", "(.*a){12}b", "(x+x+)+y"])
def test_matching_takes_linear_time(pattern: str) -> None:
    """Python's own library would need longer than the universe is old for most of these."""
    check_pattern(pattern)
    for text in ("a" * 150_000 + "!", "x" * 150_000, "ax" * 75_000):
        start_s = time.thread_time()
        assert not is_found(pattern, text)
        assert time.thread_time() - start_s < 2
    assert is_found("a", "a" * 199_000)
    assert not is_found("a", "a" * 201_000), "an answer above the limit fails the check"
