"""Filters of searches by the attributes of files. A pure function over wire models."""

from __future__ import annotations

import operator
from collections.abc import Callable

from yearling.api.openai_files.vector_store_schemas import ComparisonFilter, CompoundFilter, InnerCompoundFilter
from yearling.store import Attributes

FileFilter = ComparisonFilter | InnerCompoundFilter | CompoundFilter

_ORDERS: dict[str, Callable[[float | str, float | str], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def passes(attributes: Attributes, wanted: FileFilter) -> bool:
    """Whether a file with these attributes passes. Values of different types are neither equal nor ordered."""
    if isinstance(wanted, ComparisonFilter):
        return _compares(attributes.get(wanted.key), wanted)
    results = (passes(attributes, each) for each in wanted.filters)
    return all(results) if wanted.type == "and" else any(results)


def _compares(value: str | float | bool | None, wanted: ComparisonFilter) -> bool:
    given = wanted.value
    if wanted.type in ("in", "nin"):
        is_in = any(_equal(value, each) for each in (given if isinstance(given, list) else [given]))
        return is_in == (wanted.type == "in")
    if isinstance(given, list):
        return wanted.type == "ne"
    if wanted.type in ("eq", "ne"):
        return _equal(value, given) == (wanted.type == "eq")
    if isinstance(value, str) and isinstance(given, str):
        return _ORDERS[wanted.type](value, given)
    return _is_number(value) and _is_number(given) and _ORDERS[wanted.type](float(value or 0), float(given))


def _equal(value: str | float | bool | None, given: str | float | bool) -> bool:
    is_same_type = (isinstance(value, bool), isinstance(value, str)) == (isinstance(given, bool), isinstance(given, str))
    return value is not None and is_same_type and value == given


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
