"""Filters of vector stores: comparisons of attributes, by type."""

from __future__ import annotations

from typing import Any

import pytest

from yearling.api.openai_files.filters import passes
from yearling.api.openai_files.vector_store_schemas import VectorStoreSearch

FILE: dict[str, str | float | bool] = {"kind": "report", "year": 2024, "draft": True}


def search(filters: Any) -> bool:
    wanted = VectorStoreSearch.model_validate({"query": "x", "filters": filters}).filters
    assert wanted is not None
    return passes(FILE, wanted)


def compare(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("kind", "key", "value", "expected"),
    [
        ("eq", "kind", "report", True),
        ("eq", "kind", "Report", False),
        ("eq", "year", 2024, True),
        ("eq", "year", "2024", False),
        ("eq", "draft", True, True),
        ("eq", "draft", 1, False),
        ("eq", "none", "x", False),
        ("ne", "none", "x", True),
        ("ne", "kind", "report", False),
        ("gt", "year", 2023, True),
        ("gt", "year", 2024, False),
        ("gte", "year", 2024, True),
        ("lt", "year", 2025, True),
        ("lte", "year", 2023, False),
        ("gt", "kind", "a", True),
        ("gt", "kind", 1, False),
        ("gt", "draft", 0, False),
        ("gt", "none", 0, False),
        ("in", "kind", ["memo", "report"], True),
        ("in", "year", [1, 2], False),
        ("nin", "year", [1, 2], True),
        ("nin", "none", ["x"], True),
        ("eq", "kind", ["report"], False),
    ],
)
def test_comparisons(kind: str, key: str, value: Any, expected: bool) -> None:
    assert search(compare(kind, key, value)) is expected


def test_compounds() -> None:
    true, false = compare("eq", "kind", "report"), compare("eq", "kind", "memo")
    assert search({"type": "and", "filters": [true, true]})
    assert not search({"type": "and", "filters": [true, false]})
    assert search({"type": "or", "filters": [false, true]})
    assert not search({"type": "or", "filters": []})
    assert search({"type": "and", "filters": [true, {"type": "or", "filters": [false, true]}]})


def test_deep_or_long_filters_are_refused() -> None:
    leaf = compare("eq", "kind", "report")
    with pytest.raises(ValueError, match="filters"):
        search({"type": "and", "filters": [{"type": "and", "filters": [{"type": "and", "filters": [leaf]}]}]})
    with pytest.raises(ValueError, match="at most 20"):
        search({"type": "and", "filters": [leaf] * 21})
