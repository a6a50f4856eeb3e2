"""Request bodies: a dependency that reads, limits and validates JSON, and documents it in OpenAPI.

FastAPI's own body parameters read the whole body, without a limit, before it is known who may call the route. A route declares
its body with `JsonBody` instead:

    async def create_rating(request: Request, body: JsonBody[RatingRequest]) -> JsonResponse: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import pydantic_core
from fastapi import Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from yearling.api.http.errors import ApiError, from_validation_errors

M = TypeVar("M", bound=BaseModel)


class JsonBodyReader(Generic[M]):
    """A dependency that reads the request body as `model`."""

    def __init__(self, model: type[M]) -> None:
        self.model = model

    async def __call__(self, request: Request) -> M:
        """Raises ApiError: 415 for another content type, 413 if the body is too large, 400 if it is incomplete or invalid."""
        _check_content_type(request)
        max_bytes: int = request.app.state.max_body_bytes
        data = bytearray()
        await receive_body(request, data.extend, max_bytes=max_bytes, name="body")
        try:
            return self.model.model_validate_json(bytes(data))
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            raise from_validation_errors(details, _parse_or_none(bytes(data))) from None


if TYPE_CHECKING:
    JsonBody = Annotated[M, Depends()]
else:

    class JsonBody:
        """`JsonBody[Model]` as the annotation of a route's parameter: the validated request body."""

        def __class_getitem__(cls, model: type[BaseModel]) -> Any:
            return Annotated[model, Depends(JsonBodyReader(model))]


def body_model(route: APIRoute) -> type[BaseModel] | None:
    """The model of a route's JSON body; None for a route without one."""
    readers = (dependency.call for dependency in route.dependant.dependencies)
    return next((reader.model for reader in readers if isinstance(reader, JsonBodyReader)), None)


async def receive_body(request: Request, write: Callable[[bytes], object], *, max_bytes: int, name: str) -> int:
    """Pass the body to `write`, chunk by chunk, and return its size in bytes. `name` is what the body is called in errors.

    Raises ApiError: 413 above `max_bytes`, 400 if the client disconnects before the end.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdigit() else 0
    if size > max_bytes:
        raise _too_large_error(name, max_bytes)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise _too_large_error(name, max_bytes)
            write(chunk)
    except ClientDisconnect:
        raise ApiError(400, f"The client disconnected before the {name} was complete.", code="incomplete_body") from None
    return size


def _check_content_type(request: Request) -> None:
    media_type, _, options = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json" or not _is_utf8(options):
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
