"""The rules of memory extraction and selection, read from `memory.toml`.

They say which clauses are lasting statements about oneself, which texts are ignored, and which fields of life (food, work,
health, ...) a text is about. `memory.py` explains why these are rules and not a model.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_RULES_FILE = Path(__file__).with_name("memory.toml")
_I_AM = r"i(?:'m|’m| am)(?: also| currently| now)?"


@dataclass(frozen=True, slots=True)
class SelfStatementRule:
    """A pattern for clauses in which people say something lasting about themselves.

    `topic` is set for statements of which only one can be true at a time. With `needs_field`, the clause must also be about a
    field of life.
    """

    pattern: re.Pattern[str]
    topic: str
    needs_field: bool


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """All rules, compiled. `life_fields` maps a field's name to its pattern.

    `always_relevant` matches memories that are selected for every question, such as the language of answers. `name` matches those
    that say what to call the person, and `address` the questions that these bear on. `safety_critical` matches those that are
    selected for every question of the same field, such as allergies.
    """

    self_statements: tuple[SelfStatementRule, ...]
    pasted_material: re.Pattern[str]
    uncertain: re.Pattern[str]
    secret: re.Pattern[str]
    remember_requests_zh: tuple[re.Pattern[str], ...]
    always_relevant: re.Pattern[str]
    name: re.Pattern[str]
    address: re.Pattern[str]
    safety_critical: re.Pattern[str]
    life_fields: dict[str, re.Pattern[str]]
    common_words: frozenset[str]


@cache
def memory_rules() -> MemoryRules:
    """The rules, read from the file at the first call."""
    rules = tomllib.loads(_RULES_FILE.read_text(encoding="utf-8"))
    lists = {
        "am": _I_AM,
        "role": _alternation([*rules["roles"].split(), *rules["roles_of_two_words"]]),
        "role_zh": _alternation(rules["roles_zh"].split()),
        "condition": _alternation(rules["conditions"]),
        "kin": _alternation(rules["kin"].split()),
        "likes": _alternation(rules["likes"]),
    }
    return MemoryRules(
        self_statements=tuple(
            SelfStatementRule(_compile_rule(rule, lists), rule.get("topic", ""), rule.get("needs_field", False))
            for rule in rules["self"]
        ),
        pasted_material=_match_any(rules["material"]),
        uncertain=_match_any(rules["unsure"]),
        secret=_match_any(rules["secret"]),
        remember_requests_zh=tuple(re.compile(pattern) for pattern in rules["asked_zh"]),
        always_relevant=_match_any(rules["always"]),
        name=_match_any(rules["name"]),
        address=_match_any(rules["address"]),
        safety_critical=_match_any(rules["vital"]),
        life_fields={name: _match_any(patterns) for name, patterns in rules["fields"].items()},
        common_words=frozenset(rules["common"].split()),
    )


def _compile_rule(rule: dict[str, Any], lists: dict[str, str]) -> re.Pattern[str]:
    pattern = rule["pattern"]
    for name, words in lists.items():
        pattern = pattern.replace(f"<{name}>", words)
    return re.compile(pattern, re.IGNORECASE)


def _alternation(words: Iterable[str]) -> str:
    """A regular expression for any of the words, the longest first: a word must not hide a longer one that starts with it."""
    return "|".join(sorted(set(words), key=lambda word: (-len(word), word)))


def _match_any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
