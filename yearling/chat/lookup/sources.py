"""What a turn answers from, and what its answer cites. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yearling.inference import Embedder
from yearling.retrieval import AlignedAnswer, Citation, FoundSources, SourcePassage

SOURCES_FACT = "sources"
"""The fact of a message that holds what was looked up for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSources:
    """The sources of one turn. The model is shown them unless they do not answer the question."""

    found: FoundSources
    quotes: AlignedAnswer | None = None
    """The answer in the words of the sources, for models that quote; None if no sentence was chosen."""
    embedder: Embedder | None = None
    """Compares the answer with the sources by meaning; without one, words alone decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSources:
    """What was looked up for an answer, and what of it stands where. `aligned` is None if no source was shown to the model."""

    found: FoundSources
    aligned: AlignedAnswer | None = None
    has_model_text: bool = True
    """False for quotations alone: what the model wrote beside them was left out, so that nobody can judge it."""

    @property
    def citations(self) -> tuple[Citation, ...]:
        """What the answer cites, where it stands in it."""
        return () if self.aligned is None else self.aligned.citations


def sources_fact(sources: AnswerSources) -> dict[str, Any]:
    """What a message keeps of its sources, as JSON: `AnswerSourcesView` but for what becomes of the sources later."""
    found, aligned = sources.found, sources.aligned
    by_number = {citation.number: citation for citation in sources.citations}
    return {
        "found": found.is_answered,
        "score": found.score,
        "threshold": found.threshold,
        "citations": [_citation(citation, found.passages[citation.passage]) for _, citation in sorted(by_number.items())],
        "claims": []
        if aligned is None
        else [
            {
                "start": claim.span.start,
                "end": claim.span.end,
                "status": claim.status,
                "citations": list(claim.citations),
                "missing": [
                    {"start": words.span.start, "end": words.span.end, "text": words.text, "kind": words.kind}
                    for words in claim.missing
                ],
            }
            for claim in aligned.claims
        ],
        "web_query": found.web_query,
        "pages": [{"url": page.url, "title": page.title, "problem": page.problem} for page in found.pages],
    }


def _citation(citation: Citation, passage: SourcePassage) -> dict[str, Any]:
    return {
        "number": citation.number,
        "kind": passage.kind,
        "title": passage.title,
        "url": passage.url,
        "document": passage.document_id,
        "text_sha256": passage.text_sha256,
        "start": citation.span.start,
        "end": citation.span.end,
        "quote": citation.quote,
        "author": passage.author,
        "published_utc": None if passage.published_utc is None else passage.published_utc.isoformat(),
    }
