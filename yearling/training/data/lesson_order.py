"""The order of lessons: which lessons each step learns from.

New lessons are taken in whole passes, each in a new random order; earlier lessons are mixed in at a fixed share. The seed and the
step number determine everything. Knows positions only, not lessons.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from yearling.errors import BadInput
from yearling.training.seeding import step_generator

_NEW, _EARLIER = 101, 102
"""Purposes of random numbers, see `step_generator`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonOrder:
    """Each step takes `lessons_per_step` lessons. The share `replay_share` of them is replayed from `num_earlier` earlier
    lessons, if there are any; the others come from `num_new` new lessons.

    Raises BadInput if there is no new lesson, if a step has no lesson, or if replay would leave no room for new lessons."""

    num_new: int
    num_earlier: int = 0
    lessons_per_step: int
    replay_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_new < 1:
            raise BadInput("There is no lesson to train on.", advice="Build a lesson set with lessons of this kind.")
        if self.lessons_per_step < 1 or not 0 <= self.replay_share < 1:
            raise BadInput("A step needs at least one lesson, and replay must be at least 0 and below 1.", param="replay")

    @property
    def num_replayed(self) -> int:
        """Replayed lessons per step."""
        return min(self.lessons_per_step - 1, round(self.lessons_per_step * self.replay_share)) if self.num_earlier else 0

    def num_steps(self, passes: float) -> int:
        """The number of steps that take every new lesson `passes` times."""
        return max(1, -(-int(self.num_new * passes) // (self.lessons_per_step - self.num_replayed)))

    def lessons_for_step(self, step: int) -> tuple[list[int], list[int]]:
        """(positions of new lessons, positions of earlier lessons) of a step; the first step is 1."""
        new = _shuffled_slice(self.num_new, self.lessons_per_step - self.num_replayed, step, self.seed, _NEW)
        if not self.num_replayed:
            return new, []
        return new, _shuffled_slice(self.num_earlier, self.num_replayed, step, self.seed, _EARLIER)


def _shuffled_slice(count: int, per_step: int, step: int, seed: int, purpose: int) -> list[int]:
    """The step's slice of an endless sequence of passes over `count` positions, each pass in a new random order."""
    positions: list[int] = []
    start = (step - 1) * per_step
    while len(positions) < per_step:
        pass_number, offset = divmod(start + len(positions), count)
        shuffled = torch.randperm(count, generator=step_generator(seed, pass_number, purpose))
        positions += shuffled[offset : offset + per_step - len(positions)].tolist()
    return positions
