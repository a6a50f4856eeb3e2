"""The consensus as a pure function: planted truth, invariance, limits on change, edge cases."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.consensus.simulation import (
    START_UTC,
    PlantedTruth,
    Population,
    plant_truth,
    simulate_admissions,
    simulate_attack_ratings,
    simulate_comparisons,
    simulate_ratings,
)
from yearling.errors import BadInput
from yearling.feedback import (
    HELPFUL,
    NEEDS_MORE,
    NOT_HELPFUL,
    Comparison,
    ConsensusParameters,
    ConsensusResult,
    DefenceParameters,
    FeedbackEvent,
    JuryInvitation,
    Rating,
    Removal,
    Retraction,
    StatusChange,
    build_rating_queue,
    canonical_utf8_json,
    choose_slate,
    code_hash,
    event_from_dict,
    event_to_dict,
    explain_item,
    explain_snapshot,
    run_consensus,
    update_item_result,
)

OPEN = ConsensusParameters(defences=DefenceParameters(standing_acts=0))
"""Every rater's first rating counts, for tests of the stages after the defences."""

PEOPLE = Population(num_raters=60, num_items=40, seed=5)
LATER = START_UTC + timedelta(days=100)


@pytest.fixture(scope="module")
def truth() -> PlantedTruth:
    return plant_truth(PEOPLE)


@pytest.fixture(scope="module")
def log(truth: PlantedTruth) -> list[FeedbackEvent]:
    return [
        *simulate_admissions(PEOPLE),
        *simulate_ratings(truth, PEOPLE),
        *simulate_comparisons(truth, PEOPLE, comparisons_per_rater=4),
    ]


@pytest.fixture(scope="module")
def result(log: list[FeedbackEvent]) -> ConsensusResult:
    return run_consensus(log)


def statuses(result: ConsensusResult) -> dict[str, str]:
    return {item.item: item.status for item in result.snapshot.items}


def make_ratings(pattern: dict[str, list[float]]) -> list[FeedbackEvent]:
    """Return ratings an hour apart; `pattern` gives the ratings of each item by u0, u1, …"""
    rows = [(f"u{u}", item, value) for item, values in pattern.items() for u, value in enumerate(values)]
    return [
        Rating(id=f"e{k:05d}", created_utc=START_UTC + timedelta(hours=k), actor=u, item=i, value=v)
        for k, (u, i, v) in enumerate(rows)
    ]


# Planted truth.


def test_finds_planted_consensus_and_no_divisive_item(truth: PlantedTruth, result: ConsensusResult) -> None:
    outcome = {item for item, status in statuses(result).items() if status == HELPFUL}
    bridging = {f"i{n}" for n in np.flatnonzero(truth.bridging)}
    divisive = {f"i{n}" for n in np.flatnonzero(truth.approval.min(axis=0) < 0.4)}
    assert outcome & bridging
    assert not outcome & divisive


def test_recovery_improves_with_ratings(truth: PlantedTruth) -> None:
    weaker_approval = truth.approval.min(axis=0)
    correlations = []
    for share in (0.25, 0.5, 1.0):
        scores = {
            item.item: item.bridging for item in run_consensus(simulate_ratings(truth, PEOPLE, share=share), OPEN).snapshot.items
        }
        item_numbers = [int(item[1:]) for item in scores]
        correlations.append(float(np.corrcoef(weaker_approval[item_numbers], list(scores.values()))[0, 1]))
    assert correlations[0] < correlations[1] < correlations[2]
    assert correlations[2] > 0.75


def test_sides_match_the_planted_camps(truth: PlantedTruth, result: ConsensusResult) -> None:
    same = float(np.mean([result.side_of(f"u{u}") == camp for u, camp in enumerate(truth.camp)]))
    assert max(same, 1.0 - same) > 0.95
    assert result.snapshot.division.seen


