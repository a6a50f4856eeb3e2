"""Sources and answers for the tests of citations: the real rules of sentences, words and numbers, no model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.checks import ReadNumber, read_numbers
from yearling.retrieval.citations.alignment import AlignedAnswer, AlignmentRule, Citation, align_claims
from yearling.retrieval.citations.claims import split_claims
from yearling.retrieval.citations.source import SourcePassage, citable_sentences
from yearling.store import Span

WORDS_ONLY = AlignmentRule(min_words=0.3)


def read(text: str) -> Sequence[ReadNumber]:
    """The numbers of a text, in digits and words."""
    return read_numbers(text, with_words=True)


def passage(text: str, *, document: str = "doc", start: int = 0, title: str = "", url: str = "") -> SourcePassage:
    """A passage that begins at a place of its document."""
    return SourcePassage(
        document_id=document, text_sha256=f"{document}-v1", span=Span(start, start + len(text)), text=text, title=title, url=url
    )


def chunk(text: str, start: int, end: int, *, document: str = "doc") -> SourcePassage:
    """A part of a document."""
    return passage(text[start:end], document=document, start=start)


def align(
    answer: str,
    passages: Sequence[SourcePassage],
    *,
    rule: AlignmentRule = WORDS_ONLY,
    similarities: NDArray[np.float32] | None = None,
    cited_before: Sequence[Citation] = (),
) -> AlignedAnswer:
    """Align an answer by words alone, unless there are similarities (C, S)."""
    return align_claims(
        answer,
        split_claims(answer),
        passages,
        citable_sentences(passages),
        read_numbers=read,
        rule=rule,
        similarities=similarities,
        cited_before=cited_before,
    )


def missing(answer: AlignedAnswer) -> list[tuple[str, str]]:
    """(words, kind) that stand in no cited sentence."""
    return [(each.text, each.kind) for claim in answer.claims for each in claim.missing]
