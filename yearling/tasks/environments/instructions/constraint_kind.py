"""What a kind of constraint is: phrasings in two languages, parameters that a seed draws, and a checker of an answer's text.

Kinds that cannot be met together say so: what a kind `claims` (the first line, the layout, ...) only one kind of a task may
claim, and it `avoids` kinds by what they claim, by their tags or by their names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from yearling.errors import BadInput
from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, ParsedAnswer

ConstraintParameters = Mapping[str, Any]
"""JSON values."""
DIFFICULTY_LEVELS = (1, 2, 3)
"""How demanding thresholds are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintKind:
    """One kind of checkable constraint."""

    id: str
    en: tuple[str, ...]
    zh: tuple[str, ...]
    """Phrasings: format strings over the parameters."""
    draw: Callable[[random.Random, InstructionLanguage, int], dict[str, Any]]
    """Parameters for a language and a level."""
    check: Callable[[ParsedAnswer, ConstraintParameters], bool]
    claims: frozenset[str]
    tags: frozenset[str]
    avoids: frozenset[str]
    held_out: bool
    """Never trained on: exams only."""
    in_english: bool
    """The answer is to be English whatever the language of the request."""

    def phrase(self, language: InstructionLanguage, parameters: ConstraintParameters, source: random.Random) -> str:
        return source.choice(self.en if language == "en" else self.zh).format(**parameters)

    def exclusion_names(self) -> frozenset[str]:
        """Everything by which another kind may avoid this one."""
        return self.claims | self.tags | {self.id}


CONSTRAINT_KINDS: dict[str, ConstraintKind] = {}
"""Every kind by its id, filled by the `*_kinds` modules."""


_CHINESE_WORDING_TAGS = frozenset({"wording", "literal", "fixed", "size", "sentences"})
"""What names Chinese words or counts them, and so does not go with a wish for English in a Chinese request."""


def kinds_conflict(first: ConstraintKind, second: ConstraintKind, language: InstructionLanguage) -> bool:
    """Whether two kinds may not stand in one task whose request is in this language."""
    shared = first.claims & second.claims
    if shared or first.avoids & second.exclusion_names() or second.avoids & first.exclusion_names() or first.id == second.id:
        return True
    pairs = ((first, second), (second, first))
    return language == "zh" and any(one.in_english and other.exclusion_names() & _CHINESE_WORDING_TAGS for one, other in pairs)


def constraint(
    id: str,
    *,
    en: tuple[str, ...],
    zh: tuple[str, ...],
    draw: Callable[[random.Random, InstructionLanguage, int], dict[str, Any]] = lambda source, language, level: {},
    claims: str = "",
    tags: str = "",
    avoids: str = "",
    held_out: bool = False,
    in_english: bool = False,
) -> Callable[[Callable[[ParsedAnswer, ConstraintParameters], bool]], Callable[[ParsedAnswer, ConstraintParameters], bool]]:
    """Register the decorated checker as a kind. `claims`, `tags` and `avoids` are words separated by spaces."""

    def register(
        check: Callable[[ParsedAnswer, ConstraintParameters], bool],
    ) -> Callable[[ParsedAnswer, ConstraintParameters], bool]:
        if id in CONSTRAINT_KINDS:
            raise ValueError(f"two kinds are named {id}")
        CONSTRAINT_KINDS[id] = ConstraintKind(
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
        return check

    return register


def get_constraint_kind(id: str) -> ConstraintKind:
    """Raises BadInput for a name that no kind has."""
    if id not in CONSTRAINT_KINDS:
        raise BadInput(f"There is no kind of constraint named {id}.", advice=f"There are: {', '.join(sorted(CONSTRAINT_KINDS))}.")
    return CONSTRAINT_KINDS[id]
