"""Instruction following: a request with one to three constraints, which checkers verify exactly.

`catalogue.py` lists the kinds of constraint, and `prompts.toml` holds the requests. An answer earns the reward if it is sane
(`sanity.py`) and meets every constraint. Training never uses the kinds marked `held_out` nor the requests reserved for exams, so
an exam can measure whether the model learnt to follow instructions, rather than these constraints.
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
from yearling.tasks.environments.instructions.catalogue import CONSTRAINT_KINDS, get_constraint_kind
from yearling.tasks.environments.instructions.constraint_kind import DIFFICULTY_LEVELS, ConstraintKind, kinds_conflict
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
    """`language` is `en`, `zh` or `both`. A task has `fewest` to `most` constraints (1 to 3). `level` 1 to 3 sets the difficulty;
    0 mixes the levels.

    `kinds` is `all`, `seen`, `held_out`, or ids of kinds. In training, `all` excludes held-out kinds. Raises BadInput for other
    settings, and for a training task of held-out kinds only.
    """

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
            raise BadInput(f"fewest and most must be from 1 to {MAX_CONSTRAINTS}, and fewest must not exceed most.", param="most")
        if self.level not in (0, *DIFFICULTY_LEVELS):
            raise BadInput("level must be 0 (mixed), 1, 2 or 3.", param="level")
        self._allowed_kinds("exam")

    @staticmethod
    def task_kinds() -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ids of all kinds, and of those for exams only."""
        return tuple(sorted(CONSTRAINT_KINDS)), tuple(sorted(kind.id for kind in CONSTRAINT_KINDS.values() if kind.held_out))

    def task(self, seed: int) -> Task:
        """Return the task of this seed. Raises BadInput for other seeds, or if the part may use none of the kinds."""
        part = part_of_seed(seed)
        source = random.Random(f"instructions {seed}")
        language: InstructionLanguage = (
            source.choice(("en", "zh")) if self.language == "both" else "zh" if self.language == "zh" else "en"
        )
        request = source.choice(requests_for_part(language, part))
        kinds = self._choose_kinds(source, language, part)
        level = self.level or source.choice(DIFFICULTY_LEVELS)
        drawn = [(kind, kind.draw(source, language, level)) for kind in kinds]
        phrases = [kind.phrase(language, parameters, source) for kind, parameters in drawn]
        constraints = [{"kind": kind.id, "parameters": parameters} for kind, parameters in drawn]
        text = source.choice(_LAYOUTS[language]).format(
            request=request,
            joined=(" " if language == "en" else "").join(phrases),
            listed="\n".join(f"- {phrase}" for phrase in phrases),
        )
        return Task(
            key=task_key(self.name, text),
            messages=({"role": "user", "content": text},),
            environment=self.name,
            data={"language": language, "request": request, "level": level, "constraints": constraints},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 if the answer is sane and meets every constraint, otherwise 0.0."""
        answer = _parse_answer(task, transcript)
        return float(is_sane(answer, str(task.messages[-1]["content"])) and all(self.verdicts(task, transcript).values()))

    def verdicts(self, task: Task, transcript: Transcript) -> dict[str, bool]:
        """Return, for each kind of constraint in the task, whether the answer meets it, sane or not."""
        answer = _parse_answer(task, transcript)
        return {
            constraint["kind"]: get_constraint_kind(constraint["kind"]).check(answer, constraint["parameters"])
            for constraint in task.data["constraints"]
        }

    def _choose_kinds(self, source: random.Random, language: InstructionLanguage, part: SeedPart) -> list[ConstraintKind]:
        num_wanted = source.randint(self.fewest, self.most)
        pool = self._allowed_kinds(part)
        chosen: list[ConstraintKind] = []
        for candidate in source.sample(pool, len(pool)):
            if len(chosen) < num_wanted and not any(kinds_conflict(candidate, other, language) for other in chosen):
                chosen.append(candidate)
        if len(chosen) < self.fewest:
            raise BadInput(f"These kinds cannot be combined {self.fewest} at a time.", param="kinds")
        return chosen

    def _allowed_kinds(self, part: SeedPart) -> list[ConstraintKind]:
        if isinstance(self.kinds, str) and self.kinds in ("all", "seen", "held_out"):
            selected = {"all": (False, True), "seen": (False,), "held_out": (True,)}[self.kinds]
            kinds = [kind for kind in CONSTRAINT_KINDS.values() if kind.held_out in selected]
        else:
            kinds = [get_constraint_kind(name) for name in ([self.kinds] if isinstance(self.kinds, str) else self.kinds)]
        if part == "train":
            kinds = [kind for kind in kinds if not kind.held_out]
        if not kinds:
            raise BadInput("Held-out kinds are for exams only.", advice="Use exam seeds, or other kinds.", param="kinds")
        return kinds


def constraint_kinds() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of all kinds of constraint, and of those for exams only."""
    return Instructions.task_kinds()


@cache
def requests_for_part(language: InstructionLanguage, part: SeedPart) -> tuple[str, ...]:
    """Return the requests that only this part may use."""
    requests = tomllib.loads(files(__package__).joinpath("prompts.toml").read_text(encoding="utf-8"))
    return tuple(request for request in requests[language] if part_owning_question(request) == part)


def _parse_answer(task: Task, transcript: Transcript) -> ParsedAnswer:
    """Return the answer, parsed in the language that the task demands."""
    kinds = [get_constraint_kind(constraint["kind"]) for constraint in task.data["constraints"]]
    language: InstructionLanguage = task.data["language"]
    if any(kind.in_english for kind in kinds):
        language = "en"
    if any(kind.id == "other_language" for kind in kinds):
        language = "zh" if language == "en" else "en"
    return ParsedAnswer(final_answer_text(transcript), language)
