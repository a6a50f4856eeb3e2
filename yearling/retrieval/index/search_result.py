"""What a search finds."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.store import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage that may answer a question. `text` is `canonical text[span.start:span.end]` of the named version."""

    document_id: str
    text_sha256: str
    """The version, by the hash of its text."""
    span: Span
    score: float
    """How well it matches, among the passages of this search. Scores of two searches cannot be compared."""
    text: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The passages that match best, best first."""

    hits: tuple[Hit, ...]
    score: float
    """How surely the first hits answer the question at all: comparable between searches with the same embedding model."""
    threshold: float | None
    """The score from which on the documents are taken to answer; None where nothing was measured, as for words alone."""
    by_meaning: bool
    """Whether the passages were compared by meaning as well as by words."""
    num_passages: int
    """How many passages were searched."""
    num_without_vector: int = 0
    """How many of these could be found by their words only, because their vectors are not computed yet."""

    @property
    def is_in_documents(self) -> bool | None:
        """Whether the answer probably is in the documents; None where nothing was measured."""
        return None if self.threshold is None else self.score >= self.threshold
