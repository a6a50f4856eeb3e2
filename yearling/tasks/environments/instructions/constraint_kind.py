"""A kind of constraint: phrasings in two languages, parameters drawn by seed, and a checker of an answer's text.

Kinds declare with which others they conflict. Only one kind in a task may claim the same thing, such as the first line or the
layout. A kind also `avoids` other kinds by what they claim, by their tags, or by their ids.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, ParsedAnswer

ConstraintParameters = Mapping[str, Any]
"""JSON values."""
DIFFICULTY_LEVELS = (1, 2, 3)
"""Levels of difficulty of the thresholds."""

DrawnParameters = dict[str, str | int | list[str]]
ParameterDraw = Callable[[random.Random, InstructionLanguage, int], DrawnParameters]
"""Draws the parameters for a language and a difficulty level."""
ConstraintChecker = Callable[[ParsedAnswer, ConstraintParameters], bool]
"""Returns whether an answer meets a constraint with these parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintKind:
    """One kind of checkable constraint."""

    id: str
    en: tuple[str, ...]
    zh: tuple[str, ...]
    """Phrasings in English and Chinese: format strings over the parameters."""
    draw: ParameterDraw
    check: ConstraintChecker
    claims: frozenset[str]
    tags: frozenset[str]
    avoids: frozenset[str]
    held_out: bool
    """For exams only, never trained on."""
    in_english: bool
    """The answer must be in English, whatever the language of the request."""

    def phrase(self, language: InstructionLanguage, parameters: ConstraintParameters, source: random.Random) -> str:
        """Return a random phrasing of this constraint with these parameters."""
        return source.choice(self.en if language == "en" else self.zh).format(**parameters)

    def exclusion_names(self) -> frozenset[str]:
        """Return all words by which another kind may avoid this one."""
        return self.claims | self.tags | {self.id}


_CHINESE_WORDING_TAGS = frozenset({"wording", "literal", "fixed", "size", "sentences"})
"""Tags and claims of kinds that name or count Chinese words, and so conflict with English answers to Chinese requests."""


def kinds_conflict(first: ConstraintKind, second: ConstraintKind, language: InstructionLanguage) -> bool:
    """Return whether two kinds cannot be combined in a task whose request is in this language."""
    shared_claims = first.claims & second.claims
    if (
        shared_claims
        or first.avoids & second.exclusion_names()
        or second.avoids & first.exclusion_names()
        or first.id == second.id
    ):
        return True
    pairs = ((first, second), (second, first))
    return language == "zh" and any(kind.in_english and other.exclusion_names() & _CHINESE_WORDING_TAGS for kind, other in pairs)


def constraint(
    id: str,
    *,
    en: tuple[str, ...],
    zh: tuple[str, ...],
    draw: ParameterDraw = lambda source, language, level: {},
    claims: str = "",
    tags: str = "",
    avoids: str = "",
    held_out: bool = False,
    in_english: bool = False,
) -> Callable[[ConstraintChecker], ConstraintKind]:
    """Turn the decorated checker into a kind of constraint. `claims`, `tags` and `avoids` are words separated by spaces.

    The kind takes effect once its module lists it, see `catalogue`.
    """

    def make_kind(check: ConstraintChecker) -> ConstraintKind:
        return ConstraintKind(
            id=id,
            en=en,
            zh=zh,
            draw=draw,
            check=check,
            claims=frozenset(claims.split()),
            tags=frozenset(tags.split()),
            avoids=frozenset(avoids.split()),
            held_out=held_out,
            in_english=in_english,
        )

    return make_kind
