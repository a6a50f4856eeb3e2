"""Checks JSON responses against docs/openapi.json: every field is documented, and every documented field is there.

The server does not validate its responses, because that would cost time on each request. The test client does it instead.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema

_DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


async def check_response(response: httpx.Response) -> None:
    """An event hook for httpx. Raises AssertionError for a successful JSON response that differs from its description."""
    media_type = response.headers.get("content-type", "").partition(";")[0]
    path = response.request.url.path
    if (
        response.request.method == "HEAD"
        or not response.is_success
        or media_type != "application/json"
        or path == "/openapi.json"
    ):
        return
    await response.aread()
    operation = f"{response.request.method} {path}"
    errors = [error.message for error in _validator(response.request.method.lower(), path).iter_errors(response.json())]
    assert errors == [], f"{operation} differs from docs/openapi.json: {errors[:3]}"


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_DOCUMENT.read_text(encoding="utf-8"))
    for schema in document["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)  # a field that is not documented is an error
    return document


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """(pattern, template) of every path, those with the most literal text first."""
    templates = sorted(_document()["paths"], key=lambda template: -len(re.sub(r"\{.*?\}", "", template)))
    return [(re.compile(re.sub(r"\\\{.*?\\\}", ".+", re.escape(template))), template) for template in templates]


def _validator(method: str, path: str) -> jsonschema.Draft202012Validator:
    template = next(template for pattern, template in _templates() if pattern.fullmatch(path))
    return _template_validator(method, template)


@cache
def _template_validator(method: str, template: str) -> jsonschema.Draft202012Validator:
    schema = _document()["paths"][template][method]["responses"]["200"]["content"]["application/json"]["schema"]
    return jsonschema.Draft202012Validator({**schema, "components": _document()["components"]})
