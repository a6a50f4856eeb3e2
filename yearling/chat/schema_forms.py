"""Weaker forms of a JSON schema: what can be checked in linear time, and what a grammar can enforce.

Engines enforce a part of JSON Schema while they generate. A schema with other keywords is not refused: its grammar enforces a
weaker form, which every valid value satisfies, and the answer is checked against the schema afterwards. Both functions are for
schemas that `measure_schema` has measured, so that they are small. Independent of engines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from yearling.chat.json_types import SchemaDict

_SCHEMA_LISTS = frozenset({"anyOf", "allOf", "prefixItems"})
_SCHEMA_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_SCHEMAS = frozenset({"items", "additionalProperties", "additionalItems"})

_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "title", "description", "default", "examples"})
_CORE_KEYWORDS = frozenset(
    {"type", "enum", "const", "$ref", "anyOf", "properties", "required", "additionalProperties", "items", "prefixItems"}
    | {"$defs", "definitions"}
)
"""What the grammars of all engines enforce."""

_GRAMMAR_KEYWORDS = (
    _CORE_KEYWORDS
    | {"allOf", "patternProperties", "minProperties", "maxProperties", "additionalItems", "minItems", "maxItems"}
    | {"minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
"""What most grammars enforce."""

_GRAMMAR_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"})

_UNCHECKABLE = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]|\\k[<'{]|\(\?P=")
"""Look-around and back-references, which no automaton matches."""
_UNENFORCEABLE = re.compile(_UNCHECKABLE.pattern + r"|\\[bB]")

_POSITIVE_KEYWORDS = _SCHEMA_LISTS | _SCHEMA_MAPS | _SCHEMAS | {"propertyNames", "dependentSchemas"}
"""Keywords whose subschemas may become weaker without making the schema stronger."""


def checkable_form(schema: SchemaDict) -> SchemaDict:
    """The schema without patterns that cannot be matched in linear time, and equal to it if it has none.

    A keyword that would become stronger without such a pattern (`not`, `if`, `oneOf`) is left out as a whole.
    """
    form: SchemaDict = _checkable(schema)
    return form


def grammar_forms(schema: SchemaDict) -> list[SchemaDict]:
    """Weaker forms of the schema for a grammar, strongest first. The first equals the schema if a grammar enforces all of it."""
    forms: list[SchemaDict] = []
    comment = {name: schema[name] for name in ("$comment",) if name in schema}  # says what a stored output is
    for form in (_grammar_form(schema), _core_form(schema) | comment):
        if form not in forms:
            forms.append(form)
    return forms


def _checkable(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    checkable: SchemaDict = {}
    for keyword, value in schema.items():
        if keyword == "pattern" and isinstance(value, str):
            if not _UNCHECKABLE.search(value):
                checkable[keyword] = value
        elif keyword == "patternProperties" and isinstance(value, dict):
            checkable[keyword] = {name: _checkable(part) for name, part in value.items() if not _UNCHECKABLE.search(name)}
        elif keyword in _POSITIVE_KEYWORDS:
            checkable[keyword] = _map_parts(value, _checkable, is_map=keyword in _SCHEMA_MAPS or keyword == "dependentSchemas")
        elif keyword == "oneOf" and isinstance(value, list):
            parts = [_checkable(part) for part in value]
            checkable["oneOf" if parts == value else "anyOf"] = parts
        elif not (keyword in ("not", "if", "then", "else", "contains") and _has_uncheckable(value)):
            checkable[keyword] = value
    if "patternProperties" in schema and checkable.get("patternProperties") != schema["patternProperties"]:
        # Members with the names of the patterns that are gone must stay allowed.
        checkable.pop("additionalProperties", None)
        checkable.pop("unevaluatedProperties", None)
    if "if" in schema and "if" not in checkable:
        for keyword in ("then", "else"):
            checkable.pop(keyword, None)
    return checkable


def _has_uncheckable(schema: Any) -> bool:
    return bool(_checkable(schema) != schema)


def _map_parts(value: Any, change: Any, *, is_map: bool) -> Any:
    if isinstance(value, list):
        return [change(part) for part in value]
    if is_map and isinstance(value, dict):
        return {name: change(part) for name, part in value.items()}
    return change(value)


def _grammar_form(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    form: SchemaDict = {}
    for keyword, value in schema.items():
        if keyword == "oneOf":  # a grammar need not know that branches exclude each other
            form.setdefault("anyOf", _map_parts(value, _grammar_form, is_map=False))
        elif keyword in _SCHEMA_LISTS | _SCHEMA_MAPS | _SCHEMAS:
            form[keyword] = _map_parts(value, _grammar_form, is_map=keyword in _SCHEMA_MAPS)
        elif keyword in _GRAMMAR_KEYWORDS | _ANNOTATIONS and not _is_unenforceable(keyword, value):
            form[keyword] = value
    names = form.get("patternProperties")
    if isinstance(names, dict) and any(map(_UNENFORCEABLE.search, names)):
        form["patternProperties"] = {name: part for name, part in names.items() if not _UNENFORCEABLE.search(name)}
        form.pop("additionalProperties", None)
    return form


def _is_unenforceable(keyword: str, value: Any) -> bool:
    if keyword == "format":
        return not (isinstance(value, str) and value in _GRAMMAR_FORMATS)
    return keyword == "pattern" and isinstance(value, str) and bool(_UNENFORCEABLE.search(value))


def _core_form(schema: Any) -> Any:
    """Types, members, items and alternatives only."""
    if not isinstance(schema, dict):
        return schema
    form: SchemaDict = {}
    for keyword, value in schema.items():
        if keyword in ("oneOf", "anyOf"):
            form.setdefault("anyOf", _map_parts(value, _core_form, is_map=False))
        elif keyword in _CORE_KEYWORDS:
            is_part = keyword in _SCHEMA_LISTS | _SCHEMA_MAPS | _SCHEMAS
            form[keyword] = _map_parts(value, _core_form, is_map=keyword in _SCHEMA_MAPS) if is_part else value
    parts = schema.get("allOf")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        form = {**_core_form(parts[0]), **form}
    elif parts or "patternProperties" in schema:
        form.pop("additionalProperties", None)  # it would forbid members that other keywords describe
    if "required" in form:
        described = form.get("properties")
        form["required"] = [name for name in form["required"] if isinstance(described, dict) and name in described]
    return form
