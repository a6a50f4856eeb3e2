"""The check of the test client against docs/openapi.json finds undocumented and missing fields."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.openapi_responses import check_response

MODEL: dict[str, Any] = {
    "id": "m",
    "object": "model",
    "created": 1,
    "owned_by": "o",
    "title": "M",
    "release_status": "unreleased",
    "release": None,
    "release_name": "",
    "is_verifiable": True,
    "stopped": "",
}


def response(body: dict[str, Any], path: str = "/v1/models/m", status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body, request=httpx.Request("GET", f"http://127.0.0.1{path}"))


async def test_documented_response_passes() -> None:
    await check_response(response(MODEL))
    await check_response(response({"object": "list", "data": [MODEL]}, path="/v1/models"))
    await check_response(response({"error": "not checked"}, status=404))


@pytest.mark.parametrize(
    "body",
    [
        {**MODEL, "more": 1},
        {name: value for name, value in MODEL.items() if name != "created"},
        {**MODEL, "created": "yesterday"},
        {**MODEL, "object": "list"},
    ],
    ids=["undocumented field", "missing field", "wrong type", "wrong constant"],
)
async def test_other_responses_fail(body: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="differs from docs"):
        await check_response(response(body))
