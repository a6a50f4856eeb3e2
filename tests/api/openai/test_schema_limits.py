"""No schema that a client sends keeps the server busy: not its pattern, not its references, not in a strict tool."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import ApiFactory
from tests.test_json_schemas import ABOVE, INVALID, chain
from yearling.inference import FakeEngine

SLOW_PATTERN = {"type": "string", "pattern": r"^((a|a)*[^\s\S]|a{25})$"}
HOSTILE = {"pattern": SLOW_PATTERN, "chain": chain(24)}
REFUSED = {**ABOVE, **INVALID}
# The request itself, and its JSON, refuse these before a schema is looked at.
del REFUSED["depth beyond the interpreter"], REFUSED["multiple beyond floats"]


def response_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def tool(parameters: dict[str, Any], name: str = "f", *, strict: bool = True) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, "strict": strict}}


@pytest.mark.parametrize(("schema", "reason"), REFUSED.values(), ids=REFUSED)
async def test_schemas_above_a_limit_are_refused(start_api: ApiFactory, schema: dict[str, Any], reason: str) -> None:
    async with start_api() as api:
        answer = await api.chat(response_format=response_format(schema))
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "response_format"
        assert reason in answer.json()["error"]["message"]
        answer = await api.chat(tools=[tool({}, "harmless"), tool(schema)])
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "tools[1].function.parameters"


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
async def test_an_answer_is_checked_without_burning(start_api: ApiFactory, schema: dict[str, Any]) -> None:
    async with start_api() as api:  # its engine answers with the default of a schema
        answer = await api.chat(response_format=response_format({**schema, "default": "a" * 25}))
        assert answer.status_code == (200 if schema is SLOW_PATTERN else 400)


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE)
async def test_arguments_of_a_strict_tool_are_checked_without_burning(start_api: ApiFactory, schema: dict[str, Any]) -> None:
    call = json.dumps({"name": "f", "arguments": {"x": "a" * 25}})
    parameters = (
        {**schema, "type": "object", "properties": {"x": SLOW_PATTERN}} if "$ref" in schema else {"properties": {"x": schema}}
    )
    async with start_api(FakeEngine([f"<tool_call>{call}</tool_call>"])) as api:
        answer = await api.chat(tools=[tool(parameters)])
        if schema is SLOW_PATTERN:
            assert answer.json()["choices"][0]["finish_reason"] == "tool_calls"
        else:
            assert answer.status_code == 400


async def test_the_tools_of_a_forced_call_are_limited_together(start_api: ApiFactory) -> None:
    described = {"type": "object", "properties": {"x": {"description": "x" * 20_000}}}
    async with start_api() as api:
        tools = [tool(described, f"f{index}") for index in range(4)]
        answer = await api.chat(tools=tools, tool_choice="required")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools")
