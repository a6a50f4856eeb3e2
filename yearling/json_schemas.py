"""JSON schemas that users supply: which are accepted, and whether a value satisfies one.

Patterns are matched in linear time (by Rust's regex crate, in jsonschema-rs), `schema_limits` bounds the rest, and nothing is
ever fetched. Both functions are for worker threads: they always end, and the library releases the interpreter's lock.
"""

from __future__ import annotations

import json
from typing import Any, Final

import jsonschema_rs

from yearling.errors import BadInput
from yearling.schema_limits import measure_schema

MAX_VALUE_CHARS: Final = 1_048_576
"""Characters, as JSON, of a value that is checked against a schema."""
MAX_VALIDATIONS: Final = 20_000_000
"""Steps of the schema times the characters of the value."""
MAX_MATCHED_CHARS: Final = 200_000
"""Patterns of the schema times the characters of the value."""
MAX_PATTERN_BYTES: Final = 2_097_152
"""Memory of one compiled regular expression."""

_PATTERNS = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES)


def check_schema(schema: dict[str, Any], *, param: str) -> None:
    """Check a schema. Raises BadInput if it is no JSON schema (draft 2020-12), exceeds a limit, or refers outside itself."""
    measure_schema(schema, param=param)
    try:
        _compile(schema)
    except jsonschema_rs.ValidationError as error:
        pattern, _, refused = error.message.rpartition(' is not a "regex"')
        if pattern and not refused:
            raise BadInput(
                f"The pattern {pattern[:100]} cannot be used: it is no regular "
                f"expression, compiles to more than {MAX_PATTERN_BYTES >> 20} MiB, or needs look-around or back-references, "
                "which cannot be matched in linear time.",
                param=param,
            ) from None
        where = "/".join(str(part) for part in error.instance_path)
        raise BadInput(
            f"The JSON schema is not valid{f' at {where[:100]}' if where else ''}: {error.message[:200]}", param=param
        ) from None
    except ValueError as error:
        raise BadInput(f"The JSON schema is not valid: {str(error)[:200]}", param=param) from None


def schema_violation(value: object, schema: dict[str, Any]) -> str:
    """The reason why a value does not satisfy the schema, or an empty text if it does.

    A schema above a limit, and a value that is too large to be checked against its schema, count as violations.
    """
    try:
        size = measure_schema(schema, param="")
        chars = len(json.dumps(value, ensure_ascii=False))
        if chars > MAX_VALUE_CHARS:
            return f"it has more than {MAX_VALUE_CHARS} characters"
        if size.steps * chars > MAX_VALIDATIONS or size.patterns * chars > MAX_MATCHED_CHARS:
            return "it is too long to be checked against a schema of this size"
        validator = _compile(schema)
        if validator.is_valid(value):
            return ""
        if size.recursive:  # only the verdict remembers what it has seen: a search for the reason could double at every level
            return "a value does not fit its place in the schema"
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        return error.message
    except (BadInput, RecursionError, ValueError) as error:
        return f"the schema cannot be followed: {error}"
    return "a value does not fit its place in the schema"


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, pattern_options=_PATTERNS, validate_formats=False, offline=True)
