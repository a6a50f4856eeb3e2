"""`response_format` and `tools` in both APIs: together, and with schemas that no grammar enforces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.openai.test_streams import deltas_of, events_of
from tests.chat.helpers import ADD, CALL, prompt_of
from yearling.inference import FakeEngine

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}


async def ask(api: RunningApi, path: str, tools: list[dict[str, Any]], schema: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The answer as a message in the form of chat completions."""
    if path == "/v1/responses":
        form: Any = {"format": {"type": "json_schema", "name": "s", "schema": schema, **fields}}
        body = {"input": "Hi", "text": form, "tools": [{"type": "function", **tool["function"]} for tool in tools]}
        reply = await api.client.post(path, json=body)
        assert reply.status_code == 200, reply.text
        calls = [item for item in reply.json()["output"] if item["type"] == "function_call"]
        texts = [part["text"] for item in reply.json()["output"] if item["type"] == "message" for part in item["content"]]
        return {"content": "".join(texts), "tool_calls": calls}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema, **fields}}
    reply = await api.chat(tools=tools, response_format=form)
    assert reply.status_code == 200, reply.text
    message: dict[str, Any] = reply.json()["choices"][0]["message"]
    return {**message, "tool_calls": message.get("tool_calls", [])}


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_tools_beside_a_format_give_a_call_or_a_valid_text(start_api: ApiFactory, path: str) -> None:
    async with start_api(FakeEngine([CALL, "It is Paris."])) as api:
        message = await ask(api, path, [ADD], CITY)
        assert len(message["tool_calls"]) == 1
        assert not message["content"]
        assert "Unless you call a function, answer with JSON" in prompt_of(api.engine)
        message = await ask(api, path, [ADD], CITY)
        assert message["tool_calls"] == []
        assert set(json.loads(message["content"])) == {"city"}


async def test_tools_beside_a_format_in_a_stream(start_api: ApiFactory) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": CITY}}
    async with start_api(FakeEngine(["It is Paris."])) as api:
        deltas = deltas_of(events_of((await api.chat(tools=[ADD], response_format=form, stream=True, logprobs=True)).text))
        assert set(json.loads("".join(delta.get("content", "") for delta in deltas))) == {"city"}


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_a_format_that_is_not_strict_may_have_any_keyword(start_api: ApiFactory, path: str) -> None:
    pattern = {"type": "string", "pattern": "^(?=x)x"}
    schema = {"type": "object", "properties": {"p": pattern}, "required": ["p"], "propertyNames": pattern}
    async with start_api() as api:
        message = await ask(api, path, [], schema, strict=False)
        assert json.loads(message["content"]) == {"p": "x"}


async def test_an_unusable_tool_is_blamed_on_the_tool(start_api: ApiFactory) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"$ref": "#"}}}
    async with start_api() as api:
        for choice in ("auto", "required"):
            reply = await api.chat(tools=[tool], tool_choice=choice)
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, "tools[0].function.parameters")
            assert "refers to itself" in reply.json()["error"]["message"]
