"""Reading a request's body: its type, its size, its JSON, its fields; every refusal in OpenAI's form."""

from __future__ import annotations

from typing import TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from yearling.api.http.errors import ApiError, from_validation_errors

M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request, model: type[M], *, max_bytes: int) -> M:
    """The body as the model. Raises ApiError: 415 for another content type, 413 for too much, 400 for everything else."""
    kind, _, options = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json" or not _is_utf8(options):
        raise ApiError(
            415,
            "The body must be JSON in UTF-8. Send the header 'Content-Type: application/json'.",
            code="unsupported_media_type",
        )
    data = await _read(request, max_bytes)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise from_validation_errors(details, _parse_or_none(data)) from None


def _is_utf8(options: str) -> bool:
    named = [option.strip().lower() for option in options.split(";") if option.strip().lower().startswith("charset")]
    return all(option.partition("=")[2].strip(' "') in ("utf-8", "utf8") for option in named)


async def _read(request: Request, max_bytes: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large_error(max_bytes)
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > max_bytes:
                raise _too_large_error(max_bytes)
    except ClientDisconnect:
        raise ApiError(400, "The client left before the body was complete.", code="incomplete_body") from None
    return bytes(data)


def _too_large_error(max_bytes: int) -> ApiError:
    message = f"The body is larger than {max_bytes} bytes."
    return ApiError(413, message, code="request_too_large", headers={"connection": "close"})


def _parse_or_none(data: bytes) -> object:
    """For naming the offending field; a body that is no JSON has none."""
    try:
        return pydantic_core.from_json(data)
    except ValueError:
        return None
