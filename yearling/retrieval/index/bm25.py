"""BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009), over passages that were found.

The databases find passages; how well these match is computed here, so that SQLite and Postgres give the same order. K1 and B are
those of FTS5's own `bm25`, which is not used: over 100,000 passages it takes a second for a question of 15 words, and it counts
the passages of all people together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

K1, B = 1.2, 0.75


@dataclass(frozen=True, slots=True)
class WordStatistics:
    """What BM25 knows of the passages that are searched: how many there are, their mean length, and who has which word."""

    num_passages: int
    mean_words: float
    passages_with: Mapping[str, int]

    def weight(self, word: str) -> float:
        """The inverse document frequency of a word, in the form that is never negative."""
        num_with = self.passages_with.get(word, 0)
        return math.log(1 + (self.num_passages - num_with + 0.5) / (num_with + 0.5))


def score_texts(words: Sequence[str], texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """The BM25 of each text for the words of a question, among these texts alone. A text is its words."""
    wanted = set(words)
    holders = Counter(word for text in texts for word in set(text) if word in wanted)
    statistics = WordStatistics(len(texts), sum(map(len, texts)) / max(1, len(texts)) or 1.0, holders)
    return np.asarray(score_words([(" ".join(text), len(text)) for text in texts], words, [""], statistics).sum(axis=1))


def score_words(
    passages: Sequence[tuple[str, int]], words: Sequence[str], keys: Sequence[str], statistics: WordStatistics
) -> NDArray[np.float64]:
    """The share of each word in the BM25 of each passage, (passages, words); BM25 is the sum over the words.

    A passage is its words, joined by spaces, each with one of the keys before it, and their number.
    """
    columns = {f"{key}{word}": column for key in keys for column, word in enumerate(words, 1)}
    cells: list[int] = []
    for row, (text, _) in enumerate(passages):
        first = row * len(words) - 1
        cells += [first + column for column in map(columns.get, text.split(" ")) if column]
    counts = np.bincount(np.array(cells, np.int64), minlength=len(passages) * len(words)).reshape(len(passages), len(words))
    lengths = np.array([length for _, length in passages], np.float64)
    saturation = K1 * (1 - B + B * lengths / max(statistics.mean_words, 1e-9))
    weights = np.array([statistics.weight(word) for word in words])
    return weights * counts * (K1 + 1) / (counts + saturation[:, None])
