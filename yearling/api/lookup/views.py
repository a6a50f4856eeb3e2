"""The sources of an answer as JSON data, made from what its message keeps of them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from yearling.api.http.json_response import JsonObject


def sources_view(fact: Mapping[str, Any], existing_documents: Container[str] | None = None) -> JsonObject:
    """An `AnswerSourcesView` of what `chat.sources_fact` returns.

    `existing_documents` are those of the cited documents that nobody has removed; None for an answer that was just given.
    """
    citations = [
        {**citation, "removed": existing_documents is not None and _is_removed(citation, existing_documents)}
        for citation in fact["citations"]
    ]
    return {**fact, "citations": citations}


def _is_removed(citation: Mapping[str, Any], existing_documents: Container[str]) -> bool:
    return citation["kind"] == "document" and citation["document"] not in existing_documents
