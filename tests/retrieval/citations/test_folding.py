"""Folded texts lead back to the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.retrieval.citations.folding import fold, is_mostly_han


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ｈéllo,  World!", "hello world"),
        ("战国 无双３", "战国无双3"),
        ("“quoted”—text", "quoted text"),
        ("e\u0301x", "éx"),
        ("1.5×2", "1.5×2"),
        ("ﬁne\u00a0print", "fine print"),
    ],
)
def test_what_does_not_change_the_meaning_is_folded(first: str, second: str) -> None:
    assert fold(first).text == fold(second).text


@pytest.mark.parametrize(("first", "second"), [("1.5", "15"), ("-5", "5"), ("5%", "5"), ("$5", "€5"), ("now here", "nowhere")])
def test_what_changes_the_meaning_stays(first: str, second: str) -> None:
    assert fold(first).text != fold(second).text


@pytest.mark.parametrize(
    ("text", "part"),
    [("a party", "art"), ("1308 points", "308"), ("3080 points", "308"), ("1.308", "308"), ("308.5", "308"), ("18月", "8月")],
)
def test_part_of_a_word_or_number_is_not_found(text: str, part: str) -> None:
    assert fold(text).find(fold(part)) == -1


def test_whole_words_and_characters_are_found_at_their_place() -> None:
    text = "The 🙂 Ｂridge, (opened) 1932。桥很长"
    for part, original in (("bridge opened", "Ｂridge, (opened"), ("1932", "1932"), ("很", "很")):
        folded = fold(text)
        place = folded.find(fold(part))
        span = folded.span(place, place + len(fold(part).text))
        assert text[span.start : span.end] == original


@given(text=st.text())
def test_places_are_sorted_and_inside(text: str) -> None:
    folded = fold(text)
    assert len(folded.places) == len(folded.text)
    assert list(folded.places) == sorted(folded.places)
    assert all(0 <= place < len(text) for place in folded.places)


def test_language_by_its_letters() -> None:
    assert is_mostly_han("女神卡卡演唱了 The Star-Spangled 国歌，众人起立")
    assert not is_mostly_han("The word 桥 means bridge")
    assert not is_mostly_han("")
