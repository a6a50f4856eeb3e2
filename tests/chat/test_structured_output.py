"""Answers that satisfy their schema. Which schemas are accepted is tested in tests/test_json_schemas.py."""

from __future__ import annotations

import pytest

from yearling.chat.structured_output import json_text_violation
from yearling.json_schemas import MAX_VALUE_CHARS


def test_text_is_checked_against_its_schema() -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}
    assert json_text_violation("[1, 2]", schema) == ""
    assert '"a"' in json_text_violation('["a"]', schema)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", "{} {}", "[" * 100_000])
def test_what_is_no_json_is_a_problem(text: str) -> None:
    assert "not JSON" in json_text_violation(text, {})


def test_text_above_the_limit_is_not_parsed() -> None:
    assert str(MAX_VALUE_CHARS) in json_text_violation("[" * (MAX_VALUE_CHARS + 1), {})
