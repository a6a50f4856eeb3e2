"""`/v1/corrections/import` and `/export`: corrections from an FAQ file, with a preview, and as CSV that it reads again."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from yearling.api.access.policy import current_person, require_role
from yearling.api.corrections import schemas
from yearling.api.corrections.routes import may_judge
from yearling.api.http.body import receive_body
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, file_body
from yearling.api.services import get_services
from yearling.chat import MAX_FAQ_BYTES, FaqEntry, faq_csv, parse_faq_file
from yearling.feedback import FeedbackLog, add_corrections, name_mentions, preview_corrections
from yearling.store import CorrectionScope

router = ApiRouter()

_CSV = {"schema": {"type": "string"}}


@router.post(
    "/v1/corrections/import",
    operation_id="import_corrections",
    dependencies=[require_role("member")],
    response_model=schemas.CorrectionFileReport,
    openapi_extra=file_body("text/csv", "text/markdown", "application/octet-stream"),
)
async def import_corrections(
    request: Request,
    name: Annotated[str, Query(max_length=255, description="Name of the file. Its ending tells the format.")] = "",
    scope: Annotated[
        schemas.CorrectionScopeName, Query(description="For whom the corrections are: the caller, or proposed to the team.")
    ] = "me",
    preview: Annotated[bool, Query(description="Whether to store nothing and only report.")] = True,
) -> JsonResponse:
    """Read questions and answers from a CSV or Markdown file, and store them unless it is a preview.

    The body is the file itself: at most 2 MB and 2,000 questions. CSV: the columns `question` and `answer`. Markdown: headings or
    bold lines that are questions, each followed by its answer, or lines that begin with `Q:` and `A:`.
    """
    can_judge = may_judge(request, needed=scope == "team")
    services, person = get_services(request), current_person(request)
    buffer = bytearray()
    await receive_body(request, buffer.extend, max_bytes=MAX_FAQ_BYTES, name="file")
    consensus = services.running_consensus

    def read() -> JsonObject:
        entries = parse_faq_file(bytes(buffer), name)
        return _read_file(consensus.log, person.id, entries, name, scope, preview=preview, can_judge=can_judge)

    report = await asyncio.to_thread(read)
    if not preview:
        consensus.request_run()
    return JsonResponse(report)


@router.get(
    "/v1/corrections/export",
    operation_id="export_corrections",
    dependencies=[require_role("reader")],
    responses={200: {"description": "The caller's corrections as CSV.", "content": {"text/csv": _CSV}}},
)
async def export_corrections(request: Request) -> Response:
    """Export the caller's corrections as a CSV file with the columns `question` and `answer`, oldest first."""
    services, person = get_services(request), current_person(request)

    def write() -> bytes:
        records = services.store.corrections.list(person.id)
        return faq_csv((record.question, record.answer) for record in reversed(records) if record.kind == "correction")

    content = await asyncio.to_thread(write)
    headers = {"content-disposition": 'attachment; filename="corrections.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def _read_file(
    log: FeedbackLog,
    person_id: str,
    entries: list[FaqEntry],
    name: str,
    scope: CorrectionScope,
    *,
    preview: bool,
    can_judge: bool,
) -> JsonObject:
    """A `CorrectionFileReport`. Stores the entries unless it is a preview."""
    pairs = [(entry.question, entry.answer) for entry in entries]
    previews = preview_corrections(log, person_id, pairs, scope=scope)
    if not preview:
        add_corrections(log, person_id, pairs, scope=scope, source=name, can_judge=can_judge)
    statuses = [each.status for each in previews]
    return {
        "object": "correction.import",
        "preview": preview,
        "new": statuses.count("new") + statuses.count("replaces"),
        "replaced": statuses.count("replaces"),
        "known": statuses.count("known") + statuses.count("repeated"),
        "names": name_mentions(log, [text for pair in pairs for text in pair]) if scope == "team" else [],
        "data": [
            {
                "line": entry.line,
                "question": entry.question,
                "answer": entry.answer,
                "status": each.status,
                "earlier": each.earlier or None,
            }
            for entry, each in zip(entries, previews, strict=True)
        ],
    }
