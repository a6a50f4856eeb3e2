"""Looking questions up for OpenAI-compatible routes, and the annotations of their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from fastapi import Request

from yearling.api.access.route_helpers import base_url
from yearling.api.http.json_response import JsonObject
from yearling.api.lookup.views import sources_view
from yearling.api.openai_files.ids import public_id
from yearling.api.services import Services, get_services
from yearling.chat import AnswerSources, LookupQuery, TurnSources, sources_fact
from yearling.retrieval import Citation, FoundSources, chat_annotations, responses_annotations
from yearling.store import SearchScope


async def find_sources(
    services: Services,
    person_id: str,
    messages: Sequence[JsonObject],
    *,
    documents: SearchScope | None,
    web: bool,
    web_param: str,
) -> TurnSources | None:
    """What was looked up for the question that the messages end with; None if they do not end with one.

    `documents` are those that are searched. Raises ApiError for a web search without a search engine, and NotFound for documents
    that are not the person's.
    """
    if web:
        services.require_web_search(web_param)
    last = messages[-1] if messages else {}
    if not (documents or web) or last.get("role") != "user":
        return None
    query = LookupQuery(
        question=last["content"],
        scope=documents or SearchScope(person_id=person_id),
        documents=documents is not None,
        web=web,
        is_explicit=documents is not None,
    )
    return await services.lookup.find(query)


def document_address(request: Request) -> Callable[[Citation], str]:
    """Where the page opens a cited document, at its passage."""
    base = base_url(request, get_services(request).settings)

    def address(citation: Citation) -> str:
        place = {"version": citation.text_sha256, "start": citation.span.start, "end": citation.span.end}
        return f"{base}/documents/{citation.document_id}?{urlencode(place)}"

    return address


def chat_sources_json(sources: AnswerSources | None, open_address: Callable[[Citation], str]) -> JsonObject:
    """The fields `annotations` and `sources` of a message; none if nothing was looked up."""
    if sources is None:
        return {}
    return {"annotations": chat_annotations(sources.citations, open_address), "sources": sources_view(sources_fact(sources))}


def response_annotations_json(sources: AnswerSources | None) -> list[JsonObject]:
    """The annotations of an `output_text`. Files have the IDs of `/v1/files`."""
    annotations = [] if sources is None else responses_annotations(sources.citations)
    return [
        {**each, "file_id": public_id("file-", each["file_id"])} if each["type"] == "file_citation" else each
        for each in annotations
    ]


def file_search_item(item_id: str, question: str, found: FoundSources, *, with_results: bool) -> JsonObject:
    """A `FileSearchCall`."""
    results = [
        {
            "file_id": public_id("file-", passage.document_id),
            "filename": passage.title,
            "text": passage.text,
        }
        for passage in found.passages
        if passage.kind == "document"
    ]
    call: JsonObject = {"type": "file_search_call", "id": item_id, "status": "completed", "queries": [question]}
    return {**call, "results": results if with_results else None}


def web_search_item(item_id: str, found: FoundSources) -> JsonObject:
    """A `WebSearchCall`."""
    pages = [{"type": "url", "url": page.url} for page in found.pages if page.url]
    action = {"type": "search", "query": found.web_query, "sources": pages}
    return {"type": "web_search_call", "id": item_id, "status": "completed", "action": action}
