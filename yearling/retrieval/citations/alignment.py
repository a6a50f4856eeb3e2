"""Align an answer to its sources: each claim to the one or two sentences that support it, and what of it stands in neither.

The model writes no citations; this does. A claim is a sentence of the answer. The sentence that repeats it word by word wins;
else the one that shares most of its words and is closest in meaning. A claim that reaches no threshold is *unsupported*.
Numbers, dates, names and negations of a supported claim must stand in the sentences that are cited for it; those that do not
are listed with their own places, and the claim is *altered*. Not found are antonyms, two numbers of one sentence that change
places, and wrong words that are no names.

All offsets count code points, as Python does. A browser counts UTF-16 units: see `utf16_offsets`.

`align_answer` embeds and calls `align_claims`, which is a pure function. Legend: C claims, S sentences.
"""

from __future__ import annotations

import asyncio
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yearling.inference import Embedder
from yearling.retrieval.citations.claims import MAX_CLAIMS, Claim, find_markers, split_claims
from yearling.retrieval.citations.facts import Facts, MissingWords, SourceFacts, missing_words, read_facts
from yearling.retrieval.citations.folding import FoldedText, fold, is_mostly_han
from yearling.retrieval.citations.quantities import NumberReader
from yearling.retrieval.citations.source import SourcePassage, SourceSentence, citable_sentences
from yearling.retrieval.index.tokens import index_tokens
from yearling.store import Span

ClaimStatus = Literal["supported", "altered", "unsupported", "unchecked"]
"""`unchecked` is what stands behind the first `MAX_CLAIMS` claims."""

