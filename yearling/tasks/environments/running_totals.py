"""Running totals: a chain of sums in one answer, rewarded only if all of it is right.

`4 2 7` asks for `4 6 13`. Every total depends on the one before, one mistake loses the whole reward, and nothing says where it
was. This is a long sparse reward within a few dozen tokens, on which to compare a value function with a group mean. `terms` sets
the length.
"""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import dataclass
from typing import ClassVar

from yearling.checks import plain_digits
from yearling.errors import BadInput
from yearling.tasks.environments.protocol import Task, Transcript, final_answer_text, task_key
from yearling.tasks.environments.seeds import draw_for_part, shot_seed

_REQUEST = "Write the running totals: each number is the one before plus the next."
_ROLES = ("user", "assistant")
_NUMBER_LINE = re.compile(r"\s*(-?\d+(?:[ ,]+-?\d+)*)\s*\.?\s*", re.ASCII)


@dataclass(frozen=True)
class RunningTotals:
    """The question has `terms` numbers from 0 to `largest`.

    The prompt starts with `shots` solved examples, always the same ones. Raises BadInput for settings out of range.
    """

    terms: int = 6
    largest: int = 9
    shots: int = 2

    name: ClassVar[str] = "running_totals"
    summary: ClassVar[str] = "Add up a row of numbers and write every total on the way; rewarded only when all are right."

    def __post_init__(self) -> None:
        if not 2 <= self.terms <= 200 or not 1 <= self.largest <= 10**6 or not 0 <= self.shots <= 20:
            raise BadInput("running_totals needs terms from 2 to 200, largest from 1 to 1,000,000, and shots from 0 to 20.")

    def task(self, seed: int) -> Task:
        """Return the task of this seed. Raises BadInput for other seeds."""
        examples = [self._draw_numbers(shot_seed(index)) for index in range(self.shots)]
        numbers = draw_for_part(
            seed, self._draw_numbers, _space_separated, excluded=[_space_separated(example) for example in examples]
        )
        turns = [_space_separated(row) for example in examples for row in (example, _running_totals(example))] + [
            _space_separated(numbers)
        ]
        turns[0] = f"{_REQUEST}\n{turns[0]}"
        return Task(
            key=task_key(self.name, numbers),
            messages=tuple({"role": _ROLES[position % 2], "content": text} for position, text in enumerate(turns)),
            environment=self.name,
            data={"totals": _running_totals(numbers)},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 if the first line of the answer consists of exactly the totals, otherwise 0.0."""
        return float(first_line_is_numbers(final_answer_text(transcript), [str(total) for total in task.data["totals"]]))

    def _draw_numbers(self, seed: int) -> list[int]:
        rng = random.Random(seed)
        return [rng.randint(0, self.largest) for _ in range(self.terms)]


def first_line_is_numbers(text: str, numbers: list[str]) -> bool:
    """Return whether the first line of a text consists of these numbers, separated by spaces or commas."""
    match = _NUMBER_LINE.fullmatch(plain_digits(text.strip().partition("\n")[0]))
    # Compared as text: a model may write more digits than Python converts to a number.
    return match is not None and re.split(r"[ ,]+", match[1]) == numbers


def _running_totals(numbers: list[int]) -> list[int]:
    return list(itertools.accumulate(numbers))


def _space_separated(numbers: list[int]) -> str:
    return " ".join(str(number) for number in numbers)
