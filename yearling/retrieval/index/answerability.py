"""Whether the documents answer a question at all, by one number that compares between questions.

The number is how much of the question's words a passage matches, of what the best passage for each word would, plus the weighted
cosine of question and passage. A word that stands in no passage counts like the strongest one that does: what is asked about it
is nowhere. Where it lies below the threshold of the embedding model, the assistant says that the answer is
not in the documents. `python -m benchmarks.retrieval --write` fits the thresholds, on questions that nothing is measured with.
"""

from __future__ import annotations

import functools
import tomllib
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

COSINE_WEIGHT = 3.0


def answerability(shares: NDArray[np.float64], cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of each candidate. `shares` (candidates, words) are those of BM25; `cosines` are NaN where there is no vector."""
    best = shares.max(axis=0) if shares.size else np.zeros(1)
    possible = np.where(best > 0, best, best.max()).sum()
    words = shares.sum(axis=1) / possible if possible > 0 else np.zeros(len(cosines))
    return words + COSINE_WEIGHT * np.nan_to_num(cosines)


def threshold_of(model_hash: str) -> float | None:
    """The score from which on the documents are taken to answer, for an embedding model; None if it was never measured."""
    threshold = _thresholds().get(model_hash)
    return None if threshold is None else float(threshold)


@functools.cache
def _thresholds() -> dict[str, float]:
    text = (files("yearling.retrieval.index") / "answerability.toml").read_text(encoding="utf-8")
    return {str(name): float(value) for name, value in tomllib.loads(text)["thresholds"].items()}