MAX_CITED = 2
"""Sentences that are cited for one claim."""
_NEW_WORDS = 0.2
"""Share of the claim's words, besides numbers, that a second sentence adds to the first."""
_SUBJECT_CHARS = 5
"""Code points of a claim in front of its subject."""
_COMPARED = 8
"""Sentences whose facts are compared with a claim: those of the highest scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRule:
    """When a sentence supports a claim. Measured with `benchmarks.citations` for one embedding model."""

    model_hash: str = ""
    """The embedding model of `min_similarity`; empty if words alone decide."""
    min_words: float
    """Share of the claim's words, weighted by rarity, that the sentence must have."""
    min_similarity: float = 2.0
    """Cosine from which a sentence supports a claim whose words it does not have. No cosine reaches the default."""
    min_similarity_han: float = 2.0
    """The same where both are Chinese: the model finds Chinese sentences more alike."""
    min_similarity_across: float = 2.0
    """The same where one is Chinese and the other is not: the model finds them less alike."""
    similarity_weight: float = 0.0
    """What a cosine counts beside the share of words where several sentences compete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A sentence that is cited for a claim. Citations with one number cite one sentence."""

    number: int
    """From 1, in the order of first use."""
    start_index: int
    """Code point of the answer at which the claim begins."""
    end_index: int
    """Code point of the answer behind the claim."""
    passage: int
    """The place of the passage in the list that was searched."""
    document_id: str
    text_sha256: str
    span: Span
    """Of the canonical text of the version: `text[span.start:span.end] == quote`."""
    quote: str
    title: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedClaim:
    """A sentence of the answer, and what supports it."""

    span: Span
    """Code points of the answer."""
    status: ClaimStatus
    citations: tuple[int, ...] = ()
    """Numbers of the citations, the best first."""
    missing: tuple[MissingWords, ...] = ()
    """Words of the answer that stand in none of the cited sentences: "not found in the source"."""
    is_other_language: bool = False
    """Whether the cited sentences are in another language, so that names could not be compared."""
    score: float = 0.0
    """How much of the claim the best sentence has, from 0 to 1; a quotation has 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedAnswer:
    """An answer with its citations. `text` is the answer, unchanged."""

    text: str
    claims: tuple[AlignedClaim, ...]
    citations: tuple[Citation, ...]
    """Sorted by where they stand in the answer, then by number."""
    ignored_markers: tuple[Span, ...]
    """Citations that the model wrote by itself. They mean nothing, and a page hides them."""


async def align_answer(
    answer: str,
    passages: Sequence[SourcePassage],
    *,
    read_numbers: NumberReader,
    rule: AlignmentRule,
    embedder: Embedder | None = None,
    cited_before: Sequence[Citation] = (),
) -> AlignedAnswer:
    """Align an answer to what was found, with the rule from `alignment_rule`.

    A rule without a model uses no embedder: then words alone decide, and nothing is found in other languages. Raises
    Unavailable if the embedder fails, and ValueError if the rule was measured with another model than the embedder's.
    """
    claims = split_claims(answer)
    sentences = await asyncio.to_thread(citable_sentences, passages)
    similarities: NDArray[np.float32] | None = None
    if rule.model_hash and (embedder is None or rule.model_hash != embedder.model_hash):
        raise ValueError("the rule of alignment was measured with another embedding model")
    if rule.model_hash and embedder is not None and claims and sentences:
        compared = claims[:MAX_CLAIMS]
        claim_vectors = await embedder.embed_texts([claim.text for claim in compared], input_type="query")
        sentence_vectors = await embedder.embed_texts([sentence.text for sentence in sentences], input_type="passage")
        similarities = claim_vectors @ sentence_vectors.T
    align = partial(
        align_claims,
        answer,
        claims,
        passages,
        sentences,
        read_numbers=read_numbers,
        rule=rule,
        similarities=similarities,
        cited_before=cited_before,
    )
    return await asyncio.to_thread(align)


def align_claims(
    answer: str,
    claims: Sequence[Claim],
    passages: Sequence[SourcePassage],
    sentences: Sequence[SourceSentence],
    *,
    read_numbers: NumberReader,
    rule: AlignmentRule,
    similarities: NDArray[np.float32] | None = None,
    cited_before: Sequence[Citation] = (),
) -> AlignedAnswer:
    """Align the claims of an answer to sentences. `similarities` (C, S) are cosines.

    `cited_before` are citations that stand in front of the answer, such as the quotations of an extractive answer: they keep
    their numbers, and the numbers of the answer go on from there.
    """
    aligner = _Aligner(sentences, read_numbers, rule)
    numbers: dict[tuple[str, str, Span], int] = {_key(citation): citation.number for citation in cited_before}
    aligned: list[AlignedClaim] = []
    citations: list[Citation] = []
    for place, claim in enumerate(claims):
        if place >= MAX_CLAIMS:
            aligned.append(AlignedClaim(span=claim.span, status="unchecked"))
            continue
        match = aligner.match(claim, similarities[place] if similarities is not None else None)
        cited = []
        for index in match.sentences:
            sentence = sentences[index]
            key = (passages[sentence.passage].document_id, passages[sentence.passage].text_sha256, sentence.span)
            number = numbers.setdefault(key, max(numbers.values(), default=0) + 1)
            cited.append(number)
            citations.append(cite_sentence(sentence, passages, number=number, claim=claim.span))
        aligned.append(
            AlignedClaim(
                span=claim.span,
                status="unsupported" if not cited else "altered" if match.missing else "supported",
                citations=tuple(cited),
                missing=match.missing,
                is_other_language=match.is_other_language,
                score=match.score,
            )
        )
    return AlignedAnswer(
        text=answer,
        claims=tuple(aligned),
        citations=tuple(sorted(citations, key=lambda citation: (citation.start_index, citation.number))),
        ignored_markers=tuple(find_markers(answer)),
    )


def utf16_offsets(text: str, offsets: Sequence[int]) -> list[int]:
    """The offsets in UTF-16 units, which browsers count, of offsets in code points. An emoji counts two there and one here."""
    units = [0]
    for character in text:
        units.append(units[-1] + (2 if ord(character) > 0xFFFF else 1))
    return [units[offset] for offset in offsets]


def _key(citation: Citation) -> tuple[str, str, Span]:
    return citation.document_id, citation.text_sha256, citation.span


def cite_sentence(sentence: SourceSentence, passages: Sequence[SourcePassage], *, number: int, claim: Span) -> Citation:
    """The citation of a sentence for what stands at `claim` in an answer."""
    passage = passages[sentence.passage]
    return Citation(
        number=number,
        start_index=claim.start,
        end_index=claim.end,
        passage=sentence.passage,
        document_id=passage.document_id,
        text_sha256=passage.text_sha256,
        span=sentence.span,
        quote=sentence.text,
        title=passage.title,
        url=passage.url,
    )


@dataclass(frozen=True, slots=True)
class _Match:
    sentences: tuple[int, ...] = ()
    missing: tuple[MissingWords, ...] = ()
    score: float = 0.0
    is_other_language: bool = False


class _Aligner:
    """The sentences, read once: their words, folded texts and facts."""

    def __init__(self, sentences: Sequence[SourceSentence], read_numbers: NumberReader, rule: AlignmentRule) -> None:
        self._sentences = sentences
        self._read_numbers = read_numbers
        self._rule = rule
        self._folded: list[FoldedText] = [fold(sentence.text) for sentence in sentences]
        self._is_han_S = np.array([is_mostly_han(sentence.text) for sentence in sentences], np.bool_)
        self._holders: dict[str, list[int]] = {}
        for index, sentence in enumerate(sentences):
            for token in set(self._words(sentence.text)):
                self._holders.setdefault(token, []).append(index)
        self._facts: dict[int, SourceFacts] = {}

    def match(self, claim: Claim, similarities_S: NDArray[np.float32] | None) -> _Match:
        """The sentences that support a claim, and what they lack."""
        if not self._sentences:
            return _Match()
        facts = read_facts(claim.text, self._read_numbers)
        words_S = self._shared_words(self._words(claim.text))
        frame_S = self._shared_words(self._words(_without(claim.text, facts)))
        quoted = self._quoting(claim)
        scores_S = words_S.copy()
        if similarities_S is not None:
            scores_S = scores_S + self._rule.similarity_weight * similarities_S
        best = [int(index) for index in np.argsort(-scores_S, kind="stable")[:_COMPARED]]
        first = best[0]
        if not (
            quoted is not None
            or words_S[first] >= self._rule.min_words
            or (similarities_S is not None and similarities_S[first] >= self._min_similarity(claim, first))
        ):
            return _Match(score=float(words_S[first]))
        # Whatever is repeated word by word stands in the source.
        chosen, missing = ((quoted,), []) if quoted is not None else self._with_second(claim, facts, best, frame_S)
        return _Match(
            sentences=chosen,
            missing=tuple(
                MissingWords(Span(claim.span.start + words.span.start, claim.span.start + words.span.end), words.text, words.kind)
                for words in missing
            ),
            score=1.0 if quoted is not None else float(words_S[first]),
            is_other_language=all(self._is_han_S[index] != is_mostly_han(claim.text) for index in chosen),
        )

    def _min_similarity(self, claim: Claim, index: int) -> float:
        if self._is_han_S[index] != is_mostly_han(claim.text):
            return self._rule.min_similarity_across
        return self._rule.min_similarity_han if self._is_han_S[index] else self._rule.min_similarity

    def _with_second(
        self, claim: Claim, facts: Facts, best: Sequence[int], frame_S: NDArray[np.float64]
    ) -> tuple[tuple[int, ...], list[MissingWords]]:
        """The best sentence, or one as good that says more, and a second one where the claim takes from two.

        A second sentence must have words of the claim besides the missing ones: else a wrong number would find a sentence that
        happens to have it.
        """
        chosen: tuple[int, ...] = (best[0],)
        missing = missing_words(claim.text, facts, [self._facts_of(best[0])])
        if not missing:
            return chosen, missing
        for index in best[1:]:
            if frame_S[index] >= frame_S[best[0]] and frame_S[index] > 0:
                other = missing_words(claim.text, facts, [self._facts_of(index)])
                if len(other) < len(missing):
                    chosen, missing = (index,), other
        first = chosen[0]
        for index in best:
            if missing and index != first and self._may_add(claim, facts, first, index, missing, frame_S):
                other = missing_words(claim.text, facts, [self._facts_of(first), self._facts_of(index)])
                # A denial is not looked for elsewhere: some sentence always denies something.
                if _num_named(other) < _num_named(missing):
                    chosen, missing = (first, index), other
        return chosen, missing

    def _may_add(
        self, claim: Claim, facts: Facts, first: int, index: int, missing: Sequence[MissingWords], frame_S: NDArray[np.float64]
    ) -> bool:
        """Whether a claim may take from a second sentence as well."""
        source, other = self._sentences[first], self._sentences[index]
        if source.passage == other.passage:
            # Only what it speaks of is missing: the source named that before, and goes on with a pronoun.
            is_subject = all(words.kind == "name" for words in missing) and missing[0].span.start <= _SUBJECT_CHARS
            if is_subject and len(missing) == 1 and other.span < source.span:
                return True
        elif frame_S[index] < self._rule.min_words:
            return False
        return self._union_of_words(claim, facts, first, index) >= float(frame_S[first]) + _NEW_WORDS

    def _union_of_words(self, claim: Claim, facts: Facts, first: int, second: int) -> float:
        tokens = self._words(_without(claim.text, facts))
        weights = {token: self._weight(token) for token in tokens}
        total = sum(weights.values())
        shared = sum(
            weight
            for token, weight in weights.items()
            if first in self._holders.get(token, ()) or second in self._holders.get(token, ())
        )
        return shared / total if total else 0.0

    def _words(self, text: str) -> list[str]:
        """The different words of a text, in a fixed order; full-width letters and digits are those of normal width."""
        return list(dict.fromkeys(index_tokens(unicodedata.normalize("NFKC", text))))

    def _shared_words(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """The weighted share of the claim's words that each sentence has (S)."""
        shared_S = np.zeros(len(self._sentences))
        total = 0.0
        for token in tokens:
            weight = self._weight(token)
            total += weight
            shared_S[self._holders.get(token, [])] += weight
        return shared_S / total if total else shared_S

    def _weight(self, token: str) -> float:
        """Rare words count more; a word that no source has counts as one that a single sentence has."""
        return math.log(1 + len(self._sentences) / max(1, len(self._holders.get(token, ()))))

    def _quoting(self, claim: Claim) -> int | None:
        """The first sentence that contains the whole claim."""
        folded = fold(claim.text.strip())
        if len(folded.text) < 4:
            return None
        return next((index for index, text in enumerate(self._folded) if text.find(folded) >= 0), None)

    def _facts_of(self, index: int) -> SourceFacts:
        if index not in self._facts:
            self._facts[index] = SourceFacts.read(self._sentences[index].text, self._read_numbers)
        return self._facts[index]


def _num_named(missing: Sequence[MissingWords]) -> int:
    return sum(words.kind != "negation" for words in missing)


def _without(text: str, facts: Facts) -> str:
    """The claim with spaces in place of its numbers and dates."""
    characters = list(text)
    for span in facts.number_spans:
        characters[span.start : span.end] = " " * (span.end - span.start)
    return "".join(characters)
