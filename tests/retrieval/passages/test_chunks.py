"""Chunks: whole sentences, within their size, overlapping a little, and nothing left out."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.retrieval.passages.chunks import CHINESE_CHUNK_CHARS, CHUNK_CHARS, OVERLAP_CHARS, cut_chunks
from yearling.retrieval.passages.sentences import sentence_spans

ENGLISH = " ".join(f"Sentence number {number} says a little more than the one before." for number in range(100))
CHINESE = "".join(f"第{number}句话说的比前一句话稍微多一点点。" for number in range(100))


@pytest.mark.parametrize(("text", "size"), [(ENGLISH, CHUNK_CHARS), (CHINESE, CHINESE_CHUNK_CHARS)])
def test_chunks_are_whole_sentences_of_the_right_size_and_overlap(text: str, size: int) -> None:
    sentences = sentence_spans(text)
    starts, ends = {span.start for span in sentences}, {span.end for span in sentences}
    chunks = cut_chunks(text)
    assert all(chunk.start in starts and chunk.end in ends for chunk in chunks)
    lengths = [chunk.end - chunk.start for chunk in chunks]
    assert max(lengths) <= size * 1.2  # digits among Chinese count less
    assert min(lengths[:-1]) > size * 0.7
    overlaps = [before.end - after.start for before, after in pairwise(chunks)]
    assert all(0 < overlap <= OVERLAP_CHARS * CHUNK_CHARS / CHINESE_CHUNK_CHARS for overlap in overlaps)


def test_small_and_empty_texts() -> None:
    assert cut_chunks("") == cut_chunks(" \n") == []
    assert [(chunk.start, chunk.end) for chunk in cut_chunks(" One. Two. ")] == [(1, 10)]


def test_long_sentences_of_chinese_are_cut() -> None:
    chunks = cut_chunks("字" * 2_000)
    assert max(chunk.end - chunk.start for chunk in chunks) <= CHINESE_CHUNK_CHARS


@given(
    st.lists(
        st.sampled_from(["词。", "word. ", "字" * 150, "x" * 500, "\n\n", ", ", "A b c d. ", "长" * 40 + "！"]), max_size=60
    ).map("".join),
    st.sampled_from([50, 200, 800]),
)
def test_chunks_cover_every_character_and_always_advance(text: str, chunk_chars: int) -> None:
    chunks = cut_chunks(text, chunk_chars=chunk_chars)
    end = 0
    for chunk in chunks:
        assert text[end : chunk.start].strip() == ""
        assert chunk.end > end
        end = chunk.end
    assert text[end:].strip() == ""
    assert [chunk.start for chunk in chunks] == sorted({chunk.start for chunk in chunks})


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["词。", "a. ", "x", "字", "\n", "a\n"])
def test_the_time_grows_with_the_length_only(unit: str) -> None:
    started = time.process_time()
    cut_chunks(unit * (400_000 // len(unit)))
    assert time.process_time() - started < 15