def test_training_pairs_are_those_on_which_the_camps_agree(truth: PlantedTruth) -> None:
    pairs = run_consensus(
        [*simulate_ratings(truth, PEOPLE), *simulate_comparisons(truth, PEOPLE, comparisons_per_rater=40)], OPEN
    ).snapshot.pairs
    kept = [pair for pair in pairs if pair.weight > 0.4]
    right = [bool((truth.approval[:, int(p.better[1:])] > truth.approval[:, int(p.worse[1:])]).all()) for p in kept]
    assert len(kept) > 30
    assert np.mean(right) > 0.9
    assert {pair.reason for pair in pairs} >= {"", "people_are_divided"}
    for pair in pairs:
        assert pair.reason == "" or pair.weight == 0.0
        assert pair.reason or pair.weight == max(0.0, 2.0 * pair.q - 1.0)


# Invariance.


def test_same_log_gives_the_same_bytes(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    assert run_consensus(log).snapshot.canonical_bytes() == result.snapshot.canonical_bytes()
    assert len(code_hash()) == 64


@pytest.mark.slow
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), copies=st.integers(1, 3))
def test_shuffling_or_repeating_an_export_changes_no_byte(
    log: list[FeedbackEvent], result: ConsensusResult, seed: int, copies: int
) -> None:
    exported = [event_from_dict(json.loads(canonical_utf8_json(event_to_dict(event)))) for event in log] * copies
    random.Random(seed).shuffle(exported)
    assert run_consensus(exported).snapshot.canonical_bytes() == result.snapshot.canonical_bytes()


def renamed(event: FeedbackEvent, raters: dict[str, str], items: dict[str, str]) -> FeedbackEvent:
    names: dict[str, Any] = {
        field: (raters if field in ("actor", "account") else items)[getattr(event, field)]
        for field in ("actor", "account", "item", "left", "right")
        if hasattr(event, field)
    }
    return replace(event, **names)


@pytest.mark.slow
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), same_time=st.booleans())
def test_renaming_raters_and_items_changes_nothing_else(log: list[FeedbackEvent], seed: int, same_time: bool) -> None:
    if same_time:
        log = [replace(event, created_utc=START_UTC) for event in log]
    generator = random.Random(seed)
    raters, items = ([f"{kind}{k}" for k in range(60)] for kind in ("u", "i"))
    to_rater, to_item = (dict(zip(names, generator.sample(names, 60), strict=True)) for names in (raters, items))
    to_rater["yearling"] = "yearling"
    before = run_consensus(log).snapshot.results_dict()
    after = run_consensus([renamed(event, to_rater, to_item) for event in log]).snapshot.results_dict()
    back = {new: old for old, new in to_item.items()}
    for item in after["items"]:
        item["item"] = back[item["item"]]
    assert sorted(after["items"], key=lambda x: x["item"]) == list(before["items"])
    q = {frozenset((p["better"], p["worse"])): (p["q"], p["weight"], p["reason"]) for p in before["pairs"]}
    assert {frozenset((back[p["better"]], back[p["worse"]])): (p["q"], p["weight"], p["reason"]) for p in after["pairs"]} == q
    assert {k: v for k, v in after.items() if k not in ("items", "pairs")} == {
        k: v for k, v in before.items() if k not in ("items", "pairs")
    }


@pytest.mark.slow
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_retracting_equals_never_having_rated(log: list[FeedbackEvent], seed: int, count: int) -> None:
    retracted = random.Random(seed).sample(log, count)
    end = log[-1].created_utc
    retractions = [
        Retraction(id=f"t{k:04d}", created_utc=end, actor=event.actor, event=event.id) for k, event in enumerate(retracted)
    ]
    ids = {event.id for event in retracted}
    assert (
        run_consensus([*log, *retractions]).snapshot.results_dict()
        == run_consensus([event for event in log if event.id not in ids]).snapshot.results_dict()
    )


