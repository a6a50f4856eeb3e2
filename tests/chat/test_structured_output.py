"""Which JSON schemas are accepted, and which answers satisfy them."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from yearling.chat.structured_output import MAX_SCHEMA_CHARS, check_schema, json_text_violation
from yearling.errors import BadInput

NESTED: dict[str, Any] = {}
for _ in range(3000):
    NESTED = {"not": NESTED}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "object", "properties": []},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"properties": {"a": {"items": [{"$ref": "file:///etc/passwd"}]}}},
        {"type": "string", "pattern": "("},
        {"description": "x" * MAX_SCHEMA_CHARS},
        NESTED,
    ],
    ids=["type", "properties", "http", "file", "pattern", "long", "deep"],
)
def test_invalid_schemas_are_rejected(schema: dict[str, Any]) -> None:
    with pytest.raises(BadInput) as caught:
        check_schema(schema, param="response_format")
    assert caught.value.param == "response_format"


def test_internal_references_are_resolved() -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}
    check_schema(schema, param="p")
    assert json_text_violation("[1, 2]", schema) == ""
    assert "'a'" in json_text_violation('["a"]', schema)


def test_external_references_are_never_fetched() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.1)
        with ThreadPoolExecutor(1) as executor:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
            future = executor.submit(json_text_violation, "[]", {"$ref": url})
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                connection = None
            if connection is not None:
                connection.close()
            assert connection is None, "the schema was fetched"
            assert "cannot be resolved" in future.result()


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "{} {}", "[" * 100_000])
def test_invalid_json_is_a_violation(text: str) -> None:
    assert "not JSON" in json_text_violation(text, {})
