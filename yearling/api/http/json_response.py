"""The one JSON response of the API, and the one encoder behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

JsonObject = dict[str, Any]
"""A JSON object as Python data."""


def to_json_bytes(value: object, *, ascii_only: bool = False) -> bytes:
    """Compact JSON in UTF-8. Raises ValueError for NaN and infinity, and for lone surrogates unless `ascii_only`."""
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False).encode()


class JsonResponse(Response):
    """A JSON response.

    Args:
        ascii_only: escape everything beyond ASCII. For text that can contain lone surrogates, which have no UTF-8.
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
