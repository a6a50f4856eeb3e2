"""Simulates populations with known sides, known truth and known attackers as event logs, for tests and for the attack suite.

Two camps rate items. An item has a quality that both camps see, and a slant that pleases one camp and displeases the other. An
item bridges if both camps approve of it. Everything follows from `seed`.

Legend: U raters, N items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from yearling.feedback.events import Admission, Comparison, ComparisonOutcome, FeedbackEvent, Rating
from yearling.feedback.exact_arithmetic import Floats, Ints

START_UTC = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Size of a population, share of the minority camp, strength of the division, and probability that a rater rates an item."""

    num_raters: int = 80
    num_items: int = 60
    minority: float = 0.4
    division: float = 0.35
    density: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PlantedTruth:
    """The planted truth: `camp` (U,) is 0 or 1; `approval` (2, N) is the probability that a camp member finds an item helpful."""

    camp: Ints
    approval: Floats

    @property
    def bridging(self) -> np.ndarray:
        """(N,) Mask of items that both camps approve of by clearly more than half."""
        return np.asarray((self.approval > 0.6).all(axis=0))


def plant_truth(population: Population) -> PlantedTruth:
    """Draw the camps and their opinions."""
    generator = np.random.default_rng(population.seed)
    camp = (generator.random(population.num_raters) < population.minority).astype(np.int64)
    quality = generator.uniform(0.15, 0.85, population.num_items)
    slant = generator.choice([-1.0, 0.0, 1.0], population.num_items) * population.division
    return PlantedTruth(camp, np.clip(np.stack([quality + slant, quality - slant]), 0.03, 0.97))


def simulate_ratings(truth: PlantedTruth, population: Population, *, share: float = 1.0) -> list[FeedbackEvent]:
    """Return the population's ratings as a log, a minute apart. `share` keeps only the first part of the ratings."""
    generator = np.random.default_rng(population.seed + 1)
    num_raters, num_items = len(truth.camp), truth.approval.shape[1]
    rated = generator.random((num_raters, num_items)) < population.density
    approves = generator.random((num_raters, num_items)) < truth.approval[truth.camp]
    pairs = np.argwhere(rated)
    generator.shuffle(pairs)
    pairs = pairs[: int(share * len(pairs))]
    return [
        Rating(
            id=f"r{k:07d}", created_utc=START_UTC + timedelta(minutes=k), actor=f"u{u}", item=f"i{n}", value=float(approves[u, n])
        )
        for k, (u, n) in enumerate(pairs.tolist())
    ]


def simulate_admissions(population: Population) -> list[FeedbackEvent]:
    """Return admissions of the whole population, as an import of its log records them."""
    return [
        Admission(id=f"a{u:07d}", created_utc=START_UTC, actor="yearling", account=f"u{u}", basis="log")
        for u in range(population.num_raters)
    ]


def simulate_comparisons(truth: PlantedTruth, population: Population, *, comparisons_per_rater: int) -> list[FeedbackEvent]:
    """Return `comparisons_per_rater` comparisons by every rater, of two random items, with the odds of the camp's approvals."""
    generator = np.random.default_rng(population.seed + 2)
    events: list[FeedbackEvent] = []
    for u, camp in enumerate(truth.camp.tolist()):
        for _ in range(comparisons_per_rater):
            a, b = generator.choice(truth.approval.shape[1], 2, replace=False).tolist()
            pa, pb = (truth.approval[camp, x] / (1.0 - truth.approval[camp, x]) for x in (a, b))
            k = len(events)
            outcome: ComparisonOutcome = "left" if generator.random() < pa / (pa + pb) else "right"
            when = START_UTC + timedelta(days=30, seconds=k)
            events.append(
                Comparison(id=f"c{k:07d}", created_utc=when, actor=f"u{u}", left=f"i{a}", right=f"i{b}", outcome=outcome)
            )
    return events


def simulate_attack_ratings(
    names: Sequence[str], item: str, value: float, *, start_utc: datetime, id_prefix: str
) -> list[FeedbackEvent]:
    """Return one rating of `item` by each account, a second apart: an attack."""
    return [
        Rating(id=f"{id_prefix}{k:07d}", created_utc=start_utc + timedelta(seconds=k), actor=name, item=item, value=value)
        for k, name in enumerate(names)
    ]
