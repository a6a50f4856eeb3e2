"""`/v1/import` and `/v1/export`: import chats from other programs, and export or restore all data of the caller."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from functools import partial
from typing import IO

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from yearling.api.access.policy import current_person, get_caller, require_role
from yearling.api.conversations import import_schemas as schemas
from yearling.api.conversations.personal_data import export_personal_data, import_personal_data, import_report_json
from yearling.api.http.body import receive_body
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter, file_body, file_content
from yearling.api.services import get_services
from yearling.clock import now_utc

router = ApiRouter()

_CHUNK_BYTES = 1 << 18
_MAX_IN_MEMORY_BYTES = 1 << 24


@router.post(
    "/v1/import",
    operation_id="import_conversations",
    dependencies=[require_role("member")],
    response_model=schemas.ConversationImportReport,
    openapi_extra=file_body("application/zip", "application/json", "application/octet-stream"),
)
async def import_conversations(request: Request) -> JsonResponse:
    """Import an export of ChatGPT or Claude (the zip or its conversations.json), LibreChat, llama.cpp, Open WebUI (JSON) or
    Yearling (zip).

    The body is the file itself. Importing the same file again changes nothing; a newer one adds what is new to the conversations
    that exist. A conversation that is malformed is reported in `left_out`, and the others are imported. One import of a person
    runs at a time (409 otherwise). Judgements that the feedback log does not have are added as the caller's own, with the current
    time. Revoked share links stay revoked.
    """
    services, person = get_services(request), current_person(request)
    with ExitStack() as stack:
        stack.enter_context(services.imports.reserve(person.id))
        file = stack.enter_context(tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY_BYTES))
        size_bytes = await receive_body(request, file.write, max_bytes=services.settings.max_import_bytes, name="file")
        if not size_bytes:
            raise ApiError(400, "The file is empty.", code="invalid_value")
        file.seek(0)
        consensus = services.running_consensus
        can_judge = get_caller(request).is_allowed("member", "feedback")
        work = partial(import_personal_data, consensus.log, person.id, file, can_judge=can_judge)
        result = await services.imports.run(work, stack.pop_all())
    if result.judgements:
        consensus.request_run()
    return JsonResponse(import_report_json(result))


@router.get(
    "/v1/export",
    operation_id="export_everything",
    dependencies=[require_role("reader")],
    responses={200: {"description": "A zip with all data of the caller.", "content": file_content("application/zip")}},
)
async def export_everything(request: Request) -> Response:
    """Export all data of the caller: conversations with their trees, samples, folders, comparisons, memories, corrections,
    settings, share links, judgements with their texts, and files. A Yearling can import the zip."""
    services, person = get_services(request), current_person(request)
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        await asyncio.to_thread(export_personal_data, services.running_consensus.log, person.id, file)
        file.seek(0)
        open_file = stack.pop_all()
    name = f"yearling-{now_utc():%Y-%m-%d}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_chunks(file, open_file), media_type="application/zip", headers=headers)


async def _chunks(file: IO[bytes], open_file: ExitStack) -> AsyncGenerator[bytes, None]:
    with open_file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
