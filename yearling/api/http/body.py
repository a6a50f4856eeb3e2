"""Request bodies: read, limit and validate JSON.

FastAPI's own body parameters read the whole body, without a limit, before it is known who may call the route. A route of an
`ApiRouter` declares its body with `JsonBody` instead:

    async def create_rating(request: Request, body: JsonBody[RatingRequest]) -> JsonResponse: ...
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from yearling.api.http.content_encoding import GzipBody, is_gzipped
from yearling.api.http.errors import ApiError, from_validation_errors
from yearling.unicode_repair import mend_surrogate_escapes

M = TypeVar("M", bound=BaseModel)

_JSON = "application/json"

MAX_BODY_VALUES = 100_000
"""JSON values that a body may have."""
_MAX_LISTED_ERRORS = 10_000


class JsonBodyMarker:
    """Marks a route's parameter as the JSON body."""


if TYPE_CHECKING:
    JsonBody = Annotated[M, JsonBodyMarker()]
else:

    class JsonBody:
        """`JsonBody[Model]` as the annotation of a route's parameter: the validated request body."""

        def __class_getitem__(cls, model: type[BaseModel]) -> Any:
            return Annotated[model, JsonBodyMarker()]


async def read_json_body(request: Request, model: type[M]) -> M:
    """The request body as `model`. The limit is the application's `state.max_body_bytes`.

    Raises ApiError: 415 for another content type, 413 if the body is too large or has too many values, 400 if it is incomplete or
    invalid.
    """
    _check_content_type(request)
    max_bytes: int = request.app.state.max_body_bytes
    buffer = bytearray()
    await receive_body(request, buffer.extend, max_bytes=max_bytes, name="body")
    data = bytes(buffer).removeprefix(codecs.BOM_UTF8)
    _check_num_values(data)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        mended = await _mended_or_none(data, error)
        if mended is None:
            raise _validation_error(error, data) from None
    try:
        return model.model_validate_json(mended)
    except ValidationError as error:
        raise _validation_error(error, mended) from None


async def receive_body(request: Request, write: Callable[[bytes], object], *, max_bytes: int, name: str) -> int:
    """Pass the body to `write`, chunk by chunk, and return its size in bytes. `name` is what error messages call the body.

    A gzip body is decompressed; the limit holds for both sizes. Raises ApiError: 413 above `max_bytes`, 400 if the body is not
    what its encoding says or the client disconnects before the end, 415 for another encoding.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise _too_large_error(name, max_bytes)
    size_bytes = 0
    gzip_body = None
    if is_gzipped(request):
        gzip_body = GzipBody(write, max_bytes=max_bytes, too_large=_too_large_error(name, max_bytes), name=name)
        write = gzip_body.push
    try:
        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise _too_large_error(name, max_bytes)
            if chunk:
                write(chunk)
        if gzip_body is not None:
            gzip_body.finish()
    except ClientDisconnect:
        raise ApiError(400, f"The client disconnected before the {name} was complete.", code="incomplete_body") from None
    return size_bytes


async def _mended_or_none(data: bytes, error: ValidationError) -> bytes | None:
    """The body without halves of surrogate pairs, if those are why it is not valid JSON. Programs that cut text send them."""
    if error.error_count() != 1 or error.errors(include_url=False, include_input=False)[0]["type"] != "json_invalid":
        return None
    mended = await asyncio.to_thread(mend_surrogate_escapes, data)
    return mended if mended != data else None


def _check_num_values(data: bytes) -> None:
    """Refuse a body whose validation would hold the event loop. Commas and brackets outside strings count as values."""
    if _count_punctuation(data) <= MAX_BODY_VALUES:
        return
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # no escaped quotes any more
    if plain.count(b'"') > 4 * MAX_BODY_VALUES or _count_punctuation(b"".join(plain.split(b'"')[::2])) > MAX_BODY_VALUES:
        message = f"The body has more than {MAX_BODY_VALUES} JSON values."
        raise ApiError(413, message, code="request_too_large")


def _count_punctuation(data: bytes) -> int:
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _validation_error(error: ValidationError, data: bytes) -> ApiError:
    if error.error_count() > _MAX_LISTED_ERRORS:  # to list them takes far longer than to find them
        return ApiError(400, f"The body is invalid in {error.error_count()} places.", code="invalid_value")
    return from_validation_errors(error.errors(include_url=False, include_input=False), _parse_or_none(data))


def check_declared_content_type(request: Request, media_types: Collection[str]) -> None:
    """Let only the declared types of body pass. Browsers send other types from any page, without asking the server first.

    Without `media_types` the route has no body, and only JSON, which it ignores, may be sent. Raises ApiError (415).
    """
    headers = request.headers
    if not media_types and headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (media_types or (_JSON,)):
        names = " or ".join(f"'Content-Type: {name}'" for name in media_types)
        message = (
            f"The body has another type than this address takes. Send the header {names}."
            if names
            else "This address takes no body."
        )
        raise ApiError(415, message, code="unsupported_media_type")


def _check_content_type(request: Request) -> None:
    media_type, _, options = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != _JSON or not _is_utf8(options):
        raise ApiError(
            415,
            "The body must be JSON in UTF-8. Send the header 'Content-Type: application/json'.",
            code="unsupported_media_type",
        )


def _is_utf8(options: str) -> bool:
    charsets = [option.strip().lower() for option in options.split(";") if option.strip().lower().startswith("charset")]
    return all(charset.partition("=")[2].strip(' "') in ("utf-8", "utf8") for charset in charsets)


def _too_large_error(name: str, max_bytes: int) -> ApiError:
    message = f"The {name} is larger than {max_bytes} bytes."
    return ApiError(413, message, code="request_too_large", headers={"connection": "close"})


def _parse_or_none(data: bytes) -> object:
    """The parsed body, for naming the invalid field; None if the body is not JSON."""
    try:
        return pydantic_core.from_json(data)
    except ValueError:
        return None
