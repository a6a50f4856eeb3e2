"""Structured output: which JSON schemas are accepted, and whether an answer satisfies its schema.

The engine's grammar enforces a schema; this module checks every answer again. It never fetches a schema from elsewhere.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

from yearling.chat.json_types import SchemaDict
from yearling.errors import BadInput, Unsupported

MAX_SCHEMA_CHARS = 65_536

_LOCAL_REFERENCES_ONLY: Registry[Any] = Registry()
"""An empty registry: references resolve inside the schema only."""


class SchemaNotSatisfied(Unsupported):
    """An answer does not satisfy its JSON schema, although the engine was told to enforce it."""


def check_schema(schema: SchemaDict, *, param: str) -> None:
    """Raises BadInput unless the schema is valid JSON Schema (draft 2020-12), small enough, and free of external references."""
    try:
        if len(json.dumps(schema)) > MAX_SCHEMA_CHARS:
            raise BadInput(
                f"The JSON schema is longer than {MAX_SCHEMA_CHARS} characters.", advice="Use a smaller one.", param=param
            )
        jsonschema.Draft202012Validator.check_schema(schema)
        _check_references(schema, param)
    except jsonschema.SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise BadInput(
            f"The JSON schema is not valid{f' at {where}' if where else ''}: {error.message[:200]}", param=param
        ) from None
    except RecursionError:
        raise BadInput("The JSON schema is nested too deeply.", param=param) from None


def _check_references(schema: object, param: str) -> None:
    if isinstance(schema, list):
        for item in schema:
            _check_references(item, param)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            raise BadInput(
                f"The JSON schema refers to {reference[:100]!r}, which is outside of it.",
                advice="Move the referenced schema under $defs.",
                param=param,
            )
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            _check_pattern(pattern, param)
        for item in schema.values():
            _check_references(item, param)


def _check_pattern(pattern: str, param: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadInput(f"The pattern {pattern[:100]!r} is not a valid regular expression: {error}.", param=param) from None


def schema_violation(value: object, schema: SchemaDict) -> str:
    """Why a value does not satisfy the schema; empty if it does."""
    try:
        violation = jsonschema.exceptions.best_match(
            jsonschema.Draft202012Validator(schema, registry=_LOCAL_REFERENCES_ONLY).iter_errors(value)
        )
    except (Unresolvable, RecursionError) as error:
        return f"the schema cannot be resolved: {error}"
    return "" if violation is None else violation.message


def json_text_violation(text: str, schema: SchemaDict) -> str:
    """Why a text is not JSON that satisfies the schema; empty if it is."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {error}"
    return schema_violation(value, schema)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def canonical_schema_json(schema: SchemaDict | None) -> str:
    """The schema as canonical JSON, as samples store it; empty for None."""
    return "" if schema is None else json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
