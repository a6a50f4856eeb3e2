"""Stop strings and held-back text, against the definition: the text up to the first stop string, whatever the pieces."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from yearling.inference import ByteTokenizer, IncrementalDetokenizer, StopStringMatcher

texts = st.text(alphabet="abé😀", max_size=24)


@given(
    text=texts, stops=st.lists(st.text(alphabet="abé😀", min_size=1, max_size=4), max_size=3), cuts=st.lists(st.integers(0, 24))
)
def test_the_pieces_do_not_matter(text: str, stops: list[str], cuts: list[int]) -> None:
    matcher = StopStringMatcher(stops)
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    seen = ""
    for start, end in itertools.pairwise(bounds):
        seen += matcher.push(text[start:end])
        assert not any(stop in seen for stop in stops)
        if matcher.matched is not None:
            # As in generation, nothing more is asked for after a match: the first one by its end in the text decides.
            break
    seen += matcher.flush()
    if not any(stop in text for stop in stops):
        assert seen == text
    else:
        assert text.startswith(seen)
        assert matcher.matched is not None
        assert text[len(seen) :].startswith(matcher.matched)


def test_nothing_is_held_without_need() -> None:
    matcher = StopStringMatcher(["END"])
    assert matcher.push("hello E") == "hello "
    assert matcher.push("N") == ""
    assert matcher.push("D of it") == ""
    assert matcher.matched == "END"
    assert matcher.push("more") == ""
    assert matcher.flush() == ""


def test_a_false_beginning_is_given_back() -> None:
    matcher = StopStringMatcher(["aab"])
    assert [matcher.push(piece) for piece in ("a", "a", "a", "c")] == ["", "", "a", "aac"]


def test_characters_come_whole() -> None:
    tokenizer = ByteTokenizer()
    stream = IncrementalDetokenizer(tokenizer.new_stream_decoder())
    pieces = [stream.push(i) for i in tokenizer.encode("é😀")]
    assert pieces == ["", "é", "", "", "", "😀"]
    assert stream.flush() == ""


def test_a_cut_character_shows_as_replacement_at_the_end() -> None:
    stream = IncrementalDetokenizer(ByteTokenizer().new_stream_decoder())
    assert stream.push("😀".encode()[0]) == ""
    assert stream.flush() == "�"


def test_held_text_comes_out_at_the_end() -> None:
    stream = IncrementalDetokenizer(ByteTokenizer().new_stream_decoder(), ["##"])
    assert stream.push(ord("#")) == ""
    assert stream.flush() == "#"
    assert not stream.is_stopped
