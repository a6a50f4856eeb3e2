"""Structured output: whether an answer satisfies its JSON schema.

The engine's grammar does the enforcing; this is the second pair of eyes, which no answer passes unchecked.
"""

from __future__ import annotations

import json
from typing import Any

from yearling.errors import Unsupported
from yearling.json_schemas import MAX_VALUE_CHARS, schema_violation


class SchemaNotSatisfied(Unsupported):
    """The engine could not make the model satisfy the schema."""


def json_text_violation(text: str, schema: dict[str, Any]) -> str:
    """Why a text is no JSON that satisfies the schema; empty when it is. For worker threads."""
    if len(text) > MAX_VALUE_CHARS:
        return f"it has more than {MAX_VALUE_CHARS} characters"
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {error}"
    return schema_violation(value, schema)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def canonical_schema_json(schema: dict[str, Any] | None) -> str:
    """The schema as canonical JSON, as samples store it; empty for none."""
    return "" if schema is None else json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
