"""If one person retracts all their acts, at most one status changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from benchmarks.consensus import polis
from benchmarks.consensus.simulation import START_UTC, Population, plant_truth, simulate_ratings
from tests.benchmarks.consensus.test_report import real_conversations
from yearling.feedback import NEEDS_MORE, ConsensusParameters, DefenceParameters, Rating, Retraction, StatusChange, run_consensus
from yearling.feedback.division import DivisionParameters

P = ConsensusParameters(defences=DefenceParameters(standing_acts=0), division=DivisionParameters(deals=2))
"""Everybody counts, and the test for a division, which decides no status, is quick."""
LATER = START_UTC + timedelta(days=400)


def changes(events: list[Any], p: ConsensusParameters, step: int = 1) -> tuple[int, int, int]:
    """Return (number of statuses, most changes, most flips wanted) over runs in which every `step`-th rater leaves alone."""
    before = {item.item: item.status for item in run_consensus(events, p).snapshot.items}
    num_statuses = [
        StatusChange(id=f"s{item}", created_utc=LATER, actor="yearling", item=item, status=status)
        for item, status in before.items()
        if status != NEEDS_MORE
    ]
    max_changes = max_flips = 0
    for rater in sorted({event.actor for event in events})[::step]:
        retractions = [
            Retraction(id=f"q{event.id}", created_utc=LATER + timedelta(days=1), actor=rater, event=event.id)
            for event in events
            if event.actor == rater
        ]
        snapshot = run_consensus([*events, *num_statuses, *retractions], p).snapshot
        after = {item.item: item.status for item in snapshot.items}
        max_changes = max(max_changes, sum(after.get(item, NEEDS_MORE) != status for item, status in before.items()))
        max_flips = max(max_flips, snapshot.flips)
    return len(num_statuses), max_changes, max_flips


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "p"),
    [
        (Population(num_raters=6, num_items=30, density=0.9, seed=1), P),
        (Population(num_raters=12, num_items=30, density=0.7, seed=3), P),
        (Population(num_raters=20, num_items=20, density=0.7, seed=4), P),
    ],
)
def test_one_person_leaving_a_planted_community_changes_one_status_at_most(people: Population, p: ConsensusParameters) -> None:
    num_statuses, max_changes, max_flips = changes(simulate_ratings(plant_truth(people), people), p)
    assert num_statuses > 0
    assert max_changes <= 1
    assert max_flips <= 4  # the limit holds the flips of one person beyond the first


@pytest.mark.drill
@pytest.mark.skipif(not real_conversations().exists(), reason="the Polis conversations are not on this machine")
def test_one_person_leaving_a_real_conversation_changes_one_status_at_most() -> None:
    c = polis.load_conversation(real_conversations() / "bg2050")
    order = np.random.default_rng(0).permutation(len(c.values)).tolist()
    events = [
        Rating(
            id=f"e{k:06d}",
            created_utc=START_UTC + timedelta(seconds=k),
            actor=f"u{c.raters[vote]}",
            item=f"i{c.items[vote]}",
            value=float(c.values[vote]),
        )
        for k, vote in enumerate(order)
    ]
    num_statuses, max_changes, max_flips = changes(events, P, step=3)
    assert num_statuses > 200
    assert (max_changes, max_flips <= 8) == (1, True)
