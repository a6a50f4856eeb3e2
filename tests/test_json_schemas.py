"""Schemas that users supply: what is accepted, at what limit it ends, and that work grows no faster than the input."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from yearling import schema_limits as limits
from yearling.errors import BadInput
from yearling.json_schemas import MAX_MATCHED_CHARS, MAX_VALUE_CHARS, check_schema, schema_violation
from yearling.schema_limits import measure_schema

RECURSIVE: dict[str, Any] = {"$defs": {"node": {"properties": {"x": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"}


def chain(length: int, width: int = 2) -> dict[str, Any]:
    """Definitions that each refer `width` times to the next: small to write, `width ** length` to follow."""
    links = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * width} for i in range(length)}
    return {"$defs": {**links, f"a{length}": {"type": "integer"}}, "$ref": "#/$defs/a0"}


def unevaluated_chain(length: int) -> dict[str, Any]:
    links = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}], "unevaluatedProperties": False} for i in range(length)}
    return {"$defs": {**links, f"a{length}": {}}, "$ref": "#/$defs/a0"}


def nested(depth: int, keyword: str = "items") -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {keyword: schema}
    return schema


ABOVE: dict[str, tuple[dict[str, Any], str]] = {
    "chars": ({"description": "x" * limits.MAX_SCHEMA_CHARS}, "longer than"),
    "depth": (nested(limits.MAX_SCHEMA_DEPTH), "levels deep"),
    "depth beyond the interpreter": (nested(3000), "nested"),
    "depth behind references": (chain(limits.MAX_SCHEMA_DEPTH, width=1), "levels deep"),
    "references": ({"prefixItems": [{"allOf": [{"$ref": "#/$defs/a"}] * 19}] * 27, "$defs": {"a": {}}}, "references"),
    "members": ({"properties": {f"k{i}": {} for i in range(limits.MAX_SCHEMA_MEMBERS + 1)}}, "members"),
    "steps": (chain(24), "subschemas"),
    "steps behind properties": ({**chain(24), "type": "object"}, "subschemas"),
    "steps of unevaluated": (unevaluated_chain(24), "subschemas"),
    "steps of compared options": ({"prefixItems": [{"enum": [[]] * 990}] * 11}, "subschemas"),
    "patterns": ({"prefixItems": [{"pattern": "a"}] * (limits.MAX_PATTERNS + 1)}, "patterns"),
    "pattern length": ({"pattern": "a" * (limits.MAX_PATTERN_CHARS + 1)}, "pattern of more"),
    "pattern length of names": ({"patternProperties": {"a" * (limits.MAX_PATTERN_CHARS + 1): {}}}, "pattern of more"),
    "pattern size": ({"pattern": "((a{1,1000}){1,1000}){1,1000}"}, "compiles to more"),
    "patterns per value": ({"allOf": [{"pattern": f"a{i}"} for i in range(9)]}, "of one value"),
    "patterns per nested value": ({"allOf": [{"properties": {"x": {"pattern": f"a{i}"}}} for i in range(9)]}, "of one value"),
    "pattern properties": ({"patternProperties": {f"^a{i}$": {} for i in range(33)}}, "patternProperties"),
    "multiple": ({"multipleOf": 99_999_999}, "multipleOf"),
    "multiple of two": ({"allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]}, "multipleOf"),
    "multiple of decimals": ({"multipleOf": 12345.678}, "multipleOf"),
    "multiple beyond floats": ({"multipleOf": 10**400}, "multipleOf"),
}

INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"type": "nonsense"}, "not valid at type"),
    "properties": ({"type": "object", "properties": []}, "not valid at properties"),
    "http": ({"$ref": "http://127.0.0.1:1/schema.json"}, "outside itself"),
    "file": ({"properties": {"a": {"prefixItems": [{"$ref": "file:///etc/passwd"}]}}}, "outside itself"),
    "nowhere": ({"$ref": "#/$defs/absent"}, "not in it"),
    "itself": ({"$ref": "#"}, "refers to itself"),
    "itself twice": ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, "refers to itself"),
    "anchor": ({"$anchor": "a", "items": {"$ref": "#a"}}, "anchors"),
    "inner id": ({"items": {"$id": "https://example.org/a", "$ref": "#/b"}, "b": {}}, "below its top level"),
    "no pattern": ({"type": "string", "pattern": "("}, "no regular expression"),
    "look-ahead": ({"type": "string", "pattern": "^(?=a)a"}, "look-around"),
    "back-reference": ({"type": "string", "pattern": r"^(a+)\1$"}, "back-references"),
}


@pytest.mark.parametrize(("schema", "reason"), [*ABOVE.values(), *INVALID.values()], ids=[*ABOVE, *INVALID])
def test_unusable_schemas_are_refused_at_once(schema: dict[str, Any], reason: str) -> None:
    begun_s = time.thread_time()
    with pytest.raises(BadInput, match=reason) as caught:
        check_schema(schema, param="response_format")
    assert time.thread_time() - begun_s < 0.5
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    "schema",
    [
        chain(6),
        RECURSIVE,
        nested(limits.MAX_SCHEMA_DEPTH - 1),
        {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}, "$id": {"type": "string"}}},
        {"enum": ["$ref", {"$ref": "http://example.org"}]},
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": "https://example.org/s",
            "$ref": "#/$defs/a%20~1",
            "$defs": {"a /": {}},
        },
        {"type": "string", "pattern": r"^\p{L}[\w-]{1,255}$"},
        {"anyOf": [{"pattern": f"a{i}"} for i in range(20)]},
        {"allOf": [{"multipleOf": 0.01}, {"multipleOf": 5}]},
        {"multipleOf": 0.000001},
    ],
    ids=["chain", "recursive", "deep", "names", "data", "pointer", "unicode", "alternatives", "multiples", "small multiple"],
)
def test_ordinary_schemas_are_accepted(schema: dict[str, Any]) -> None:
    check_schema(schema, param="p")


def test_references_elsewhere_are_never_fetched() -> None:
    with socket.socket() as listener, ThreadPoolExecutor(1) as executor:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"
        checked = executor.submit(schema_violation, [], {"$ref": url})
        with pytest.raises(TimeoutError):
            listener.accept()
        assert "cannot be followed" in checked.result()


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (1, chain(24)),
        ("a" * 25, {"pattern": r"^((a|a)*[^\s\S]|a{25})$"}),
        ("a" * 50_000, {"pattern": r"^((a|a)*)*$"}),
        ("a" * (MAX_MATCHED_CHARS + 1), {"pattern": "b"}),
        ("a" * (MAX_VALUE_CHARS + 1), {}),
        ([[2999, "x"]] * 40_000, {"items": {"enum": [[i, "x"] for i in range(900)]}}),
        ([{"a": i} for i in range(20_000)], {"uniqueItems": True}),
    ],
    ids=["chain", "pattern", "long pattern", "matched characters", "characters", "enum", "unique"],
)
def test_no_check_of_a_value_takes_long(value: Any, schema: dict[str, Any]) -> None:
    begun_s = time.thread_time()
    schema_violation(value, schema)
    assert time.thread_time() - begun_s < 1


@pytest.mark.parametrize("combine", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("leaf", [1, {}, {"z": 1}])
def test_recursion_does_not_double_at_every_level(combine: str, leaf: Any) -> None:
    here = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}}
    definition = {combine: [here, {**here, "required": ["z"]}], "unevaluatedProperties": False}
    value = leaf
    for _ in range(200):
        value = {"x": value}
    begun_s = time.thread_time()
    schema_violation(value, {"$defs": {"a": definition}, "$ref": "#/$defs/a"})
    assert time.thread_time() - begun_s < 1


def test_a_deep_value_and_a_deep_schema_do_not_overflow_the_stack() -> None:
    definition: dict[str, Any] = {"properties": {"x": {"$ref": "#/$defs/a"}}}
    for _ in range(25):
        definition = {"allOf": [definition]}
    value: Any = 1
    for _ in range(5_000):
        value = {"x": value}
    schema = {"$defs": {"a": definition}, "$ref": "#/$defs/a"}
    checking = threading.Thread(target=lambda: reasons.append(schema_violation(value, schema)))
    reasons: list[str] = []
    checking.start()
    checking.join()
    assert reasons != [""]


@pytest.mark.parametrize(
    "make",
    [
        lambda n: chain(n // 16, width=1),
        lambda n: {"properties": {f"k{i}": {"$ref": "#/$defs/a"} for i in range(n)}, "$defs": {"a": {"type": "integer"}}},
        lambda n: {"anyOf": [{"properties": {f"k{i}": {"type": "integer"}}} for i in range(n)]},
        lambda n: nested(n // 8),
    ],
    ids=["chain", "properties", "alternatives", "depth"],
)
def test_steps_grow_no_faster_than_the_input(make: Any) -> None:
    first, second, fourth = (measure_schema(make(n), param="p").steps for n in (100, 200, 400))
    assert second <= 2.1 * first
    assert fourth <= 2.1 * second


def test_steps_are_what_following_every_reference_costs() -> None:
    assert [measure_schema(chain(n), param="p").steps for n in (1, 2, 4)] == [6, 14, 62]


def test_time_to_check_grows_no_faster_than_the_value() -> None:
    schema = {"items": {"pattern": r"^((a|a)*[^\s\S]|a{25})$"}}
    seconds = []
    for n in (500, 1_000, 2_000):
        value = json.loads(json.dumps(["a" * 25] * n))
        begun_s = time.thread_time()
        assert schema_violation(value, schema) == ""
        seconds.append(time.thread_time() - begun_s)
    assert seconds[2] < 16 * max(seconds[0], 0.005)
