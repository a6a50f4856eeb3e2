"""Citations in the shapes that clients of OpenAI's API read, for chat and for Responses.

`start_index` and `end_index` are a half-open range of code points of the message, so `text[start_index:end_index]` is the
claim in Python. Fields beyond OpenAI's are kept by its clients and ignored by programs that do not know them: `passage` says
what is cited.

- Responses has `file_citation`, whose `index` is the place in the message where the citation stands (so it is served by
  OpenAI, whatever the docstring of its client says about a list of files), and `url_citation`.
- Chat has `url_citation` only: strict clients refuse any other type. A cited document therefore has the address at which
  the page opens it, and says in `file_citation` which file it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from yearling.retrieval.citations.alignment import Citation

Annotation = dict[str, Any]


def responses_annotations(citations: Sequence[Citation]) -> list[Annotation]:
    """The annotations of an `output_text` item of Responses, in the order of the citations."""
    return [_url_annotation(citation) if citation.url else _file_annotation(citation) for citation in citations]


def chat_annotations(citations: Sequence[Citation], open_address: Callable[[Citation], str]) -> list[Annotation]:
    """The annotations of a chat message. `open_address` says where a document is opened at its cited passage."""
    annotations = []
    for citation in citations:
        annotation: Annotation = {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.start_index,
                "end_index": citation.end_index,
                "title": citation.title,
                "url": citation.url or open_address(citation),
            },
            "passage": _passage(citation),
        }
        if not citation.url:
            annotation["file_citation"] = {"file_id": citation.document_id, "filename": citation.title, "quote": citation.quote}
        annotations.append(annotation)
    return annotations


def _url_annotation(citation: Citation) -> Annotation:
    return {
        "type": "url_citation",
        "start_index": citation.start_index,
        "end_index": citation.end_index,
        "title": citation.title,
        "url": citation.url,
        "passage": _passage(citation),
    }


def _file_annotation(citation: Citation) -> Annotation:
    return {
        "type": "file_citation",
        "file_id": citation.document_id,
        "filename": citation.title,
        "index": citation.end_index,
        "start_index": citation.start_index,
        "end_index": citation.end_index,
        "passage": _passage(citation),
    }


def _passage(citation: Citation) -> dict[str, Any]:
    """What is cited: `start` and `end` are code points of the canonical text with the hash `version`."""
    return {
        "number": citation.number,
        "document_id": citation.document_id,
        "version": citation.text_sha256,
        "start": citation.span.start,
        "end": citation.span.end,
        "quote": citation.quote,
    }
