"""Instruction following: a request, one to three constraints on how to answer it, and checkers that need nobody's opinion.

The kinds of constraint are in `length_constraints`, `word_constraints`, `boundary_constraints`, `layout_constraints` and
`mark_constraints`; the requests in `prompts.toml`. An answer is rewarded when it is sane (`sanity.py`) and meets every
constraint. Training never sees the kinds that are `held_out`, nor the requests that are kept for exams: an exam can ask whether
following was learnt, and not these constraints.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import ClassVar

from yearling.errors import BadInput
from yearling.tasks.environments.instructions import boundary_constraints as boundary_constraints
from yearling.tasks.environments.instructions import layout_constraints as layout_constraints
from yearling.tasks.environments.instructions import length_constraints as length_constraints
from yearling.tasks.environments.instructions import mark_constraints as mark_constraints
from yearling.tasks.environments.instructions import word_constraints as word_constraints
from yearling.tasks.environments.instructions.constraint_kind import (
    CONSTRAINT_KINDS,
    DIFFICULTY_LEVELS,
    ConstraintKind,
    get_constraint_kind,
    kinds_conflict,
)
from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, ParsedAnswer
from yearling.tasks.environments.instructions.sanity import is_sane
from yearling.tasks.environments.protocol import Task, Transcript, final_answer_text, task_key
from yearling.tasks.environments.seeds import SeedPart, part_of_seed, part_owning_question

MAX_CONSTRAINTS = 3
_LAYOUTS: dict[InstructionLanguage, tuple[str, ...]] = {
    "en": ("{request} {joined}", "{request}\n\n{listed}", "{request}\n\nRules:\n{listed}", "{joined}\n\n{request}"),
    "zh": ("{request}{joined}", "{request}\n\n{listed}", "{request}\n\n要求：\n{listed}", "{joined}\n\n{request}"),
}


@dataclass(frozen=True)
class Instructions:
    """`language` is `en`, `zh` or `both`. A task has `fewest` to `most` constraints (1 to 3). `level` 1 to 3 sets how demanding
    they are, 0 mixes. `kinds` is `all`, `seen`, `held_out`, or names of kinds; in training `all` means those not held out.

    Raises BadInput for other settings, and for a training task of held-out kinds."""

    language: str = "en"
    fewest: int = 1
    most: int = 1
    level: int = 1
    kinds: str | Sequence[str] = "all"

    name: ClassVar[str] = "instructions"
    summary: ClassVar[str] = "Follow constraints on length, words, form and marks, in English and Chinese; checked exactly."

    def __post_init__(self) -> None:
        if self.language not in ("en", "zh", "both"):
            raise BadInput("language must be en, zh or both.", param="language")
        if not 1 <= self.fewest <= self.most <= MAX_CONSTRAINTS:
            raise BadInput(f"fewest and most must lie between 1 and {MAX_CONSTRAINTS}, in this order.", param="most")
        if self.level not in (0, *DIFFICULTY_LEVELS):
            raise BadInput("level must be 0 (mixed), 1, 2 or 3.", param="level")
        self._allowed_kinds("exam")

    @staticmethod
    def members() -> tuple[tuple[str, ...], tuple[str, ...]]:
        """All kinds, and those that are for exams only."""
        return tuple(sorted(CONSTRAINT_KINDS)), tuple(sorted(kind.id for kind in CONSTRAINT_KINDS.values() if kind.held_out))

    def task(self, seed: int) -> Task:
        part = part_of_seed(seed)
        source = random.Random(f"instructions {seed}")
        language: InstructionLanguage = (
            source.choice(("en", "zh")) if self.language == "both" else "zh" if self.language == "zh" else "en"
        )
        request = source.choice(requests_for_part(language, part))
        chosen = self._choose_kinds(source, language, part)
        level = self.level or source.choice(DIFFICULTY_LEVELS)
        drawn = [(kind, kind.draw(source, language, level)) for kind in chosen]
        said = [kind.phrase(language, parameters, source) for kind, parameters in drawn]
        constraints = [{"kind": kind.id, "parameters": parameters} for kind, parameters in drawn]
        text = source.choice(_LAYOUTS[language]).format(
            request=request, joined=(" " if language == "en" else "").join(said), listed="\n".join(f"- {one}" for one in said)
        )
        return Task(
            key=task_key(self.name, text),
            messages=({"role": "user", "content": text},),
            environment=self.name,
            data={"language": language, "request": request, "level": level, "constraints": constraints},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        answer = _parse_answer(task, transcript)
        return float(is_sane(answer, str(task.messages[-1]["content"])) and all(self.verdicts(task, transcript).values()))

    def verdicts(self, task: Task, transcript: Transcript) -> dict[str, bool]:
        """For each kind of the task: whether the answer meets it, sane or not."""
        answer = _parse_answer(task, transcript)
        return {
            made["kind"]: get_constraint_kind(made["kind"]).check(answer, made["parameters"]) for made in task.data["constraints"]
        }

    def _choose_kinds(self, source: random.Random, language: InstructionLanguage, part: SeedPart) -> list[ConstraintKind]:
        wanted = source.randint(self.fewest, self.most)
        pool = self._allowed_kinds(part)
        chosen: list[ConstraintKind] = []
        for candidate in source.sample(pool, len(pool)):
            if len(chosen) < wanted and not any(kinds_conflict(candidate, other, language) for other in chosen):
                chosen.append(candidate)
        if len(chosen) < self.fewest:
            raise BadInput(f"These kinds cannot be combined {self.fewest} at a time.", param="kinds")
        return chosen

    def _allowed_kinds(self, part: SeedPart) -> list[ConstraintKind]:
        if isinstance(self.kinds, str) and self.kinds in ("all", "seen", "held_out"):
            wanted = {"all": (False, True), "seen": (False,), "held_out": (True,)}[self.kinds]
            found = [kind for kind in CONSTRAINT_KINDS.values() if kind.held_out in wanted]
        else:
            found = [get_constraint_kind(name) for name in ([self.kinds] if isinstance(self.kinds, str) else self.kinds)]
        if part == "train":
            found = [kind for kind in found if not kind.held_out]
        if not found:
            raise BadInput("Held-out kinds are for exams only.", advice="Use exam seeds, or other kinds.", param="kinds")
        return found


@cache
def requests_for_part(language: InstructionLanguage, part: SeedPart) -> tuple[str, ...]:
    """The requests that this part may use; no other part has them."""
    store = tomllib.loads(files(__package__).joinpath("prompts.toml").read_text(encoding="utf-8"))
    return tuple(request for request in store[language] if part_owning_question(request) == part)


def _parse_answer(task: Task, transcript: Transcript) -> ParsedAnswer:
    """The answer, counted in the language that the task wants it in."""
    kinds = [get_constraint_kind(made["kind"]) for made in task.data["constraints"]]
    language: InstructionLanguage = task.data["language"]
    if any(kind.in_english for kind in kinds):
        language = "en"
    if any(kind.id == "other_language" for kind in kinds):
        language = "zh" if language == "en" else "en"
    return ParsedAnswer(final_answer_text(transcript), language)
