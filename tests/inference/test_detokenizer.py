"""Stop strings and held-back text against the definition: the text up to the first stop string, however it is divided."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from yearling.inference import ByteTokenizer, IncrementalDetokenizer, StopStringMatcher

texts = st.text(alphabet="abé😀", max_size=24)


@given(
    text=texts, stops=st.lists(st.text(alphabet="abé😀", min_size=1, max_size=4), max_size=3), cuts=st.lists(st.integers(0, 24))
)
def test_the_division_into_pieces_does_not_matter(text: str, stops: list[str], cuts: list[int]) -> None:
    matcher = StopStringMatcher(stops)
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    shown = ""
    for start, end in itertools.pairwise(bounds):
        shown += matcher.push(text[start:end])
        assert not any(stop in shown for stop in stops)
        if matcher.matched is not None:
            # As in generation, nothing is pushed after a match: the match that ends first in the text decides.
            break
    shown += matcher.flush()
    if not any(stop in text for stop in stops):
        assert shown == text
    else:
        assert text.startswith(shown)
        assert matcher.matched is not None
        assert text[len(shown) :].startswith(matcher.matched)


def test_only_possible_stop_strings_are_held_back() -> None:
    matcher = StopStringMatcher(["END"])
    assert matcher.push("hello E") == "hello "
    assert matcher.push("N") == ""
    assert matcher.push("D of it") == ""
    assert matcher.matched == "END"
    assert matcher.push("more") == ""
    assert matcher.flush() == ""


def test_a_partial_match_that_fails_is_released() -> None:
    matcher = StopStringMatcher(["aab"])
    assert [matcher.push(piece) for piece in ("a", "a", "a", "c")] == ["", "", "a", "aac"]


def test_characters_are_never_split() -> None:
    tokenizer = ByteTokenizer()
    stream = IncrementalDetokenizer(tokenizer.new_stream_decoder())
    pieces = [stream.push(i) for i in tokenizer.encode("é😀")]
    assert pieces == ["", "é", "", "", "", "😀"]
    assert stream.flush() == ""


def test_an_incomplete_character_becomes_a_replacement_at_the_end() -> None:
    stream = IncrementalDetokenizer(ByteTokenizer().new_stream_decoder())
    assert stream.push("😀".encode()[0]) == ""
    assert stream.flush() == "�"


def test_held_text_is_released_at_the_end() -> None:
    stream = IncrementalDetokenizer(ByteTokenizer().new_stream_decoder(), ["##"])
    assert stream.push(ord("#")) == ""
    assert stream.flush() == "#"
    assert not stream.is_stopped
