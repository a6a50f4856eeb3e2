"""The layout of values in columns: lossless, and refused when damaged."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.errors import BadInput, Untrusted
from yearling.store.database.packing import (
    compact_json,
    escape_text,
    pack_canonical_json,
    pack_ids,
    pack_logprobs,
    unescape_text,
    unpack_ids,
    unpack_logprobs,
)

FLOAT32 = st.floats(width=32, allow_nan=False)


@given(st.lists(st.integers(0, 2**31 - 1)))
def test_ids_round_trip(ids: list[int]) -> None:
    assert unpack_ids(pack_ids(ids)) == tuple(ids)
    assert len(pack_ids(ids)) == 4 * len(ids)


@given(st.lists(FLOAT32) | st.lists(st.floats(allow_nan=False)))
def test_logprobs_round_trip(logprobs: list[float]) -> None:
    unpacked = unpack_logprobs(pack_logprobs(logprobs))
    assert [struct.pack("<d", value) for value in unpacked] == [struct.pack("<d", value) for value in logprobs]


@given(st.lists(FLOAT32, min_size=1))
def test_float32_values_take_four_bytes(logprobs: list[float]) -> None:
    assert len(pack_logprobs(logprobs)) == 1 + 4 * len(logprobs)


def test_layout_follows_its_definition() -> None:
    assert pack_ids([1, 258]) == b"\x01\0\0\0\x02\x01\0\0"
    assert pack_logprobs([-0.5]) == b"f" + struct.pack("<f", -0.5)
    assert pack_logprobs([-0.5, -0.1]) == b"d" + struct.pack("<2d", -0.5, -0.1)
    assert pack_ids([]) == pack_logprobs([]) == b""


def test_nan_round_trips() -> None:
    assert math.isnan(unpack_logprobs(pack_logprobs([math.nan]))[0])


@pytest.mark.parametrize("ids", [[-1], [2**31]])
def test_ids_outside_int32_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="token id"):
        pack_ids(ids)


@pytest.mark.parametrize("packed", [b"f123", b"d1234567", b"x1234", b"f12345"])
def test_damaged_logprobs_are_refused(packed: bytes) -> None:
    with pytest.raises(Untrusted):
        unpack_logprobs(packed)


def test_damaged_ids_are_refused() -> None:
    with pytest.raises(Untrusted):
        unpack_ids(b"12345")


@given(st.text(st.characters(codec=None)) | st.text(st.sampled_from("\0\ud800\udfff\U0010fffdf0")))
def test_text_round_trips(text: str) -> None:
    escaped = escape_text(text)
    assert unescape_text(escaped) == text
    assert "\0" not in escaped
    escaped.encode()  # lone surrogates would raise


@given(st.text(st.sampled_from("\0a\U0010fffd0")), st.text(st.sampled_from("\0a\U0010fffd0")))
def test_escaping_is_injective(first: str, second: str) -> None:
    assert (escape_text(first) == escape_text(second)) == (first == second)


def test_hashed_json_is_canonical_and_other_json_keeps_key_order() -> None:
    assert pack_canonical_json({"b": "é", "a": [1.0, None]}) == '{"a":[1.0,null],"b":"\\u00e9"}'
    assert compact_json({"b": 1, "a": 2}) == '{"b":1,"a":2}'


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, b"x", object()])
def test_values_that_json_lacks_are_refused(value: object) -> None:
    with pytest.raises(BadInput):
        pack_canonical_json({"a": value})
