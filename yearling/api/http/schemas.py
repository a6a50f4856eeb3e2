"""Base classes of every request and response model, and the error envelope.

The attribute docstrings of a model are its field descriptions in the OpenAPI document. Imports nothing of the API.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """Base of request bodies and their parts. Unknown fields and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class ResponseModel(BaseModel):
    """Base of response bodies and their parts. These models document responses; the server does not validate against them."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ErrorDetail(ResponseModel):
    """What went wrong."""

    message: str
    """Explanation for people. The wording can change; match on `code` instead."""
    type: str
    """Class of the error, such as `invalid_request_error`, `authentication_error` or `server_error`."""
    param: str | None
    """Path of the field that caused the error, such as `messages[0].content`; null if no single field did."""
    code: str | None
    """Stable identifier of the error, such as `model_not_found`; null if the error has none."""


class ErrorEnvelope(ResponseModel):
    """Body of every response with an error status."""

    error: ErrorDetail
    """The error."""
