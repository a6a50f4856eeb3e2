"""Count on from a number: an easy chain that is rewarded only if all of it is right.

`37` asks for `38 39 40 ...`, or for every third number with `step` 3. As in `running_totals`, every number depends on the one
before and nothing says where a mistake was. The step is always the same, so this chain is easier to learn. `terms` and `step` set
the difficulty; `dev/LOG.md` records how often an untrained model earns a reward.
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
    """The answer is the `terms` numbers after a start of 1 to `largest_start`, `step` apart.

    The prompt starts with `shots` solved examples, always the same ones. Raises BadInput for settings out of range.
    """

    terms: int = 8
    step: int = 1
    largest_start: int = 900
    shots: int = 2

    name: ClassVar[str] = "count_on"
    summary: ClassVar[str] = "Count on from a number in steps; rewarded only when every number is right."

    def __post_init__(self) -> None:
        if not 1 <= self.terms <= 200 or not 1 <= self.step <= 1000 or not 1 <= self.largest_start <= 10**6:
            raise BadInput("count_on needs terms from 1 to 200, a step from 1 to 1,000, and largest_start from 1 to 1,000,000.")
        if not 0 <= self.shots <= 20:
            raise BadInput("shots must be from 0 to 20.", param="shots")

    def task(self, seed: int) -> Task:
        """Return the task of this seed. Raises BadInput for other seeds."""
        examples = [self._draw_start(shot_seed(index)) for index in range(self.shots)]
        start = draw_for_part(seed, self._draw_start, self._question, excluded=[self._question(example) for example in examples])
        turns = [text for example in examples for text in (self._question(example), self._answer(example))]
        turns.append(self._question(start))
        return Task(
            key=task_key(self.name, [start, self.step, self.terms]),
            messages=tuple({"role": ("user", "assistant")[position % 2], "content": text} for position, text in enumerate(turns)),
            environment=self.name,
            data={"answer": self._answer(start)},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 if the first line of the answer consists of exactly the numbers, otherwise 0.0."""
        return float(first_line_is_numbers(final_answer_text(transcript), str(task.data["answer"]).split()))

    def _draw_start(self, seed: int) -> int:
        return random.Random(f"count_on {seed}").randint(1, self.largest_start)

    def _question(self, start: int) -> str:
        return f"Count on in steps of {self.step}: write the {self.terms} numbers that follow {start}."

    def _answer(self, start: int) -> str:
        return " ".join(str(start + self.step * position) for position in range(1, self.terms + 1))
