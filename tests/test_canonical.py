"""Canonical JSON: fixed vectors, because stored hashes depend on every byte."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from yearling.canonical import canonical_json


def equal_forms(value: Any, encoded: bytes) -> tuple[Any, bytes, bytes]:
    """Return a vector whose ASCII and UTF-8 forms are equal."""
    return value, encoded, encoded


VECTORS: list[tuple[Any, bytes, bytes]] = [
    ({"b": "é", "a": [1.0, None, True]}, b'{"a":[1.0,null,true],"b":"\\u00e9"}', b'{"a":[1.0,null,true],"b":"\xc3\xa9"}'),
    ({"\U0001f600": 1, "\uffff": 2}, b'{"\\uffff":2,"\\ud83d\\ude00":1}', b'{"\xef\xbf\xbf":2,"\xf0\x9f\x98\x80":1}'),
    (['\x00\x1f"\\/\x7f\u2028'], b'["\\u0000\\u001f\\"\\\\/\\u007f\\u2028"]', b'["\\u0000\\u001f\\"\\\\/\x7f\xe2\x80\xa8"]'),
    equal_forms({"n": [0, -0.0, 1e16, 0.1, 1e-7, 2**63]}, b'{"n":[0,-0.0,1e+16,0.1,1e-07,9223372036854775808]}'),
    equal_forms({10: "number", 9: ("tuple",)}, b'{"9":["tuple"],"10":"number"}'),
    equal_forms({}, b"{}"),
]


@pytest.mark.parametrize(("value", "ascii_bytes", "utf8_bytes"), VECTORS)
def test_bytes_of_fixed_values(value: Any, ascii_bytes: bytes, utf8_bytes: bytes) -> None:
    assert canonical_json(value) == ascii_bytes
    assert canonical_json(value, ensure_ascii=False) == utf8_bytes


def test_hash_of_all_vectors() -> None:
    """The same bytes as the functions that this one replaced: `json.dumps` with sorted keys and compact separators."""
    hasher = hashlib.sha256()
    for value, *_ in VECTORS:
        for ensure_ascii in (True, False):
            line = canonical_json(value, ensure_ascii=ensure_ascii)
            assert line == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=ensure_ascii).encode()
            hasher.update(line)
    assert hasher.hexdigest() == "e37d192b1c6b5788aa95cc987001400b483f15b4dde4b711944b624e1003b1d3"


def test_order_of_keys_does_not_matter() -> None:
    assert canonical_json({"a": 1, "b": {"d": 2, "c": 3}}) == canonical_json({"b": {"c": 3, "d": 2}, "a": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_refuses_numbers_that_json_lacks(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": value})


def test_refuses_foreign_types_and_circles() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        canonical_json(circle)
    with pytest.raises(TypeError):
        canonical_json({"a": b"bytes"})


def test_lone_surrogates_are_escaped_in_ascii_and_refused_in_utf8() -> None:
    assert canonical_json("\ud800") == b'"\\ud800"'
    with pytest.raises(UnicodeEncodeError):
        canonical_json("\ud800", ensure_ascii=False)
