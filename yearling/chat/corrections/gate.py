"""The gate: which corrections bear on a question, by the similarity of their embeddings. Pure functions of vectors.

A similarity means nothing without its embedding model, so the thresholds are kept in `gate.toml` under the hash of the model that
they were measured with. Legend: N entries, D dimensions.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRule:
    """When an entry fires: if its cosine similarity reaches `threshold`. At most `max_entries` do."""

    threshold: float
    max_entries: int = 1

    @staticmethod
    def entry_text(question: str, answer: str) -> str:
        """The text of an entry that is embedded and compared with questions."""
        return f"{question} {answer}"

    def vector_key(self, model_hash: str) -> str:
        """Under which key the vectors of entries are stored: it changes with the embedding model and with `entry_text`."""
        return hashlib.sha256(f"{model_hash} {self.entry_text('question', 'answer')}".encode()).hexdigest()

    def select(self, question: Vectors, entries: Vectors) -> list[tuple[int, float]]:
        """The rows of `entries` (N, D) that fire for the question (D), each with its similarity, the most similar first.

        All vectors have the length 1.
        """
        if not len(entries):
            return []
        similarities = entries @ question  # (N)
        order = np.argsort(-similarities, kind="stable")[: self.max_entries]
        return [(int(row), float(similarities[row])) for row in order if similarities[row] >= self.threshold]


@cache
def gate_rules() -> Mapping[str, SimilarityRule]:
    """The measured rules by the hash of the embedding model."""
    tables = tomllib.loads(Path(__file__).with_name("gate.toml").read_text(encoding="utf-8"))
    return {model_hash: SimilarityRule(**rule) for model_hash, rule in tables.items()}
