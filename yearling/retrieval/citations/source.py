"""What answers are aligned to: passages that a search found, and the sentences in them that may be cited.

A chunk is made for search, and neighbouring chunks share text. So citations never point at chunks: every sentence is known by
its range in the canonical text of its version, and stands in the list once, however many chunks contain it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from yearling.retrieval.passages.sentences import sentence_spans
from yearling.store import Span

SourceKind = Literal["document", "web", "post"]

MAX_SENTENCES = 5_000
"""Sentences that an answer is aligned to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePassage:
    """A part of a document, a post or a web page, in which an answer may be found."""

    document_id: str
    text_sha256: str
    """Hash of the canonical text that `span` counts in."""
    span: Span
    text: str
    """Exactly the code points of `span`."""
    title: str = ""
    url: str = ""
    """Where a web page or a post stands; empty for a document."""
    kind: SourceKind = "document"
    author: str = ""
    published_utc: datetime | None = None

    def __post_init__(self) -> None:
        if self.span.start < 0 or self.span.end - self.span.start != len(self.text):
            raise ValueError("the text of a passage must be the code points of its span")


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence that may be cited. `passage` is the place of its passage in the list; `span` counts in the canonical text."""

    passage: int
    span: Span
    text: str


def citable_sentences(passages: Sequence[SourcePassage]) -> list[SourceSentence]:
    """The sentences of all passages, in the order of the passages, each once. No two overlap.

    Where passages overlap, a whole sentence wins over the part of it that another passage begins or ends with.
    """
    found = [
        SourceSentence(
            place,
            Span(passage.span.start + span.start, passage.span.start + span.end),
            passage.text[span.start : span.end],
        )
        for place, passage in enumerate(passages)
        for span in sentence_spans(passage.text)
    ]
    if len(found) > MAX_SENTENCES:
        raise ValueError(f"{len(found):,} sentences were found, and at most {MAX_SENTENCES:,} can be compared")
    taken: dict[tuple[str, str], list[Span]] = {}
    kept: list[int] = []
    for index in sorted(range(len(found)), key=lambda index: (-len(found[index].text), index)):
        sentence = found[index]
        passage = passages[sentence.passage]
        spans = taken.setdefault((passage.document_id, passage.text_sha256), [])
        place = bisect_left(spans, sentence.span)
        is_free = (place == len(spans) or sentence.span.end <= spans[place].start) and (
            not place or spans[place - 1].end <= sentence.span.start
        )
        if is_free:
            spans.insert(place, sentence.span)
            kept.append(index)
    return [found[index] for index in sorted(kept)]
