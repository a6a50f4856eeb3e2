"""The extractive answer: quotations of the source, then at most one sentence of the model. For small models it is the default.

The quotations are numbered, and what the sentence takes from a quotation has the quotation's number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from yearling.retrieval.citations.alignment import AlignedAnswer, AlignedClaim, Citation, align_claims, cite_sentence
from yearling.retrieval.citations.alignment_rules import WORDS_RULE
from yearling.retrieval.citations.choice import RankedSentence
from yearling.retrieval.citations.claims import split_claims
from yearling.retrieval.citations.quantities import NumberReader
from yearling.retrieval.citations.source import SourcePassage, SourceSentence
from yearling.retrieval.passages.sentences import sentence_spans
from yearling.store import Span

_MARK = "> "
"""A quotation in Markdown."""
_LINE_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def quote_sentences(chosen: Sequence[RankedSentence], passages: Sequence[SourcePassage]) -> AlignedAnswer:
    """The quotations as an answer in Markdown, each a paragraph: those of one version in its order, else the best first.

    A line break in a sentence becomes a space.
    """
    best_first = [ranked.sentence for ranked in chosen]
    versions = {(passages[sentence.passage].document_id, passages[sentence.passage].text_sha256) for sentence in best_first}
    text = ""
    claims: list[AlignedClaim] = []
    citations: list[Citation] = []
    in_order = sorted(best_first, key=lambda sentence: sentence.span) if len(versions) == 1 else best_first
    for number, sentence in enumerate(in_order, 1):
        text += _MARK
        span = Span(len(text), len(text) + len(sentence.text))
        text += _LINE_BREAK.sub(" ", sentence.text) + "\n\n"
        claims.append(AlignedClaim(span=span, status="supported", citations=(number,), score=1.0))
        citations.append(cite_sentence(sentence, passages, number=number, claim=span))
    return AlignedAnswer(text=text, claims=tuple(claims), citations=tuple(citations), ignored_markers=())


def quote_texts(texts: Sequence[str]) -> tuple[AlignedAnswer, list[SourcePassage]]:
    """The quotations of sentences whose places are not known any more, in this order, and a passage for each of them."""
    passages = [
        SourcePassage(document_id=str(number), text_sha256="", span=Span(0, len(text)), text=text)
        for number, text in enumerate(texts)
    ]
    chosen = [RankedSentence(SourceSentence(place, passage.span, passage.text), 0.0) for place, passage in enumerate(passages)]
    return quote_sentences(chosen, passages), passages


def append_sentence(
    quotes: AlignedAnswer, text: str, passages: Sequence[SourcePassage], *, read_numbers: NumberReader
) -> AlignedAnswer:
    """The quotations followed by the first sentence of what the model wrote.

    It is compared with the quotations alone, by its words. A sentence in which anything stands in none of them is left out: the
    quotations say more than it does. `passages` are those that the quotations were chosen from.
    """
    spans = sentence_spans(text)
    first = text[spans[0].start : spans[0].end] if spans else ""
    sentence = align_claims(
        first,
        split_claims(first),
        passages,
        [SourceSentence(citation.passage, citation.span, citation.quote) for citation in quotes.citations],
        read_numbers=read_numbers,
        rule=WORDS_RULE,
        cited_before=quotes.citations,
    )
    if not sentence.claims or any(claim.status != "supported" for claim in sentence.claims):
        return quotes
    shift = len(quotes.text)
    return AlignedAnswer(
        text=quotes.text + sentence.text,
        claims=(*quotes.claims, *(replace(claim, span=_shifted(claim.span, shift)) for claim in sentence.claims)),
        citations=(
            *quotes.citations,
            *(
                replace(citation, start_index=citation.start_index + shift, end_index=citation.end_index + shift)
                for citation in sentence.citations
            ),
        ),
        ignored_markers=tuple(_shifted(span, shift) for span in sentence.ignored_markers),
    )


def _shifted(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
