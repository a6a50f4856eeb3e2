"""Which lessons a step learns from: whole passes in a new order each, earlier lessons mixed in at a rate, a validation part kept.

Everything follows from the seed and the step's number. Knows keys and numbers, not lessons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch

from yearling.errors import BadInput
from yearling.training.methods.protocol import step_generator

_NEW, _EARLIER = 101, 102
"""Purposes of random numbers, see `step_generator`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonOrder:
    """`num_new` lessons in whole passes and `num_earlier` ones for replay, `per_step` of them a step, of which the share `replay`
    is replayed (none where there are none)."""

    num_new: int
    num_earlier: int = 0
    lessons_per_step: int
    replay_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_new < 1:
            raise BadInput("There is nothing to learn from.", advice="Build a lesson set with lessons of this kind.")
        if self.lessons_per_step < 1 or not 0 <= self.replay_share < 1:
            raise BadInput("A step needs a lesson, and replay must leave room for new ones.", param="replay")

    @property
    def num_replayed(self) -> int:
        return min(self.lessons_per_step - 1, round(self.lessons_per_step * self.replay_share)) if self.num_earlier else 0

    def num_steps(self, passes: float) -> int:
        """Steps that see every new lesson `passes` times."""
        return max(1, -(-int(self.num_new * passes) // (self.lessons_per_step - self.num_replayed)))

    def lessons_for_step(self, step: int) -> tuple[list[int], list[int]]:
        """(new lessons, earlier lessons) of step `number`, the first being 1."""
        fresh = _shuffled_slice(self.num_new, self.lessons_per_step - self.num_replayed, step, self.seed, _NEW)
        return fresh, _shuffled_slice(self.num_earlier, self.num_replayed, step, self.seed, _EARLIER) if self.num_replayed else []


def split_validation(keys: Sequence[str], share: float) -> tuple[list[int], list[int]]:
    """(numbers to train on, numbers to validate on): by each key's own hash, so that a lesson never changes sides from one set to
    the next. Validation stays empty when it would take everything."""
    held = [number for number, key in enumerate(keys) if _hash_fraction(key) < share]
    if len(held) == len(keys):
        held = []
    kept = set(held)
    return [number for number in range(len(keys)) if number not in kept], held


def _shuffled_slice(count: int, per_step: int, step: int, seed: int, purpose: int) -> list[int]:
    """Places (number − 1)·per_step onwards of passes laid end to end, each pass shuffled anew."""
    found: list[int] = []
    place = (step - 1) * per_step
    while len(found) < per_step:
        turn, start = divmod(place + len(found), count)
        shuffled = torch.randperm(count, generator=step_generator(seed, turn, purpose))
        found += shuffled[start : start + per_step - len(found)].tolist()
    return found


def _hash_fraction(key: str) -> float:
    return int.from_bytes(sha256(f"validation {key}".encode()).digest()[:8]) / 2**64
