"""Grammars of JSON schemas: what the limits of schemas leave is built in bounded time."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from tests.test_json_schemas import ABOVE, chain
from yearling.errors import BadInput, Unsupported
from yearling.inference import ByteTokenizer
from yearling.inference.fake import VOCAB_SIZE
from yearling.inference.grammar import GrammarVocabulary

AT_THE_LIMIT: dict[str, dict[str, Any]] = {
    "chain": chain(10),
    "patterns of one value": {"allOf": [{"type": "string", "pattern": f"^.*a.{{{i}}}b.*$"} for i in range(1, 9)]},
    "pattern": {"type": "string", "pattern": r"^((a|a)*[^\s\S]|a{25})$"},
    "pattern properties": {"type": "object", "patternProperties": {f"^a{i}$": {"type": "integer"} for i in range(32)}},
    "multiple": {"type": "integer", "multipleOf": 9973},
    "properties": {"type": "object", "properties": {f"k{i}": {"type": "integer"} for i in range(1_000)}},
    "alternatives": {
        "anyOf": [{"type": "object", "properties": {f"k{i + j}": {"type": "integer"} for j in range(8)}} for i in range(100)]
    },
    "recursive": {
        "$defs": {"a": {"type": "object", "properties": {"x": {"allOf": [{"$ref": "#/$defs/a"}] * 2}}}},
        "$ref": "#/$defs/a",
    },
}


@pytest.fixture(scope="module")
def vocabulary() -> GrammarVocabulary:
    return GrammarVocabulary(ByteTokenizer(), width=VOCAB_SIZE)


@pytest.mark.parametrize("schema", AT_THE_LIMIT.values(), ids=AT_THE_LIMIT)
def test_a_schema_within_the_limits_is_built_or_refused_soon(vocabulary: GrammarVocabulary, schema: dict[str, Any]) -> None:
    begun_s = time.thread_time()
    with suppress(Unsupported):
        vocabulary.new_grammar(schema).allowed_mask()
    assert time.thread_time() - begun_s < 2


@pytest.mark.parametrize("name", ["steps", "patterns per value", "multiple", "multiple of two", "pattern properties", "depth"])
def test_a_schema_above_a_limit_is_refused_before_it_is_built(vocabulary: GrammarVocabulary, name: str) -> None:
    begun_s = time.thread_time()
    with pytest.raises(BadInput, match=ABOVE[name][1]):
        vocabulary.new_grammar(ABOVE[name][0])
    assert time.thread_time() - begun_s < 0.5
