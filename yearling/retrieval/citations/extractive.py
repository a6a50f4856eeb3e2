"""The extractive answer: quotations of the source, then at most one sentence of the model. For small models it is the default.

Plain data: how it is written is decided where answers are rendered. The quotations are numbered first; the sentence is
aligned like any answer, and what it takes from a quotation has the quotation's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yearling.retrieval.citations.alignment import AlignedAnswer, Citation
from yearling.retrieval.citations.choice import RankedSentence
from yearling.retrieval.citations.source import SourcePassage


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerability:
    """Whether what was found answers the question, as the index measured it."""

    score: float
    threshold: float

    @property
    def is_in_documents(self) -> bool:
        """False for "this is not in your documents"."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractiveAnswer:
    """Quotations that answer a question, or the statement that the documents do not."""

    answerability: Answerability
    quotes: tuple[Citation, ...] = ()
    """In the order of the source where they come from one version, else the best first; empty if it is not in the documents.

    Their places in an answer are empty (0, 0): who writes the answer sets them."""
    sentence: AlignedAnswer | None = None
    """The sentence of the model, aligned; None if it has written none, or nothing that a source supports."""


def quote_sentences(
    chosen: Sequence[RankedSentence], passages: Sequence[SourcePassage], answerability: Answerability
) -> ExtractiveAnswer:
    """The extractive answer without a sentence of the model."""
    if not answerability.is_in_documents:
        return ExtractiveAnswer(answerability=answerability)
    best_first = [ranked.sentence for ranked in chosen]
    sources = {(passages[sentence.passage].document_id, passages[sentence.passage].text_sha256) for sentence in best_first}
    in_order = sorted(best_first, key=lambda sentence: sentence.span) if len(sources) == 1 else best_first
    quotes = tuple(
        Citation(
            number=number,
            start_index=0,
            end_index=0,
            passage=sentence.passage,
            document_id=passages[sentence.passage].document_id,
            text_sha256=passages[sentence.passage].text_sha256,
            span=sentence.span,
            quote=sentence.text,
            title=passages[sentence.passage].title,
            url=passages[sentence.passage].url,
        )
        for number, sentence in enumerate(in_order, 1)
    )
    return ExtractiveAnswer(answerability=answerability, quotes=quotes)


def with_sentence(answer: ExtractiveAnswer, sentence: AlignedAnswer) -> ExtractiveAnswer:
    """The extractive answer with a sentence of the model, aligned with `cited_before=answer.quotes`.

    A sentence with nothing that a source supports is left out: the quotations say more than it does.
    """
    is_supported = any(claim.status == "supported" for claim in sentence.claims)
    return ExtractiveAnswer(
        answerability=answer.answerability,
        quotes=answer.quotes,
        sentence=sentence if is_supported and answer.quotes else None,
    )
