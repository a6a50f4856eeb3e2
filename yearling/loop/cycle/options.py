"""Options of a cycle: what a person, the page or the server's schedule may choose. The key-holders' rules decide the rest."""

from __future__ import annotations

from dataclasses import dataclass

from yearling.errors import BadInput
from yearling.loop.jobs.kinds import parse_settings

STEPS = ("consensus", "lessons", "training", "exams", "gate", "proposal", "canary", "promotion")
"""The steps of a cycle, in their order."""

LEARNING_METHODS = ("auto", "sft", "dpo", "kto")
SOURCES = ("judgements", "practice")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleOptions:
    """Options of a cycle, as its job stores them."""

    source: str = "judgements"
    """What is learnt: `judgements` of people, or `practice`, tasks whose answers a program checks."""
    method: str = "auto"
    """Training method; `auto` is the one for which there are most lessons."""
    settings: tuple[str, ...] = ()
    """Settings of the method, as NAME=VALUE."""
    rank: int = 16
    until: str = "promotion"
    """The last step: `gate` only measures, `proposal` proposes, `canary` tries it on some people, `promotion` uses it."""
    resume: str = ""
    """Id of a cycle to go on with, instead of a new one."""
    practice_tasks: int = 600
    """With `practice`: number of tasks to learn from."""
    seed: int = 0
    why: str = ""
    """Why it was started, for people."""
    up_to: int = 0
    """Number of the newest event of the feedback log when the server started it; 0 if a person did."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("source", self.source, SOURCES),
            ("method", self.method, LEARNING_METHODS),
            ("until", self.until, STEPS),
        ):
            if value not in known:
                raise BadInput(f"{name} must be one of {', '.join(known)}.", param=name)
        if not 1 <= self.rank <= 1024:
            raise BadInput("rank must be from 1 to 1024.", param="rank")
        if not 20 <= self.practice_tasks <= 20_000:
            raise BadInput("practice_tasks must be from 20 to 20000.", param="practice_tasks")
        parse_settings(self.settings)
