"""Structured output: the schema that an output must satisfy, and whether it does.

The engine's grammar enforces what it can of a schema; this module checks every output against all of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from yearling.chat.json_types import SchemaDict
from yearling.chat.schema_forms import checkable_form, grammar_forms
from yearling.errors import Unsupported
from yearling.inference import read_json
from yearling.json_schemas import MAX_VALUE_CHARS, schema_violation


class SchemaNotSatisfied(Unsupported):
    """An answer does not satisfy its JSON schema, although the engine was told to enforce it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputConstraint:
    """What an output must satisfy.

    The engine's grammar enforces the first of `grammar_forms` that it can while it generates, and `schema` is checked afterwards.
    """

    schema: SchemaDict
    grammar_forms: tuple[SchemaDict, ...]
    called_name: str = ""
    """The function whose arguments the output is; empty if the output names the function, or is no call."""
    named_call: OutputConstraint | None = None
    """The same for a prompt that names the function to be called; None unless there is only one."""

    @classmethod
    def from_schema(cls, schema: SchemaDict, *, called_name: str = "", named_call: OutputConstraint | None = None) -> Self:
        """The constraint of a schema that `check_schema` accepts."""
        forms = tuple(grammar_forms(schema))
        return cls(schema=schema, grammar_forms=forms, called_name=called_name, named_call=named_call)

    @property
    def is_enforceable(self) -> bool:
        """Whether a grammar enforces the whole schema, so that an answer can be passed on before it is complete."""
        return self.grammar_forms[0] == self.schema


def effective_schema(schema: SchemaDict, *, strict: bool) -> SchemaDict:
    """The schema, without what cannot be checked unless it is `strict`."""
    return schema if strict else checkable_form(schema)


def json_text_violation(text: str, schema: SchemaDict) -> str:
    """Why a text is not JSON that satisfies the schema; empty if it is."""
    if len(text) > MAX_VALUE_CHARS:
        return f"it has more than {MAX_VALUE_CHARS} characters"
    try:
        value = read_json(text)
    except ValueError as error:
        return f"it is not JSON: {error}"
    return schema_violation(value, schema)


def canonical_schema_json(schema: SchemaDict | None) -> str:
    """The schema as canonical JSON, as samples store it; empty for None."""
    return "" if schema is None else json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
