"""Chunks of a text: what the index looks through. Answers cite sentences and never a chunk.

A chunk is a run of whole sentences. It overlaps the one before it by the last sentences of that one, so that a fact that two
sentences tell is whole in one of them. Chinese says more in a character than English does in a letter, so a wide character counts
for several: a chunk has about `CHUNK_CHARS` characters of English, or `CHINESE_CHUNK_CHARS` of Chinese, or a mixture of both.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from yearling.retrieval.passages.sentences import sentence_spans
from yearling.store import Span

CHUNK_CHARS = 800
"""Most characters of a chunk of English."""
CHINESE_CHUNK_CHARS = 300
"""Most characters of a chunk of Chinese."""
OVERLAP_CHARS = 60
"""Most characters of Chinese that two chunks share."""

_WIDE = re.compile("[\u3000-\u303f\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003ffff]")


def cut_chunks(text: str, *, chunk_chars: int = CHUNK_CHARS) -> list[Span]:
    """The chunks of a text, in order. Together they cover every character that is no space; linear in the length.

    `chunk_chars` is the size for English; the size for Chinese and the overlap keep their proportion to it.
    """
    sizes = _Sizes(text, limit=chunk_chars)
    sentences = [piece for sentence in sentence_spans(text) for piece in sizes.cut(sentence)]
    chunks: list[Span] = []
    first = 0
    while first < len(sentences):
        last = first
        while last + 1 < len(sentences) and sizes.fits(sentences[first].start, sentences[last + 1].end):
            last += 1
        chunks.append(Span(sentences[first].start, sentences[last].end))
        if last + 1 == len(sentences):
            break
        following = last + 1
        while following - 1 > first and sizes.overlaps(sentences[following - 1].start, sentences[last].end):
            following -= 1
        # An overlap that leaves no room for the next sentence would be a chunk of its own.
        while following <= last and not sizes.fits(sentences[following].start, sentences[last + 1].end):
            following += 1
        first = following
    return chunks


class _Sizes:
    """Sizes of ranges of one text, in letters of English."""

    def __init__(self, text: str, *, limit: int) -> None:
        self._limit = limit
        self._wide_weight = CHUNK_CHARS / CHINESE_CHUNK_CHARS - 1
        self._overlap = limit * OVERLAP_CHARS / CHINESE_CHUNK_CHARS
        self._is_ascii = text.isascii()
        self._wide = [] if self._is_ascii else [match.start() for match in _WIDE.finditer(text)]

    def fits(self, start: int, end: int) -> bool:
        """Whether the range is no larger than a chunk."""
        return self._size(start, end) <= self._limit

    def overlaps(self, start: int, end: int) -> bool:
        """Whether the range is no larger than what two chunks share."""
        return self._size(start, end) <= self._overlap

    def cut(self, span: Span) -> list[Span]:
        """The span, or pieces of it if it is larger than a chunk."""
        pieces: list[Span] = []
        start = span.start
        while not self.fits(start, span.end):
            end = start + self._limit if self._is_ascii else self._last_fitting(start, span.end)
            pieces.append(Span(start, end))
            start = end
        return [*pieces, Span(start, span.end)] if start < span.end else pieces

    def _last_fitting(self, start: int, end: int) -> int:
        low, high = start + 1, end
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits(start, middle) else (low, middle - 1)
        return low

    def _size(self, start: int, end: int) -> float:
        if self._is_ascii:
            return end - start
        return end - start + self._wide_weight * (bisect_left(self._wide, end) - bisect_left(self._wide, start))
