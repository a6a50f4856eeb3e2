"""Shares with their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    hits: int
    total: int

    @classmethod
    def of(cls, values: Iterable[bool]) -> Share:
        """The share of true values."""
        answers = list(values)
        return cls(sum(answers), len(answers))

    @property
    def value(self) -> float:
        """The share itself; not a number for no case at all."""
        return self.hits / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of Wilson (1927)."""
        if not self.total:
            return math.nan, math.nan
        centre = (self.hits + _Z**2 / 2) / (self.total + _Z**2)
        half = _Z / (self.total + _Z**2) * math.sqrt(self.hits * (self.total - self.hits) / self.total + _Z**2 / 4)
        return centre - half, centre + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] of {self.total:,}"
