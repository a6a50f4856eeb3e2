"""Splits the usable lessons of a run by role: to train on, to validate on, and to replay.

Knows keys and indices only, not the content of lessons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class LessonSplit:
    """Indices into a list of lessons by role. New lessons are trained on or held out; earlier lessons are replayed."""

    train_indices: list[int]
    validation_indices: list[int]
    replay_indices: list[int]

    @classmethod
    def from_keys(cls, keys: Sequence[str], *, num_new: int, validation_share: float) -> LessonSplit:
        """Split lessons given by their keys: the first `num_new` are new, the others come from earlier sets."""
        train, validation = split_validation(keys[:num_new], validation_share)
        return cls(train, validation, list(range(num_new, len(keys))))

    def select(self, new: Sequence[int], earlier: Sequence[int]) -> list[int]:
        """Indices of lessons, from positions among the training lessons and among the replayed ones (`LessonOrder`)."""
        return [*(self.train_indices[position] for position in new), *(self.replay_indices[position] for position in earlier)]


def split_validation(keys: Sequence[str], share: float) -> tuple[list[int], list[int]]:
    """(indices to train on, indices to validate on).

    The hash of its key decides, so a lesson stays on its side from one lesson set to the next. Nothing is held out if that would
    leave nothing to train on."""
    validation = [index for index, key in enumerate(keys) if _hash_fraction(key) < share]
    if len(validation) == len(keys):
        validation = []
    held_out = set(validation)
    return [index for index in range(len(keys)) if index not in held_out], validation


def _hash_fraction(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(sha256(f"validation {key}".encode()).digest()[:8]) / 2**64
