"""Errors name the field and what is wrong with it, not what another form of the field would have to be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import ApiFactory
from tests.chat.helpers import ADD


@pytest.mark.parametrize(
    ("path", "fields", "param", "reason"),
    [
        ("chat/completions", {"stop": ["a"] * 5}, "stop", "at most 4 items"),
        ("chat/completions", {"stop": 5}, "stop", "valid string"),
        ("chat/completions", {"messages": [{"role": "user", "content": []}]}, "messages[0].content", "at least 1 item"),
        ("chat/completions", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "valid string"),
        (
            "chat/completions",
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": []}]},
            "messages[0].content",
            "1 item",
        ),
        (
            "chat/completions",
            {"tools": [ADD], "tool_choice": {"type": "function", "function": 5}},
            "tool_choice.function",
            "should be an object",
        ),
        ("responses", {"input": []}, "input", "at least 1 item"),
        ("responses", {"input": [{"role": "user", "content": []}]}, "input[0].content", "at least 1 item"),
        ("responses", {"input": "x", "conversation": {"name": "c"}}, "conversation.id", "missing"),
        ("embeddings", {"input": []}, "input", "at least 1 item"),
        ("embeddings", {"input": [[]]}, "input[0]", "at least 1 item"),
        ("embeddings", {"input": ["a"] * 2049}, "input", "at most 2048 items"),
        ("completions", {"prompt": ["a"] * 129}, "prompt", "at most 128 items"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_the_message_fits_the_value(
    start_api: ApiFactory, path: str, fields: dict[str, Any], param: str, reason: str
) -> None:
    default = {"messages": [{"role": "user", "content": "Hi"}]} if path == "chat/completions" else {}
    async with start_api() as api:
        reply = await api.client.post(f"/v1/{path}", json={**default, **fields})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param), reply.text
        assert reason in reply.json()["error"]["message"]
