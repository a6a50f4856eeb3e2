"""What was looked up for one question, whatever it was looked up in: passages of documents, web pages and posts."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.retrieval.citations.source import SourcePassage
from yearling.retrieval.index.search_result import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPage:
    """A web page that was fetched for a question. `problem` says why it could not be read; it is empty if it was."""

    url: str
    title: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSources:
    """The passages that may answer a question, best first."""

    passages: tuple[SourcePassage, ...]
    score: float = 0.0
    """How surely they answer it."""
    threshold: float | None = None
    """The score from which on they are taken to answer; None where nothing was measured."""
    web_query: str = ""
    """What the search engine was asked; empty if none was."""
    pages: tuple[ReadPage, ...] = ()

    @property
    def is_answered(self) -> bool | None:
        """Whether the passages probably answer the question; None where nothing was measured."""
        if not self.passages:
            return False
        return None if self.threshold is None else self.score >= self.threshold


def hit_passage(hit: Hit) -> SourcePassage:
    """The passage of a document that a search found."""
    return SourcePassage(document_id=hit.document_id, text_sha256=hit.text_sha256, span=hit.span, text=hit.text, title=hit.title)
