"""From one person to a crowd: agreeing judgements never cost a lesson, one voice is bounded, and no size has a cliff."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.consensus.simulation import START_UTC
from yearling.feedback import Admission, Comparison, FeedbackEvent, Rating, run_consensus
from yearling.feedback.snapshot import ItemResult

SLACK = 0.002
"""An agreeing judgement may lower the q of another item by at most this: it moves the level to which all answers are shrunk."""

GENERATE_ONLY = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every run of the consensus takes tens of milliseconds; shrinking would take minutes."""

Row = tuple[int, int, float]
"""(person, item, value)"""


def invite(num_people: int) -> list[FeedbackEvent]:
    return [
        Admission(id=f"a{u:03d}", created_utc=START_UTC, actor="yearling", account=f"u{u}", basis="invitation")
        for u in range(num_people)
    ]


def rate(rows: list[Row]) -> list[FeedbackEvent]:
    return [
        Rating(id=f"r{u:03d}-{i:03d}", created_utc=START_UTC + timedelta(minutes=k), actor=f"u{u}", item=f"i{i:03d}", value=value)
        for k, (u, i, value) in enumerate(rows)
    ]


def label(rows: list[Row]) -> dict[str, ItemResult]:
    """Return the results of a team of invited people, by item."""
    people = 1 + max((u for u, _, _ in rows), default=-1)
    return {item.item: item for item in run_consensus([*invite(people), *rate(rows)]).snapshot.items}


def unanimous(num_people: int, num_items: int = 12) -> list[Row]:
    return [(u, i, 0.0 if i % 3 == 0 else 1.0) for u in range(num_people) for i in range(num_items)]


SIZES = (1, 2, 3, 4, 5, 6, 8, 12, 30)


def test_unanimous_teams_never_learn_less_with_more_people() -> None:
    previous: dict[str, ItemResult] = {}
    for size in SIZES:
        found = label(unanimous(size))
        assert sum(item.weight > 0 for item in found.values()) == 12
        for name, item in previous.items():
            assert (found[name].label, found[name].q >= item.q, found[name].weight >= item.weight) == (item.label, True, True), (
                size
            )
        previous = found


@pytest.mark.parametrize("size", SIZES[1:])
def test_newcomer_with_one_rating_removes_no_lesson(size: int) -> None:
    before, after = label(unanimous(size)), label([*unanimous(size), (size, 1, 1.0)])
    for name, item in before.items():
        assert after[name].label == item.label
        assert after[name].q >= item.q - SLACK
    assert after["i001"].q > before["i001"].q


def test_one_dissenter_among_four_lowers_the_weight_and_takes_no_lesson() -> None:
    four_to_one = [*unanimous(4), *((4, i, 1.0 if i % 3 == 0 else 0.0) for i in range(12))]
    found, all_agree = label(four_to_one), label(unanimous(5))
    for name, item in found.items():
        assert item.label == all_agree[name].label
        assert 0.0 < item.weight < all_agree[name].weight


def test_ninety_seven_percent_agreement_keeps_nearly_every_lesson() -> None:
    generator = np.random.default_rng(0)
    rows = [(u, i, value if generator.random() < 0.97 else 1.0 - value) for u, i, value in unanimous(5, 48)]
    assert sum(item.weight > 0 for item in label(rows).values()) >= 47


def test_five_colleagues_who_agree_on_everything_are_no_copies() -> None:
    run = run_consensus([*invite(5), *rate(unanimous(5, 100))]).snapshot
    assert run.raters["collapsed"] == 0
    assert {item.judged for item in run.items} == {5}
    assert all(item.weight > 0.5 for item in run.items)
    later = run_consensus(
        [
            *invite(5),
            *rate(unanimous(5, 100)),
            Rating(id="z", created_utc=START_UTC + timedelta(days=1), actor="u0", item="later", value=1.0),
        ]
    ).snapshot
    assert {item.status for item in later.items if item.item != "later"} == {"helpful", "not_helpful"}


def test_one_voice_alone_weighs_at_most_three_fifths() -> None:
    alone = label([(0, i, 1.0) for i in range(40)])
    assert 0.0 < max(item.weight for item in alone.values()) <= 0.6


@pytest.mark.parametrize("num_people", [1, 2, 3, 5, 12, 19, 20, 21])
def test_agreeing_comparisons_never_cost_a_pair(num_people: int) -> None:
    """Twenty people used to be a step."""

    def weights(count: int) -> list[float]:
        compared: list[FeedbackEvent] = [
            Comparison(id=f"c{u}-{k}", created_utc=START_UTC, actor=f"u{u}", left=f"l{k}", right=f"r{k}", outcome="left")
            for u in range(count)
            for k in range(6)
        ]
        return [pair.weight for pair in run_consensus([*invite(count), *compared]).snapshot.pairs]

    fewer, more = weights(num_people), weights(num_people + 1)
    assert all(b > a > 0.0 for a, b in zip(fewer, more, strict=True))


teams = st.integers(1, 6).flatmap(
    lambda people: st.lists(
        st.tuples(st.integers(0, people - 1), st.integers(0, 7), st.sampled_from([0.0, 0.5, 1.0])),
        min_size=1,
        max_size=40,
        unique_by=lambda row: row[:2],
    )
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, phases=GENERATE_ONLY, suppress_health_check=[HealthCheck.too_slow])
@given(teams, st.data())
def test_an_agreeing_judgement_lowers_no_q_and_takes_no_lesson(rows: list[Row], data: st.DataObject) -> None:
    before = label(rows)
    known = {(u, i) for u, i, _ in rows}
    people = max(u for u, _, _ in rows) + 1
    free = [
        (u, int(name[1:]), float(item.label > 0))
        for name, item in before.items()
        if item.label
        for u in range(people + 1)
        if (u, int(name[1:])) not in known
    ]
    if not free:
        return
    person, item, value = data.draw(st.sampled_from(free))
    after = label([*rows, (person, item, value)])
    for name, result in before.items():
        if result.label:
            assert after[name].label == result.label or result.weight <= 0.011, name
            assert after[name].label != result.label or after[name].q >= result.q - SLACK, name


@pytest.mark.slow
@settings(max_examples=15, deadline=None, phases=GENERATE_ONLY, suppress_health_check=[HealthCheck.too_slow])
@given(teams, st.randoms(use_true_random=False))
def test_names_and_order_change_nothing(rows: list[Row], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    names = list(range(max(u for u, _, _ in rows) + 1))
    random.shuffle(names)
    before, after = label(rows), label([(names[u], i, value) for u, i, value in shuffled])
    for name, item in before.items():
        assert (after[name].label, after[name].status) == (item.label, item.status)
        assert after[name].q == pytest.approx(item.q, abs=1e-6)


@pytest.mark.slow
def test_one_person_who_leaves_moves_others_little() -> None:
    """In the median, by at most .02, where the person did not judge the item alone."""
    generator = np.random.default_rng(1)
    rows: list[Row] = [
        (u, i, float(generator.random() < (0.85 if i % 2 else 0.3)))
        for u in range(9)
        for i in range(30)
        if generator.random() < 0.6
    ]
    before = label(rows)
    moved = []
    for person in range(9):
        rest = [row for row in rows if row[0] != person]
        judged = {f"i{i:03d}" for u, i, _ in rows if u == person}
        after = label([(u if u < person else u - 1, i, value) for u, i, value in rest])
        moved += [abs(after[name].q - item.q) for name, item in before.items() if name not in judged and name in after]
    assert float(np.median(moved)) <= 0.02
