"""Populations with known sides, known truth and known attackers, as event logs: for tests and for the attack suite.

Two camps rate items. An item has a quality that both camps see, and a slant that pleases one and displeases the other; an item
bridges when both camps approve of it. Everything follows from `seed`. Refuses to be clever: what a test plants is what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from yearling.feedback.events import Comparison, Event, Outcome, Rating
from yearling.feedback.exact_arithmetic import Floats, Ints

START_UTC = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """How many raters and items, how the camps divide, how strongly, and how often a rater rates an item."""

    num_raters: int = 80
    num_items: int = 60
    minority: float = 0.4
    division: float = 0.35
    density: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What is true. `camp` (U,) is 0 or 1; `approval` (2, N) the chance that a member of a camp finds an item helpful."""

    camp: Ints
    approval: Floats

    @property
    def bridging(self) -> np.ndarray:
        """(N,) Items of which both camps approve by clearly more than half."""
        return np.asarray((self.approval > 0.6).all(axis=0))


def plant(p: Population) -> World:
    """Draw the camps and what they think."""
    generator = np.random.default_rng(p.seed)
    camp = (generator.random(p.num_raters) < p.minority).astype(np.int64)
    quality = generator.uniform(0.15, 0.85, p.num_items)
    slant = generator.choice([-1.0, 0.0, 1.0], p.num_items) * p.division
    return World(camp, np.clip(np.stack([quality + slant, quality - slant]), 0.03, 0.97))


def rate(world: World, p: Population, *, share: float = 1.0) -> list[Event]:
    """The population's ratings as a log, a minute apart; `share` keeps the first part of every rater's ratings."""
    generator = np.random.default_rng(p.seed + 1)
    num_raters, num_items = len(world.camp), world.approval.shape[1]
    rated = generator.random((num_raters, num_items)) < p.density
    opinion = generator.random((num_raters, num_items)) < world.approval[world.camp]
    pairs = np.argwhere(rated)
    generator.shuffle(pairs)
    pairs = pairs[: int(share * len(pairs))]
    return [
        Rating(
            id=f"r{k:07d}", created_utc=START_UTC + timedelta(minutes=k), actor=f"u{u}", item=f"i{n}", value=float(opinion[u, n])
        )
        for k, (u, n) in enumerate(pairs.tolist())
    ]


def compare(world: World, p: Population, *, each: int) -> list[Event]:
    """`each` comparisons by every rater, of two random items, with the odds of their camp's approvals."""
    generator = np.random.default_rng(p.seed + 2)
    events: list[Event] = []
    for u, camp in enumerate(world.camp.tolist()):
        for _ in range(each):
            a, b = generator.choice(world.approval.shape[1], 2, replace=False).tolist()
            pa, pb = (world.approval[camp, x] / (1.0 - world.approval[camp, x]) for x in (a, b))
            k = len(events)
            outcome: Outcome = "left" if generator.random() < pa / (pa + pb) else "right"
            when = START_UTC + timedelta(days=30, seconds=k)
            events.append(
                Comparison(id=f"c{k:07d}", created_utc=when, actor=f"u{u}", left=f"i{a}", right=f"i{b}", outcome=outcome)
            )
    return events


def accounts(names: Sequence[str], item: str, value: float, *, after: datetime, prefix: str) -> list[Event]:
    """One rating of `item` from each account: the attack itself."""
    return [
        Rating(id=f"{prefix}{k:07d}", created_utc=after + timedelta(seconds=k), actor=name, item=item, value=value)
        for k, name in enumerate(names)
    ]
