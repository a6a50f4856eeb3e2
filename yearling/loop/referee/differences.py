"""Where two recorded values first differ, and rows whose words were withheld."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yearling.canonical import canonical_json
from yearling.loop.referee.export import WITHHELD


def readable_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with an empty text, or an empty list of messages, in the place of withheld words."""
    empty = {"messages": "[]"}
    return {name: empty.get(name, "") if is_withheld(value) else value for name, value in row.items()}


def is_withheld(value: object) -> bool:
    """Whether this stands for words that were withheld."""
    return isinstance(value, dict) and set(value) == {WITHHELD}


def find_difference(recorded: object, computed: object, place: str = "") -> str:
    """Where two JSON values first differ, as a sentence; empty if their canonical bytes are equal."""
    if canonical_json(recorded) == canonical_json(computed):
        return ""
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        for key in sorted({*recorded, *computed}, key=str):
            if key not in recorded or key not in computed:
                return f"{place}{key} is in one of the two only."
            if found := find_difference(recorded[key], computed[key], f"{place}{key}."):
                return found
    if isinstance(recorded, list | tuple) and isinstance(computed, list | tuple) and len(recorded) == len(computed):
        for index, (left, right) in enumerate(zip(recorded, computed, strict=True)):
            if found := find_difference(left, right, f"{place}{index}."):
                return found
    return f"{place.rstrip('.') or 'It'} is {recorded!r:.100} as recorded and {computed!r:.100} as computed."