def test_removal_changes_the_result_and_stays_visible(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    removed = run_consensus([*log, Removal(id="zz", created_utc=LATER, actor="admin", event=log[99].id, reason="spam")])
    assert removed.snapshot.removals == ((log[99].id, "spam"),)
    assert removed.snapshot.dropped["removed by an administrator"] == 1
    assert removed.snapshot.log_hash != result.snapshot.log_hash
    assert "An administrator removed" in " ".join(explain_snapshot(removed.snapshot))


def test_parameters_round_trip_through_json_and_reject_unknown_keys() -> None:
    plain = json.loads(canonical_utf8_json(OPEN.to_dict()))
    assert ConsensusParameters.from_dict(plain) == OPEN
    assert ConsensusParameters.from_dict(plain).hash == OPEN.hash != ConsensusParameters().hash
    with pytest.raises(BadInput, match="applause"):
        ConsensusParameters.from_dict({**plain, "applause": 1})


# Edge cases.


def test_empty_log_gives_an_empty_snapshot() -> None:
    snapshot = run_consensus([]).snapshot
    assert snapshot.items == ()
    assert snapshot.pairs == ()
    assert not snapshot.division.seen
    assert run_consensus([]).snapshot.canonical_bytes() == snapshot.canonical_bytes()


def test_one_rater_gives_no_status() -> None:
    outcome = run_consensus(make_ratings({f"i{k}": [1.0] for k in range(30)}), OPEN)
    assert set(statuses(outcome).values()) == {NEEDS_MORE}
    assert {item.reason for item in outcome.snapshot.items} == {"no_quorum"}
    assert {item.label for item in outcome.snapshot.items} == {1}, "but lessons"
    assert "It needs ratings of half of the people" in " ".join(explain_item(outcome.snapshot.items[0], OPEN.status, degree=0.0))


@pytest.mark.parametrize(("value", "expected"), [(1.0, HELPFUL), (0.0, NOT_HELPFUL)])
def test_unanimous_ratings_give_a_status(value: float, expected: str) -> None:
    outcome = run_consensus(make_ratings({f"i{k}": [value] * 12 for k in range(5)}), OPEN)
    assert set(statuses(outcome).values()) == {expected}
    assert not outcome.snapshot.division.seen
    assert abs(outcome.snapshot.raters["side_0"] - outcome.snapshot.raters["side_1"]) <= 1


def test_opposed_ratings_give_no_status() -> None:
    half = [1.0] * 10 + [0.0] * 10
    outcome = run_consensus(make_ratings({f"i{k}": half if k % 2 else half[::-1] for k in range(8)}), OPEN)
    assert set(statuses(outcome).values()) == {NEEDS_MORE}
    assert {outcome.side_of(f"u{k}") for k in range(10)} != {outcome.side_of(f"u{k}") for k in range(10, 20)}
    assert {item.label for item in outcome.snapshot.items} == {0}
    assert {item.label_reason for item in outcome.snapshot.items} <= {"people_are_divided", "nothing_decided"}
    estimates = np.array([[item.sides[side].estimate for item in outcome.snapshot.items] for side in (0, 1)])
    assert len(choose_slate(estimates, max_items=3)) == 3
    assert "People are divided." in explain_item(outcome.snapshot.items[0], OPEN.status, degree=1.0)[0]


def test_single_item_needs_a_quorum() -> None:
    assert statuses(run_consensus(make_ratings({"x": [1.0] * 9 + [0.0]}), OPEN))["x"] in (HELPFUL, NEEDS_MORE)
    assert statuses(run_consensus(make_ratings({"x": [1.0], "y": [1.0] * 8}), OPEN))["x"] == NEEDS_MORE


def test_item_rated_by_one_side_waits_for_the_other(
    truth: PlantedTruth, log: list[FeedbackEvent], result: ConsensusResult
) -> None:
    camp = [f"u{u}" for u in range(60) if truth.camp[u] == 0]
    outcome = run_consensus([*log, *simulate_attack_ratings(camp, "fresh", 1.0, start_utc=LATER, id_prefix="f")])
    item = outcome.snapshot.find_item("fresh")
    assert item is not None
    assert item.status == NEEDS_MORE
    assert min(view.ratings for view in item.sides) < 2
    assert outcome.snapshot.visible_division.degree > 0.5
    assert (item.reason, item.weight < 0.45) == ("other_side_missing", True)
    other = next(f"u{u}" for u in range(60) if truth.camp[u] == 1)
    first = build_rating_queue(outcome.snapshot, outcome.parameters.status, outcome.side_of(other))[0]
    assert (first.item, first.reason) == ("fresh", "side_missing")


def test_items_with_one_rating_each_get_no_status() -> None:
    events = [
        Rating(
            id=f"e{k:05d}", created_utc=START_UTC + timedelta(hours=k), actor=f"u{k % 50}", item=f"i{k}", value=float(k % 3 == 0)
        )
        for k in range(1000)
    ]
    assert set(statuses(run_consensus(events, OPEN)).values()) == {NEEDS_MORE}


# Limits on change: minimum age, inertia, flip cap, juries.


def test_first_status_waits_for_the_minimum_age() -> None:
    update = [
        replace(event, created_utc=START_UTC + timedelta(seconds=k)) for k, event in enumerate(make_ratings({"x": [1.0] * 12}))
    ]
    outcome = run_consensus(update, OPEN).snapshot.items[0]
    assert (outcome.status, outcome.reason) == (NEEDS_MORE, "too_young")


@pytest.mark.slow
def test_status_survives_doubt_and_is_lost_to_clear_disapproval(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    item = next(item.item for item in result.snapshot.items if item.status == HELPFUL)
    raters = [event.actor for event in events_about(log, item)]
    change = StatusChange(id="s", created_utc=LATER, actor="run", item=item, status=HELPFUL)

    def against(count: int) -> list[FeedbackEvent]:
        return simulate_attack_ratings(raters[:count], item, 0.0, start_utc=LATER + timedelta(days=1), id_prefix="z")

    doubts = next(k for k in range(1, len(raters)) if statuses(run_consensus([*log, *against(k)]))[item] == NEEDS_MORE)
    assert statuses(run_consensus([*log, change, *against(doubts)]))[item] == HELPFUL
    assert statuses(run_consensus([*log, change, *against(len(raters))]))[item] != HELPFUL


def test_flips_above_the_limit_are_held_if_the_same_people_moved_them() -> None:
    approving_ratings = make_ratings({f"i{k}": [1.0] * 14 for k in range(8)})
    current_statuses = [
        StatusChange(id=f"s{k}", created_utc=START_UTC + timedelta(days=20), actor="run", item=f"i{k}", status=HELPFUL)
        for k in range(8)
    ]
    opposing_ratings = [
        Rating(id=f"z{k:03d}{u:03d}", created_utc=START_UTC + timedelta(days=30), actor=f"u{u}", item=f"i{k}", value=0.0)
        for k in range(6)
        for u in range(14)
    ]
    outcome = run_consensus([*approving_ratings, *current_statuses, *opposing_ratings], OPEN).snapshot
    assert (outcome.flips, outcome.flips_allowed, outcome.held) == (6, 3, 6)
    assert {item.status for item in outcome.items} == {HELPFUL}
    assert {item.reason for item in outcome.items} >= {"held_by_flip_cap"}
    held_below_cap = run_consensus([*approving_ratings, *current_statuses, *opposing_ratings[: 2 * 14]], OPEN).snapshot
    assert not held_below_cap.held
    assert [item.status for item in held_below_cap.items].count(HELPFUL) == 6


def test_jury_can_veto_and_uphold(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    item = next(item.item for item in result.snapshot.items if item.status == HELPFUL)
    jurors = [f"u{u}" for u in range(60)]
    without = [event for event in log if getattr(event, "item", "") != item or event.actor not in jurors[:30]]
    invitation = JuryInvitation(id="jury", created_utc=LATER, actor="lot", item=item, jurors=tuple(jurors[:30]))
    no = simulate_attack_ratings(jurors[:30], item, 0.0, start_utc=LATER + timedelta(hours=1), id_prefix="j")
    yes = simulate_attack_ratings(jurors[:30], item, 1.0, start_utc=LATER + timedelta(hours=1), id_prefix="j")
    assert statuses(run_consensus([*without, invitation, *yes]))[item] == HELPFUL
    vetoed = run_consensus(
        [
            *without,
            invitation,
            *no[:12],
            *simulate_attack_ratings(jurors[12:30], item, 1.0, start_utc=LATER - timedelta(days=1), id_prefix="k"),
        ]
    )
    outcome = vetoed.snapshot.find_item(item)
    assert outcome is not None
    assert outcome.jury in (NOT_HELPFUL, "split")
    assert outcome.status != HELPFUL


# Updates of one item.


def events_about(log: list[FeedbackEvent], item: str) -> list[FeedbackEvent]:
    return [event for event in log if getattr(event, "item", None) == item]


@pytest.mark.slow
def test_update_without_new_events_equals_the_full_run(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    for item in result.snapshot.items:
        assert update_item_result(result, item.item, events_about(log, item.item)) == item


def test_update_with_new_ratings_moves_in_the_direction_of_the_full_run(
    log: list[FeedbackEvent], result: ConsensusResult
) -> None:
    item = next(item for item in result.snapshot.items if item.status == NEEDS_MORE)
    rated = {event.actor for event in events_about(log, item.item)}
    new_raters = [f"u{u}" for u in range(60) if f"u{u}" not in rated][:6]
    new_ratings = simulate_attack_ratings(new_raters, item.item, 1.0, start_utc=LATER, id_prefix="n")
    update = update_item_result(result, item.item, [*events_about(log, item.item), *new_ratings])
    full_result = run_consensus([*log, *new_ratings]).snapshot.find_item(item.item)
    assert full_result is not None
    assert sum(view.ratings for view in update.sides) == pytest.approx(sum(view.ratings for view in item.sides) + 6)
    assert update.judged == full_result.judged
    assert [view.ratings for view in update.sides] == pytest.approx([view.ratings for view in full_result.sides], abs=0.2)
    assert update.bridging > item.bridging
    assert update.bridging == pytest.approx(full_result.bridging, abs=0.02)


def test_update_of_a_new_item(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    new_ratings = simulate_attack_ratings([f"u{u}" for u in range(30)], "fresh", 1.0, start_utc=LATER, id_prefix="n")
    assert update_item_result(result, "fresh", new_ratings).item == "fresh"
    assert sum(view.ratings for view in update_item_result(result, "fresh", new_ratings).sides) == 30


def test_update_does_not_change_the_next_full_run(log: list[FeedbackEvent], result: ConsensusResult) -> None:
    before = run_consensus(log)
    update_item_result(
        before, "i0", [*events_about(log, "i0"), *simulate_attack_ratings(["u1"], "i0", 0.0, start_utc=LATER, id_prefix="n")]
    )
    assert before.snapshot.canonical_bytes() == result.snapshot.canonical_bytes()
    assert run_consensus(log).snapshot.canonical_bytes() == result.snapshot.canonical_bytes()


# Comparisons only.


def test_one_person_s_comparisons_give_lessons_and_more_people_who_agree_more_weight() -> None:
    def weights(num_people: int) -> list[float]:
        events: list[FeedbackEvent] = [
            Comparison(
                id=f"c{u}{k}", created_utc=START_UTC + timedelta(hours=k), actor=f"a{u}", left="x", right=f"y{k}", outcome="left"
            )
            for u in range(num_people)
            for k in range(6)
        ]
        pairs = run_consensus(events, OPEN).snapshot.pairs
        assert all(pair.better == "x" and not pair.reason for pair in pairs)
        return [pair.weight for pair in pairs]

    one, three, six = (weights(count) for count in (1, 3, 6))
    assert 0.3 < max(one) < 0.61, "one answer that beats six others is better than each by more than one vote"
    assert max(one) < min(three) < min(six)
