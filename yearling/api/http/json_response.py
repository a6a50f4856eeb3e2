"""The one JSON response of the API, the one encoder behind it, and the headers that every response has."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from yearling.unicode_repair import mend_surrogates

DEFAULT_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Headers of every response that does not set them itself: nobody else keeps what a person got, or takes JSON for a page."""

JsonObject = dict[str, Any]
"""A JSON object as Python data."""


def to_json_bytes(value: object, *, ascii_only: bool = False) -> bytes:
    """Compact JSON in UTF-8, of any JSON value: an answer must not fail because of what somebody wrote long ago.

    Halves of surrogate pairs are mended (kept if `ascii_only`), and numbers that JSON cannot express become null.
    """
    try:
        text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False)
    except ValueError:
        finite = _without_non_finite(value)
        text = json.dumps(finite, ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return mend_surrogates(text).encode()


def _without_non_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_without_non_finite(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _without_non_finite(item) for key, item in value.items()}
    return value


class JsonResponse(Response):
    """A JSON response.

    Args:
        ascii_only: escape everything beyond ASCII. For text whose lone surrogates, which have no UTF-8, must stay as they are.
    """

    media_type = "application/json"

    def __init__(
        self,
        content: Mapping[str, Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        ascii_only: bool = False,
    ) -> None:
        super().__init__(to_json_bytes(content, ascii_only=ascii_only), status_code, headers)
