"""Errors in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`, whatever went wrong and wherever.

Translates our errors, the framework's, and those of validation. Knows nothing of routes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from yearling.chat import SchemaNotSatisfied
from yearling.errors import (
    BadInput,
    Conflict,
    ContextLengthExceeded,
    NotAllowed,
    NotFound,
    StorageFailed,
    Unavailable,
    Unsupported,
    Untrusted,
    UserError,
)

# The first class that fits decides: (class, status, type, code).
_RESPONSE_BY_ERROR: tuple[tuple[type[UserError], int, str, str], ...] = (
    (SchemaNotSatisfied, 422, "invalid_request_error", "schema_not_satisfied"),
    (ContextLengthExceeded, 400, "invalid_request_error", "context_length_exceeded"),
    (Unsupported, 400, "invalid_request_error", "unsupported"),
    (BadInput, 400, "invalid_request_error", "invalid_value"),
    (NotFound, 404, "invalid_request_error", "not_found"),
    (NotAllowed, 403, "permission_error", "not_allowed"),
    (Conflict, 409, "invalid_request_error", "conflict"),
    (Unavailable, 503, "server_error", "unavailable"),
    (StorageFailed, 507, "server_error", "storage_failed"),
    (Untrusted, 500, "server_error", "untrusted"),
)


UNSUPPORTED_FIELD = "refused_field"
"""Type of the validation error for a known field that is not supported; its message is the field's name."""

_ONLY_TEXT = "Messages may hold text; images, audio and files are not supported."


class ApiError(Exception):
    """An answer that is an error. `retry_after_s` tells when trying again makes sense."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["retry-after"] = str(retry_after_s)

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        return Response(to_json_bytes(self.body()), self.status, self.headers, "application/json")


def to_api_error(error: Exception) -> ApiError:
    """What a client is told of an error. Of our own bugs it learns nothing but that there was one."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UserError):
        return _from_user_error(error)
    if isinstance(error, ValidationError):
        return from_validation_errors(error.errors(include_url=False), None)
    if isinstance(error, HTTPException):
        return _from_http_exception(error)
    return ApiError(500, "The server made a mistake. Its log says more.", kind="server_error", code="internal_error")


def _from_user_error(error: UserError) -> ApiError:
    for kind_of_error, status, kind, code in _RESPONSE_BY_ERROR:
        if isinstance(error, kind_of_error):
            if isinstance(error, NotFound) and error.param == "model":
                code = "model_not_found"
            retry = 1 if status == 503 else None
            return ApiError(status, str(error), kind=kind, param=error.param, code=code, retry_after_s=retry)
    return ApiError(400, str(error), param=error.param)


def _from_http_exception(error: HTTPException) -> ApiError:
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code)
    text = {404: "There is nothing at this address.", 405: "This address does not take this method."}.get(error.status_code)
    phrase = HTTPStatus(error.status_code).phrase
    kind = "invalid_request_error" if error.status_code < 500 else "server_error"
    return ApiError(error.status_code, text or f"{phrase}: {error.detail}", kind=kind, code=code, headers=error.headers)


def from_validation_errors(details: Sequence[ErrorDetails], body: Any) -> ApiError:
    """The most specific of a validation's complaints. `body` is what was sent, parsed, as far as that went."""
    first = max(details, key=lambda detail: len(detail["loc"]))
    param = param_path(first["loc"], body, missing=first["type"] == "missing")
    where = f" at {param}" if param else ""
    given = first["type"]
    if given == "json_invalid":
        return ApiError(400, f"The body is not valid JSON: {first['msg'].removeprefix('Invalid JSON: ')}.", code="invalid_json")
    if given == "extra_forbidden":
        return ApiError(400, f"The field {param} is unknown.", param=param, code="unknown_parameter")
    if given == "missing":
        return ApiError(400, f"The field {param} is missing.", param=param, code="missing_required_parameter")
    if given == UNSUPPORTED_FIELD:
        param = f"{param}.{first['msg']}" if param else first["msg"]
        message = f"The field {param} is not supported, and ignoring it would change the answer."
        return ApiError(400, message, param=param, code="unsupported")
    if given == "union_tag_invalid":
        expected = first.get("ctx", {}).get("expected_tags", "")
        return ApiError(400, f"The item{where} is of no known kind; there is {expected}.", param=param, code="invalid_value")
    if param is not None and param.endswith(".type") and "content[" in param:
        message = f"The part at {param.removesuffix('.type')} is not text. {_ONLY_TEXT}"
        return ApiError(400, message, param=param, code="unsupported")
    return ApiError(400, f"The value{where} is not usable: {first['msg']}.", param=param, code="invalid_value")


def param_path(loc: Sequence[int | str], body: Any, *, missing: bool) -> str | None:
    """`messages[0].content` for a location in pydantic's form, which also names the branches of unions; those are left out."""
    path, here = "", body
    for at, part in enumerate(loc):
        if isinstance(part, int) and isinstance(here, list) and part < len(here):
            path, here = f"{path}[{part}]", here[part]
        elif isinstance(part, str) and isinstance(here, dict) and (part in here or (missing and at == len(loc) - 1)):
            path, here = f"{path}.{part}" if path else part, here.get(part)
    return path or None


def to_json_bytes(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
