"""Errors in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`.

Translates Yearling's errors, FastAPI's and pydantic's. Independent of routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.local_paths import hide_local_paths
from yearling.chat import SchemaNotSatisfied
from yearling.errors import (
    BadInput,
    Conflict,
    ContextLengthExceeded,
    ModelStopped,
    NotAllowed,
    NotFound,
    StorageFailed,
    Unavailable,
    Unsupported,
    Untrusted,
    UserError,
)

# (class, status, type, code). The first class that matches applies.
_RESPONSE_BY_ERROR: tuple[tuple[type[UserError], int, str, str], ...] = (
    (SchemaNotSatisfied, 422, "invalid_request_error", "schema_not_satisfied"),
    (ContextLengthExceeded, 400, "invalid_request_error", "context_length_exceeded"),
    (Unsupported, 400, "invalid_request_error", "unsupported"),
    (BadInput, 400, "invalid_request_error", "invalid_value"),
    (NotFound, 404, "invalid_request_error", "not_found"),
    (NotAllowed, 403, "permission_error", "not_allowed"),
    (Conflict, 409, "invalid_request_error", "conflict"),
    (ModelStopped, 503, "server_error", "model_stopped"),
    (Unavailable, 503, "server_error", "unavailable"),
    (StorageFailed, 507, "server_error", "storage_failed"),
    (Untrusted, 500, "server_error", "untrusted"),
)

_ROUTING_ERRORS: dict[int, tuple[str, str]] = {
    404: ("unknown_url", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not support this method."),
}
"""Status -> (code, message) of errors that the router raises."""

_MAX_PARAM_CHARS = 200

REFUSED_FIELD = "refused_field"
"""Type of the validation error for a known field that is not supported; its message is the field's name."""


class ApiError(Exception):
    """An error response. `kind` is the envelope's `type`; `retry_after_s` becomes the header `retry-after`."""

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

    def body(self) -> JsonObject:
        """The envelope."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def response(self) -> JsonResponse:
        """The envelope with its status and headers."""
        return JsonResponse(self.body(), self.status, self.headers)


def to_api_error(error: Exception) -> ApiError:
    """The error response for an exception. A bug becomes a 500 without details, which only the log contains."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UserError):
        return _from_user_error(error)
    if isinstance(error, ValidationError):
        return from_validation_errors(error.errors(include_url=False), None)
    if isinstance(error, HTTPException):
        return _from_http_exception(error)
    message = "Internal server error. See the server's log."
    return ApiError(500, message, kind="server_error", code="internal_error")


def _from_user_error(error: UserError) -> ApiError:
    for error_class, status, kind, code in _RESPONSE_BY_ERROR:
        if isinstance(error, error_class):
            if isinstance(error, NotFound) and error.param == "model":
                code = "model_not_found"
            message = hide_local_paths(str(error))
            if isinstance(error, ModelStopped):  # OpenAI's clients repeat a 503 unless this header tells them not to
                headers = {"x-should-retry": "false"}
                return ApiError(status, message, kind=kind, param=error.param, code=code, headers=headers)
            retry_after_s = 1 if status == 503 else None
            return ApiError(status, message, kind=kind, param=error.param, code=code, retry_after_s=retry_after_s)
    return ApiError(400, hide_local_paths(str(error)), param=error.param)


def _from_http_exception(error: HTTPException) -> ApiError:
    status = error.status_code
    code, message = _ROUTING_ERRORS.get(status, (None, f"{HTTPStatus(status).phrase}: {error.detail}"))
    kind = "invalid_request_error" if status < 500 else "server_error"
    return ApiError(status, message, kind=kind, code=code, headers=error.headers)


def from_validation_errors(details: Sequence[ErrorDetails], body: object) -> ApiError:
    """A 400 for the most specific of pydantic's errors. `body` is the parsed body, or None if it is not JSON."""
    first = max(details, key=lambda detail: _specificity(detail, body))
    error_type = first["type"]
    param = param_path(first["loc"], body, missing=error_type == "missing")
    if param is not None and len(param) > _MAX_PARAM_CHARS:
        param = f"{param[:_MAX_PARAM_CHARS]}…"
    where = f" at {param}" if param else ""
    if error_type == "json_invalid":
        return ApiError(400, f"The body is not valid JSON: {first['msg'].removeprefix('Invalid JSON: ')}.", code="invalid_json")
    if error_type == "extra_forbidden":
        return ApiError(400, f"The field {param} is unknown.", param=param, code="unknown_parameter")
    if error_type == "missing":
        return ApiError(400, f"The field {param} is missing.", param=param, code="missing_required_parameter")
    if error_type == REFUSED_FIELD:
        param = f"{param}.{first['msg']}" if param else first["msg"]
        message = f"The field {param} is not supported, and ignoring it would change the answer."
        return ApiError(400, message, param=param, code="unsupported")
    is_part = param is not None and "content[" in param.rpartition(".")[2]
    if error_type == "union_tag_invalid" and is_part:
        param, error_type = f"{param}.type", "literal_error"
    if error_type == "union_tag_invalid":
        expected = first.get("ctx", {}).get("expected_tags", "")
        return ApiError(400, f"The item{where} has an unknown type. Known: {expected}.", param=param, code="invalid_value")
    if param is not None and param.endswith(".type") and "content[" in param:
        message = f"The part at {param.removesuffix('.type')} is not text. Images, audio and files are not supported."
        return ApiError(400, message, param=param, code="unsupported")
    return ApiError(400, f"The value{where} is invalid: {first['msg']}.", param=param, code="invalid_value")


def from_query_errors(details: Sequence[ErrorDetails]) -> ApiError:
    """A 400 for an invalid parameter of the path or the query."""
    first = details[0]
    name = str(first["loc"][1]) if len(first["loc"]) > 1 else None
    return ApiError(400, f"The parameter {name} is invalid: {first['msg']}.", param=name, code="invalid_value")


def _specificity(detail: ErrorDetails, body: object) -> tuple[int, int, int]:
    """Orders errors: of an object of another kind, of the branch of a union that the value belongs to, then the deepest."""
    path = param_path(detail["loc"], body, missing=detail["type"] == "missing") or ""
    is_other_kind = detail["type"] == "literal_error" and detail["loc"][-1:] == ("type",)
    is_other_type = detail["type"].endswith("_type") or detail["type"] == "literal_error"
    return 2 if is_other_kind else int(not is_other_type), path.count(".") + path.count("["), len(detail["loc"])


def param_path(loc: Sequence[int | str], body: object, *, missing: bool) -> str | None:
    """`messages[0].content` for a location in pydantic's form, without the names of union branches that pydantic adds."""
    path, node = "", body
    for position, part in enumerate(loc):
        if isinstance(part, int) and isinstance(node, list) and part < len(node):
            path, node = f"{path}[{part}]", node[part]
        elif isinstance(part, str) and isinstance(node, dict) and (part in node or (missing and position == len(loc) - 1)):
            path, node = f"{path}.{part}" if path else part, node.get(part)
    return path or None
