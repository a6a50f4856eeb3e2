"""Counting on: an easy chain that is rewarded only when all of it is right.

`37` asks for `38 39 40 ...` (or every third number, with `step` 3). Like `running_totals`, every number rests on the one before
and nothing says where a slip was; the step is always the same, so that a chain is easier to learn. `terms` and `step` set how
hard it is, `dev/LOG.md` how often an untrained model meets a reward.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from yearling.errors import BadInput
from yearling.tasks.environments.protocol import Task, Transcript, final_answer_text, task_key
from yearling.tasks.environments.running_totals import first_line_is_numbers
from yearling.tasks.environments.seeds import draw_for_part, shot_seed


@dataclass(frozen=True)
class CountOn:
    """`terms` numbers after a start of up to `largest_start`, `step` apart; `shots` solved examples come first as turns."""

    terms: int = 8
    step: int = 1
    largest_start: int = 900
    shots: int = 2

    name: ClassVar[str] = "count_on"
    summary: ClassVar[str] = "Count on from a number in steps; rewarded only when every number is right."

    def __post_init__(self) -> None:
        if not 1 <= self.terms <= 200 or not 1 <= self.step <= 1000 or not 1 <= self.largest_start <= 10**6:
            raise BadInput("count_on needs terms from 1 to 200, a step from 1 to 1000, and largest_start from 1 to a million.")
        if not 0 <= self.shots <= 20:
            raise BadInput("shots must lie between 0 and 20.", param="shots")

    def task(self, seed: int) -> Task:
        examples = [self._draw_start(shot_seed(index)) for index in range(self.shots)]
        start = draw_for_part(seed, self._draw_start, self._question, excluded=[self._question(example) for example in examples])
        turns = [text for example in examples for text in (self._question(example), self._answer(example))]
        turns.append(self._question(start))
        return Task(
            key=task_key(self.name, [start, self.step, self.terms]),
            messages=tuple({"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)),
            environment=self.name,
            data={"answer": self._answer(start)},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        """The first line of the answer must be the numbers and nothing else."""
        return float(first_line_is_numbers(final_answer_text(transcript), str(task.data["answer"]).split()))

    def _draw_start(self, seed: int) -> int:
        return random.Random(f"count_on {seed}").randint(1, self.largest_start)

    def _question(self, start: int) -> str:
        return f"Count on in steps of {self.step}: write the {self.terms} numbers that follow {start}."

    def _answer(self, start: int) -> str:
        return " ".join(str(start + self.step * place) for place in range(1, self.terms + 1))
