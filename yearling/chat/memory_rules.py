"""The rules of memory, read from `memory.toml`: which clauses last, what is left alone, which fields of life a text is about."""

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
    """A clause in which somebody says something lasting of themselves; `needs_field` where it must be about a field of life."""

    pattern: re.Pattern[str]
    topic: str
    needs_field: bool


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """`fields` tell by their names what a text is about; `vital` is what must not be forgotten where its field comes up."""

    self_statements: tuple[SelfStatementRule, ...]
    pasted_material: re.Pattern[str]
    uncertain: re.Pattern[str]
    secret: re.Pattern[str]
    remember_requests_zh: tuple[re.Pattern[str], ...]
    always_relevant: re.Pattern[str]
    safety_critical: re.Pattern[str]
    life_fields: dict[str, re.Pattern[str]]
    common_words: frozenset[str]


@cache
def memory_rules() -> MemoryRules:
    """Read at the first call."""
    plain = tomllib.loads(_RULES_FILE.read_text(encoding="utf-8"))
    lists = {
        "am": _I_AM,
        "role": _alternation([*plain["roles"].split(), *plain["roles_of_two_words"]]),
        "role_zh": _alternation(plain["roles_zh"].split()),
        "condition": _alternation(plain["conditions"]),
        "kin": _alternation(plain["kin"].split()),
        "likes": _alternation(plain["likes"]),
    }
    return MemoryRules(
        self_statements=tuple(
            SelfStatementRule(_compile_rule(rule, lists), rule.get("topic", ""), rule.get("needs_field", False))
            for rule in plain["self"]
        ),
        pasted_material=_match_any(plain["material"]),
        uncertain=_match_any(plain["unsure"]),
        secret=_match_any(plain["secret"]),
        remember_requests_zh=tuple(re.compile(pattern) for pattern in plain["asked_zh"]),
        always_relevant=_match_any(plain["always"]),
        safety_critical=_match_any(plain["vital"]),
        life_fields={name: _match_any(patterns) for name, patterns in plain["fields"].items()},
        common_words=frozenset(plain["common"].split()),
    )


def _compile_rule(rule: dict[str, Any], lists: dict[str, str]) -> re.Pattern[str]:
    pattern = rule["pattern"]
    for name, words in lists.items():
        pattern = pattern.replace(f"<{name}>", words)
    return re.compile(pattern, re.IGNORECASE)


def _alternation(words: Iterable[str]) -> str:
    """Longer ones first, so that a word never hides a longer one that begins with it."""
    return "|".join(sorted(set(words), key=lambda word: (-len(word), word)))


def _match_any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)
