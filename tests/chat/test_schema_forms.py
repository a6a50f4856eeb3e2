"""Weaker forms of schemas: every valid value stays valid, what is left can be checked or enforced."""

from __future__ import annotations

from typing import Any

import llguidance
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.canonical import canonical_json
from yearling.chat.schema_forms import checkable_form, grammar_forms
from yearling.json_schemas import check_schema, schema_violation

LOOK_AHEAD = {"type": "string", "pattern": "^(?=.*a)b"}
ODD: list[dict[str, Any]] = [
    {"type": "object", "propertyNames": {"pattern": "^a"}, "properties": {"a": {"type": "integer"}}},
    {"type": "array", "uniqueItems": True, "items": {"type": "integer"}},
    {"type": "string", "format": "path"},
    {"type": "string", "format": "binary"},
    {"type": "string", "pattern": r"\bword\b"},
    {"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]},
    {"not": {"type": "string"}, "type": ["string", "integer"]},
    {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    {"type": "array", "contains": {"type": "integer"}},
    {"type": "object", "dependentRequired": {"a": ["b"]}, "unevaluatedProperties": False},
    {"type": "object", "patternProperties": {r"\ba": {}}, "additionalProperties": False},
    {"$defs": {"n": {"type": "array", "uniqueItems": True}}, "properties": {"x": {"$ref": "#/$defs/n"}}},
    {"properties": {"uniqueItems": {"type": "boolean"}, "pattern": {"type": "string"}}, "required": ["pattern"]},
]


@pytest.mark.parametrize("schema", ODD, ids=str)
def test_a_grammar_can_enforce_every_form(schema: dict[str, Any]) -> None:
    for form in grammar_forms(schema):
        source = llguidance.LLMatcher.grammar_from_json_schema(canonical_json(form).decode())
        assert llguidance.LLMatcher.validate_grammar(source) == ""


def test_an_ordinary_schema_is_its_own_form() -> None:
    schema = {
        "type": "object",
        "properties": {"d": {"type": "string", "format": "date"}, "p": {"type": "string", "pattern": "^a+$"}},
        "required": ["d"],
        "additionalProperties": False,
    }
    assert grammar_forms(schema)[0] == schema
    assert checkable_form(schema) == schema


@pytest.mark.parametrize(
    ("schema", "form"),
    [
        (LOOK_AHEAD, {"type": "string"}),
        ({"properties": {"a": LOOK_AHEAD}}, {"properties": {"a": {"type": "string"}}}),
        ({"not": LOOK_AHEAD}, {}),
        ({"if": LOOK_AHEAD, "then": {"maxLength": 2}, "else": False}, {}),
        ({"oneOf": [LOOK_AHEAD, {"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "string"}]}),
        ({"patternProperties": {"(?!x)y": {}, "z": {}}, "additionalProperties": False}, {"patternProperties": {"z": {}}}),
        ({"propertyNames": {"pattern": r"(a)\1"}}, {"propertyNames": {}}),
        ({"enum": ["(?=a)"], "const": {"pattern": "(?=a)"}}, {"enum": ["(?=a)"], "const": {"pattern": "(?=a)"}}),
    ],
    ids=str,
)
def test_what_cannot_be_checked_is_left_out(schema: dict[str, Any], form: dict[str, Any]) -> None:
    assert checkable_form(schema) == form
    check_schema(checkable_form(schema), param="p")


_scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "word", "1.5.2020"])
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3)
)
_schemas = st.recursive(
    st.sampled_from([True, False, {}, *ODD, {"type": "integer", "minimum": 1}, {"type": "string", "maxLength": 1}, {"const": 1}]),
    lambda inner: st.one_of(
        st.builds(lambda a, b: {"oneOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda a: {"allOf": [a]}, inner),
        st.builds(lambda a: {"not": a}, inner),
        st.builds(lambda a, b: {"properties": {"a": a, "b": b}, "additionalProperties": False}, inner, inner),
        st.builds(lambda a: {"type": "array", "items": a, "uniqueItems": True}, inner),
        st.builds(
            lambda a, b: {"allOf": [{"properties": {"a": a}}, {"properties": {"b": b}}], "additionalProperties": True},
            inner,
            inner,
        ),
    ),
    max_leaves=5,
).filter(lambda schema: isinstance(schema, dict) and "#/" not in str(schema))


@given(schema=_schemas, value=_values)
def test_no_form_refuses_a_valid_value(schema: dict[str, Any], value: Any) -> None:
    if schema_violation(value, schema):
        return
    for form in grammar_forms(schema):
        assert schema_violation(value, form) == ""


def test_every_form_says_what_a_stored_output_is() -> None:
    schema = {"$comment": "a call", "type": "object", "properties": {"a": {"type": "string", "minLength": 2}}}
    assert [form["$comment"] for form in grammar_forms(schema)] == ["a call", "a call"]
