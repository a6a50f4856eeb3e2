"""Structured output: whether an answer satisfies its JSON schema.

The engine's grammar enforces a schema; this module checks every answer again.
"""

from __future__ import annotations

import json
from typing import NoReturn

from yearling.chat.json_types import SchemaDict
from yearling.errors import Unsupported
from yearling.json_schemas import MAX_VALUE_CHARS, schema_violation


class SchemaNotSatisfied(Unsupported):
    """An answer does not satisfy its JSON schema, although the engine was told to enforce it."""


def json_text_violation(text: str, schema: SchemaDict) -> str:
    """Why a text is not JSON that satisfies the schema; empty if it is."""
    if len(text) > MAX_VALUE_CHARS:
        return f"it has more than {MAX_VALUE_CHARS} characters"
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
