"""Halves of surrogate pairs: joined where they meet, otherwise replaced, and nothing else changes."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.api.http.json_response import to_json_bytes
from yearling.unicode_repair import mend_surrogate_escapes, mend_surrogates, mend_surrogates_in_json

TEXTS = st.text(st.sampled_from('a\\"u/\n\ud83d\ude00\udbff\udc00😀\ufffdé'), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=10
)


def test_halves_that_meet_are_joined() -> None:
    assert mend_surrogates("a\ud83d\ude00b\ud83d c\ude00") == "a😀b\ufffd c\ufffd"
    assert mend_surrogates_in_json({"\ud83d": ["\ude00", 1, None, "ok"]}) == {"\ufffd": ["\ufffd", 1, None, "ok"]}


@given(TEXTS)
def test_mended_text_has_utf8_and_whole_text_stays(text: str) -> None:
    mended = mend_surrogates(text)
    assert mended.encode().decode() == mended
    try:
        text.encode()
    except UnicodeEncodeError:
        assert mended != text
    else:
        assert mended == text
    assert mend_surrogates(mended) == mended


@pytest.mark.parametrize(
    ("escaped", "mended"),
    [
        (r'"\ud83d"', r'"\ufffd"'),
        (r'"\uDE00 \uD83D"', r'"\ufffd \ufffd"'),
        (r'"\ud83d\ude00"', r'"\ud83d\ude00"'),
        (r'"\ud83d\ud83d\ude00\ude00"', r'"\ufffd\ud83d\ude00\ufffd"'),
        (r'"\\ud83d"', r'"\\ud83d"'),  # a backslash and letters
        (r'"\\\ud83d"', r'"\\\ufffd"'),
        (r'"\u0041\n\"\ud83d"', r'"\u0041\n\"\ufffd"'),
    ],
)
def test_escapes_in_json_are_mended(escaped: str, mended: str) -> None:
    assert mend_surrogate_escapes(escaped.encode()) == mended.encode()


@pytest.mark.slow
@given(VALUES)
def test_mended_json_is_the_json_of_the_mended_value(value: object) -> None:
    escaped = json.dumps(value).encode()
    decoded = json.loads(mend_surrogate_escapes(escaped))
    assert repr(decoded) == repr(mend_surrogates_in_json(json.loads(escaped)))


@pytest.mark.slow
@given(VALUES)
def test_writer_of_json_is_total(value: object) -> None:
    """Whatever the strings and the numbers are, the bytes are valid JSON in UTF-8."""
    json.loads(to_json_bytes(value).decode(), parse_constant=pytest.fail)
    json.loads(to_json_bytes(value, ascii_only=True), parse_constant=pytest.fail)


@pytest.mark.slow
def test_mending_takes_linear_time() -> None:
    for piece in (b"\\ud83d", b"\\\\", b"\\ud83d\\ude00", b"\\n\\ud83d"):
        durations = []
        for count in (20_000, 200_000):
            started = time.process_time()
            mend_surrogate_escapes(b'"' + piece * count + b'\\ud800"')
            durations.append(time.process_time() - started)
        assert durations[1] < 40 * durations[0] + 0.05
