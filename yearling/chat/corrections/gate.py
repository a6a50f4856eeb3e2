"""The gate: which corrections bear on a question, by the similarity of their embeddings and by what their words name.

A similarity means nothing without its embedding model, so the parameters are kept in `gate.toml` under the hash of the model that
they were measured with (`benchmarks/corrections_gate.py`). Legend: N entries, G generic questions, D dimensions.

The score of an entry is its similarity, less a part of the similarity of the nearest generic question (a question that everybody
may ask is not about this installation), less penalties for questions that share a frame but name other things, and for those that
want another kind of answer. The one with the highest score fires if that reaches the threshold.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yearling.chat.corrections.likeness import frame_swap, has_han, wants_other_type
from yearling.inference import Embedder

Vectors = NDArray[np.float32]

NUM_RESCORED = 8
"""Entries whose words are compared: those of the highest similarity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityRule:
    """When an entry fires: if its score reaches the threshold of the question's script. At most `max_entries` do."""

    threshold: float
    han_threshold: float | None = None
    """For questions with Chinese characters; None for the same as others."""
    max_entries: int = 1
    contrast: float = 0.0
    """Weight of the similarity of the nearest generic question."""
    frame_swap: float = 0.0
    """Weight of `likeness.frame_swap`."""
    other_type: float = 0.0
    """Penalty for a question that wants another kind of answer."""
    generic: str = ""
    """File of the vectors of the generic questions (G, D), float16; empty for none."""

    @staticmethod
    def entry_texts(question: str, answer: str) -> tuple[str, str]:
        """The texts of an entry that are embedded, as passages: their mean is the entry's vector."""
        return question, f"{question} {answer}"

    @staticmethod
    def entry_vectors(passages: Vectors) -> Vectors:
        """The vectors (N, D) of N entries, from the vectors (2N, D) of their `entry_texts`, one entry after the other."""
        vectors: Vectors = passages.reshape(-1, 2, passages.shape[1]).mean(axis=1)
        return vectors

    async def embed_entries(self, entries: Sequence[tuple[str, str]], embedder: Embedder) -> Vectors:
        """The vectors (N, D) of N questions with their answers. Raises Unavailable if the embedding model fails."""
        texts = [text for entry in entries for text in self.entry_texts(*entry)]
        return self.entry_vectors(await embedder.embed_texts(texts, input_type="passage"))

    def vector_key(self, model_hash: str) -> str:
        """Under which key the vectors of entries are stored: it changes with the embedding model and with `entry_texts`."""
        return hashlib.sha256(f"{model_hash} mean passage {self.entry_texts('question', 'answer')}".encode()).hexdigest()

    def select(
        self, question: Vectors, entries: Vectors, *, text: str = "", entry_texts: Sequence[tuple[str, str]] = ()
    ) -> list[tuple[int, float]]:
        """The rows of `entries` (N, D) that fire for the question (D), each with its score, the highest first.

        `question` has the length 1; an entry is the mean of two such vectors. `text` is the question, `entry_texts` the question
        and the answer of every entry; without them, similarity alone decides. Blocks for a few milliseconds.
        """
        if not len(entries):
            return []
        scores = entries @ question  # (N)
        best = np.argsort(-scores, kind="stable")[: max(NUM_RESCORED, self.max_entries)]
        contrast = self.contrast * float((generic_vectors(self.generic) @ question).max()) if self.generic else 0.0
        scored = [(int(row), float(scores[row]) - contrast - self._penalty(text, entry_texts, int(row))) for row in best]
        threshold = self.han_threshold if self.han_threshold is not None and has_han(text) else self.threshold
        scored.sort(key=lambda pair: -pair[1])
        return [(row, score) for row, score in scored[: self.max_entries] if score >= threshold]

    def _penalty(self, text: str, entry_texts: Sequence[tuple[str, str]], row: int) -> float:
        if not entry_texts:
            return 0.0
        stored_question, stored_answer = entry_texts[row]
        swap = self.frame_swap * frame_swap(text, stored_question, stored_answer)
        return swap + self.other_type * wants_other_type(text, stored_question)


@cache
def gate_rules() -> Mapping[str, SimilarityRule]:
    """The measured rules by the hash of the embedding model."""
    tables = tomllib.loads(Path(__file__).with_name("gate.toml").read_text(encoding="utf-8"))
    return {model_hash: SimilarityRule(**rule) for model_hash, rule in tables.items()}


def generic_questions() -> tuple[str, ...]:
    """Questions that anybody may ask anywhere, in English and Chinese; they are embedded as passages."""
    lines = Path(__file__).with_name("generic_questions.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line.strip())


@cache
def generic_vectors(name: str) -> Vectors:
    """The vectors (G, D) of `generic_questions`, from a file beside this module."""
    vectors: Vectors = np.load(Path(__file__).with_name(name), allow_pickle=False).astype(np.float32)
    return vectors
