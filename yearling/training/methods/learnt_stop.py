"""Stops a run once its lessons are learnt: every further step would only forget something else.

A lesson counts by the mean probability of its answer's tokens. The run stops when, in two steps in a row, the mean over the new
lessons of the step and the worst of them both exceed their bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STEPS_IN_A_ROW = 2


class LearntStop:
    """Watches the probabilities of a run's lessons. Bounds of 0 never stop a run."""

    def __init__(self, *, mean_bound: float, worst_bound: float) -> None:
        self._mean_bound, self._worst_bound = mean_bound, worst_bound
        self._num_in_a_row = 0
        self.is_learnt = False

    @property
    def is_active(self) -> bool:
        """Whether the bounds can stop the run."""
        return self._mean_bound > 0 or self._worst_bound > 0

    def observe(self, *, probability_sum: float, num_below: float, num_lessons: float) -> None:
        """Count a step whose `num_lessons` new lessons have this sum of probabilities, `num_below` of them at most the bound of
        the worst one.
        """
        learnt = num_lessons > 0 and probability_sum / num_lessons > self._mean_bound and not num_below
        self._num_in_a_row = self._num_in_a_row + 1 if learnt else 0
        self.is_learnt = self.is_learnt or (self.is_active and self._num_in_a_row >= STEPS_IN_A_ROW)

    def state_dict(self) -> dict[str, object]:
        """The count of steps in a row, and whether the run stopped."""
        return {"num_in_a_row": self._num_in_a_row, "is_learnt": self.is_learnt}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._num_in_a_row, self.is_learnt = int(state["num_in_a_row"]), bool(state["is_learnt"])
