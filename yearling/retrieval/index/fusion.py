"""One order from two: how well the words of a passage match, and how close it is in meaning.

Both scores are brought to mean 0 and deviation 1 over the candidates and added with fixed weights. Over few candidates mean and
deviation say nothing; there, reciprocal ranks are added (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", 2009).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORDS_WEIGHT, MEANING_WEIGHT = 0.3, 0.7
MIN_CANDIDATES = 50
"""Fewer candidates than this are fused by their ranks."""
RANK_CONSTANT = 60

Scores = NDArray[np.float64]


def fuse_scores(bm25: Scores, cosine: Scores) -> Scores:
    """The fused score of each candidate, given its BM25 and its cosine, which is NaN for one without a vector yet.

    A candidate without a vector is judged by its words alone.
    """
    if len(bm25) < MIN_CANDIDATES:
        return reciprocal_ranks(bm25, cosine)
    words = _standardise(bm25)
    meaning = _standardise(cosine)
    return WORDS_WEIGHT * words + MEANING_WEIGHT * np.where(np.isnan(meaning), words, meaning)


def reciprocal_ranks(bm25: Scores, cosine: Scores) -> Scores:
    """The sum of the reciprocal ranks by words and by meaning. No word in common, or no vector, is no rank."""
    fused = np.zeros(len(bm25))
    for scores, is_ranked in ((bm25, bm25 > 0), (cosine, ~np.isnan(cosine))):
        order = np.argsort(-np.where(is_ranked, scores, -np.inf), kind="stable")
        ranks = np.empty(len(scores))
        ranks[order] = np.arange(1, len(scores) + 1)
        fused += np.where(is_ranked, 1 / (RANK_CONSTANT + ranks), 0)
    return fused


def _standardise(scores: Scores) -> Scores:
    known = scores[~np.isnan(scores)]
    deviation = known.std() if len(known) else 0.0
    return (scores - known.mean()) / deviation if deviation > 0 else np.where(np.isnan(scores), np.nan, 0.0)
