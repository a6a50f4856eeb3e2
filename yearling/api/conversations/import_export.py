"""`/v1/import` and `/v1/export`: conversations of other programs in, and everything that is one's own out, and in again."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import IO

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from yearling.api.access.policy import current_person, get_caller, require_role
from yearling.api.conversations import personal_schemas as schemas
from yearling.api.conversations.personal_data import export_personal_data, import_personal_data, import_report_json
from yearling.api.http.errors import ApiError, to_json_bytes
from yearling.api.http.openapi import response_docs
from yearling.api.services import get_services
from yearling.clock import now_utc

router = APIRouter()

_CHUNK_BYTES = 1 << 18
_MAX_IN_MEMORY_BYTES = 1 << 24
_FILE = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/v1/import",
    operation_id="import_conversations",
    dependencies=[require_role("member")],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/zip": _FILE, "application/json": _FILE, "application/octet-stream": _FILE},
        }
    },
    responses=response_docs(schemas.ConversationImportReport),
)
async def import_conversations(request: Request) -> Response:
    """Take in the export of ChatGPT (the zip or its conversations.json), of Open WebUI (JSON) or of a Yearling (zip).

    The body is the file itself. Taking in the same file again changes nothing. Judgements that are not in the log enter it as
    the asker's own, with today's time; links that were revoked stay so.
    """
    services, person = get_services(request), current_person(request)
    most = services.settings.max_import_bytes
    with tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY_BYTES) as file:
        await _receive(request, file, most)
        board = services.running_consensus
        may_judge = get_caller(request).is_allowed("member", "feedback")
        done = await asyncio.to_thread(import_personal_data, board.log, person.id, file, can_judge=may_judge)
    if done.judgements:
        board.request_run()
    return Response(to_json_bytes(import_report_json(done)), media_type="application/json")


@router.get(
    "/v1/export",
    operation_id="export_everything",
    dependencies=[require_role("reader")],
    responses=response_docs(schemas.ConversationImportReport)
    | {200: {"description": "A zip of everything that is the asker's.", "content": {"application/zip": _FILE}}},
)
async def export_everything(request: Request) -> Response:
    """Everything that is the asker's: conversations with their trees, samples, folders, comparisons, memories, settings, links,
    judgements with their words, files. A Yearling takes it in again."""
    services, person = get_services(request), current_person(request)
    board = services.running_consensus
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        await asyncio.to_thread(export_personal_data, board.log, person.id, file)
        file.seek(0)
        opened = stack.pop_all()
    name = f"yearling-{now_utc():%Y-%m-%d}.zip"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(_chunks(file, opened), media_type="application/zip", headers=headers)


async def _receive(request: Request, file: IO[bytes], max_bytes: int) -> None:
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise ApiError(
                    413, f"The file is larger than {max_bytes} bytes.", code="request_too_large", headers={"connection": "close"}
                )
            file.write(chunk)
    except ClientDisconnect:
        raise ApiError(400, "The client left before the file was complete.", code="incomplete_body") from None
    if not size:
        raise ApiError(400, "There is no file.", code="invalid_value")
    file.seek(0)


async def _chunks(file: IO[bytes], opened: ExitStack) -> AsyncGenerator[bytes, None]:
    with opened:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
