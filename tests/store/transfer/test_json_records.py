"""The splitter of JSON files: the records of any file, whatever its chunks are, and every ceiling."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.errors import BadInput
from yearling.store.transfer import json_records
from yearling.store.transfer.json_records import ImportBudget, RawRecord, RecordRejected, decode_record, iter_records

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('a"\\[]{},: é\n😀'),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a"\\{', max_size=3), inner, max_size=4),
    max_leaves=20,
)


class SmallReads(io.BytesIO):
    """A file that gives a few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._size)


def split(content: bytes, budget: ImportBudget | None = None) -> list[RawRecord]:
    return list(iter_records(io.BytesIO(content), budget or ImportBudget.start()))


def problems(content: bytes, budget: ImportBudget | None = None) -> list[str]:
    return [record.problem for record in split(content, budget)]


@pytest.mark.slow
@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.booleans(), st.integers(1, 9))
def test_records_of_an_array_are_its_elements(values: list[Any], indent: int | None, ascii_only: bool, size: int) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    records = list(iter_records(SmallReads(content, size), ImportBudget.start()))
    assert [decode_record(record.data) for record in records] == values
    assert [record.number for record in records] == list(range(1, len(values) + 1))


@pytest.mark.slow
@given(VALUES)
def test_deep_decoder_agrees_with_json(value: Any) -> None:
    assert json_records._decode_deep(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ["", "[", "[1", "[1,", "[1 2]", "{1:2}", '{"a"}', '{"a":}', "[,]", "[1,]", "[]]", '"a', "nul", "{,}", "-"]
)
def test_deep_decoder_refuses_what_is_not_json(text: str) -> None:
    with pytest.raises(ValueError):
        json.loads(text)
    with pytest.raises(ValueError):
        json_records._decode_deep(text)


def test_depth_up_to_the_ceiling_is_decoded() -> None:
    levels = json_records.MAX_DEPTH - 1
    [record] = split(b"[" + b"[" * levels + b"]" * levels + b"]")
    value = decode_record(record.data)
    for _ in range(levels - 1):
        assert isinstance(value, list)
        [value] = value
    assert value == []
    assert problems(b"[" + b"[" * (levels + 1) + b"]" * (levels + 1) + b", 1]") == [
        f"it is nested deeper than {json_records.MAX_DEPTH} levels",
        "",
    ]


def test_large_record_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_RECORD_BYTES", 1000)
    assert problems(b'["' + b"x" * 2000 + b'", 1]') == ["it is larger than 1000 bytes", ""]


@pytest.mark.slow
def test_budget_ends_the_file() -> None:
    spent = "this and what follows is not read"
    many = problems(b"[" + b"{}," * 300_000 + b"{}]", ImportBudget(time.monotonic() + 60, records=10))
    assert (len(many), many[-1].endswith(spent)) == (11, True)
    assert problems(b"[" + b"[1,1]," * 300_000 + b"{}]", ImportBudget(time.monotonic() + 60, values=10))[-1].endswith(spent)
    assert "ran out of time" in problems(b"[" + b"{}," * 300_000 + b"{}]", ImportBudget(time.monotonic() - 1))[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [b"{},", b'"",', b'""', b'"\\\\', b"[", b"]", b'{"a":1},', b"a", b"\\"], ids=lambda unit: unit.decode()
)
def test_work_is_linear_for_any_file(unit: bytes) -> None:
    def seconds(size: int) -> float:
        start_s = time.process_time()
        split(b"[" + unit * (size // len(unit)))
        return time.process_time() - start_s

    seconds(10_000)
    assert seconds(4_000_000) < 4 * 2 * seconds(1_000_000) + 0.3


def test_what_is_not_json_is_refused() -> None:
    for content in (b"", b"  ", b"x", b"7", b'"a"'):
        with pytest.raises(BadInput):
            split(content)
    for content in (b"", b"{", b"\xff", b"NaN", b'{"a":Infinity}', b"9" * 5000):
        with pytest.raises(RecordRejected):
            decode_record(content)
    assert problems(b"[1] 2")[-1].startswith("there is more after the end")
    assert problems(b"\xef\xbb\xbf [1]") == [""]
