"""Which sentences of the passages that were found answer a question: words and meaning together.

Words are scored by BM25 (Robertson and Zaragoza, 2009, equation 3.15) over the sentences of the passages alone: a word that
stands in every sentence of a passage tells them apart no more, however rare it is elsewhere. Meaning is the cosine of the
embeddings. Both are standardised and added. Legend: S sentences.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yearling.inference import Embedder
from yearling.retrieval.citations.alignment import MAX_CITED
from yearling.retrieval.citations.source import SourcePassage, SourceSentence, citable_sentences
from yearling.retrieval.index.bm25 import score_texts
from yearling.retrieval.index.tokens import index_tokens

_WORDS_WEIGHT, _MEANING_WEIGHT = 0.7, 0.3
_RANK_WEIGHT = 2.0
"""What the passage's place in the search counts: minus this times the logarithm of the place, from 1."""


@dataclass(frozen=True, slots=True)
class RankedSentence:
    """A sentence with its score, which compares it with others of the same question only."""

    sentence: SourceSentence
    score: float


async def choose_sentences(
    question: str,
    passages: Sequence[SourcePassage],
    embedder: Embedder | None,
    *,
    limit: int = MAX_CITED,
) -> list[RankedSentence]:
    """The sentences that answer a question best, the best first. `passages` come in the order in which the search ranked them.

    Without an embedder, words alone decide. Raises Unavailable if the embedder fails.
    """
    sentences = await asyncio.to_thread(citable_sentences, passages)
    if not sentences:
        return []
    similarities: NDArray[np.float32] | None = None
    if embedder is not None:
        (question_vector,) = await embedder.embed_texts([question], input_type="query")
        similarities = (
            await embedder.embed_texts([sentence.text for sentence in sentences], input_type="passage")
        ) @ question_vector
    scores_S = await asyncio.to_thread(score_sentences, question, sentences, similarities=similarities)
    best = np.argsort(-scores_S, kind="stable")[:limit]
    return [RankedSentence(sentences[index], float(scores_S[index])) for index in best]


def score_sentences(
    question: str,
    sentences: Sequence[SourceSentence],
    *,
    similarities: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """The score of each sentence (S): higher is better. `similarities` (S) are cosines with the question."""
    words_S = score_texts(sorted(set(index_tokens(question))), [index_tokens(sentence.text) for sentence in sentences])
    scores_S = _WORDS_WEIGHT * _standardised(words_S)
    if similarities is not None:
        scores_S = scores_S + _MEANING_WEIGHT * _standardised(similarities.astype(np.float64))
    ranks_S = np.array([1 + sentence.passage for sentence in sentences], np.float64)
    return scores_S - _RANK_WEIGHT * np.log(ranks_S)


def _standardised(values_S: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values_S - values_S.mean()) / (values_S.std() + 1e-9))
