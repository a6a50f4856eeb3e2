"""Admission, experience, influence, near-duplicates and jury draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.consensus.simulation import START_UTC, Population, plant_truth, simulate_attack_ratings, simulate_ratings
from yearling.feedback import (
    HELPFUL,
    ConsensusParameters,
    DefenceParameters,
    FeedbackEvent,
    Rating,
    StatusChange,
    Vouch,
    draw_jury,
    run_consensus,
)
from yearling.feedback.defences import (
    admitted_accounts,
    compute_experience,
    find_near_duplicates,
    influence_weights,
    most_active_mask,
)
from yearling.feedback.rater_model import SparseRatings

P = DefenceParameters()
T0 = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START_UTC + timedelta(days=100)


def vouch(k: int, actor: str, account: str, person: str, day: int = 0) -> Vouch:
    return Vouch(id=f"v{k}", created_utc=T0 + timedelta(days=day, minutes=k), actor=actor, account=account, person=person)


def test_vouches_spread_from_the_roots_and_admit_one_account_per_person() -> None:
    p = replace(P, require_vouch=True, roots=("root",))
    chain = [
        vouch(0, "ann", "early", "p0"),
        vouch(1, "root", "ann", "p1"),
        vouch(2, "ann", "bob", "p2"),
        vouch(3, "bob", "ann2", "p1"),
        vouch(4, "eve", "eve2", "p9"),
    ]
    assert admitted_accounts(chain, p) == {"root", "ann", "bob"}


def test_vouches_per_month_are_limited() -> None:
    p = replace(P, require_vouch=True, roots=("root",), vouches_per_month=3)
    quick = [vouch(k, "root", f"a{k}", f"p{k}") for k in range(6)]
    assert len(admitted_accounts(quick, p)) == 4
    assert len(admitted_accounts([*quick, vouch(9, "root", "later", "p99", day=31)], p)) == 5


def test_only_vouched_accounts_count_if_vouching_is_required() -> None:
    people = Population(num_raters=30, num_items=20, seed=2)
    log = simulate_ratings(plant_truth(people), people)
    p = ConsensusParameters(defences=DefenceParameters(require_vouch=True, roots=tuple(f"u{k}" for k in range(20))))
    snapshot = run_consensus(log, p).snapshot
    assert snapshot.raters["seen"] == 30
    assert snapshot.raters["admitted"] == 20
    assert snapshot.dropped["account without a valid vouch"] > 0


def test_act_counts_after_ten_earlier_acts() -> None:
    acts = [Rating(id=f"r{k:02d}", created_utc=T0 + timedelta(minutes=k), actor="a", item=f"i{k}", value=1.0) for k in range(15)]
    experience = compute_experience(acts, {}, P)
    assert experience.counted_act_ids == {f"r{k:02d}" for k in range(10, 15)}
    assert experience.num_earned_acts["a"] == 15


def test_acts_on_items_with_a_status_earn_no_experience() -> None:
    acts = [Rating(id=f"r{k:02d}", created_utc=T0 + timedelta(minutes=k), actor="a", item=f"i{k}", value=1.0) for k in range(15)]
    decided = {f"i{k}": StatusChange(id=f"s{k}", created_utc=T0, actor="run", item=f"i{k}", status=HELPFUL) for k in range(12)}
    assert compute_experience(acts, decided, P).num_earned_acts["a"] == 3
    assert not compute_experience(acts, decided, P).counted_act_ids


def table(histories: list[dict[int, float]]) -> SparseRatings:
    rows = [(u, n, v) for u, history in enumerate(histories) for n, v in history.items()]
    columns = np.array(rows)
    return SparseRatings(columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32), columns[:, 2], len(histories), 100)


def test_near_duplicates_are_represented_by_the_earliest() -> None:
    generator = np.random.default_rng(0)
    first = {n: float(generator.integers(2)) for n in range(40)}
    other = {n: float(generator.integers(2)) for n in range(40)}
    nearly = {**first, 3: 1.0 - first[3]}
    short = dict(list(first.items())[:10])
    assert find_near_duplicates(table([other, first, nearly, dict(first), short, short]), P).tolist() == [0, 1, 1, 1, 4, 5]


def test_near_duplicate_accounts_count_once() -> None:
    people = Population(num_raters=30, num_items=60, seed=2)
    log = simulate_ratings(plant_truth(people), people)
    copies: list[FeedbackEvent] = [
        replace(event, id=f"{event.id}-{k}", actor=f"copy{k}", created_utc=event.created_utc + timedelta(days=60))
        for k in range(12)
        for event in log
        if event.actor == "u0"
    ]
    snapshot = run_consensus([*log, *copies]).snapshot
    assert snapshot.raters["collapsed"] == 12
    assert snapshot.dropped["history nearly the same as another's"] == len(copies)
    assert [(i.item, i.status, i.sides) for i in snapshot.items] == [
        (i.item, i.status, i.sides) for i in run_consensus(log).snapshot.items
    ]


def test_drive_by_accounts_change_no_result() -> None:
    people = Population(num_raters=40, num_items=40, seed=3)
    log = simulate_ratings(plant_truth(people), people)
    before = run_consensus(log).snapshot
    target = before.items[7].item
    after = run_consensus(
        [*log, *simulate_attack_ratings([f"x{k}" for k in range(40)], target, 1.0, start_utc=LATER, id_prefix="x")]
    ).snapshot
    assert after.dropped["rater with too few acts so far"] == 40
    for old, new in zip(before.items, after.items, strict=True):
        assert (old.status, old.sides, old.bridging) == (new.status, new.sides, new.bridging)
    assert next(i for i in after.items if i.item == target).uncounted == before.items[7].uncounted + 40


def test_influence_of_an_active_rater_is_capped() -> None:
    raters = np.array([0] * 40 + [1] * 8, dtype=np.int32)
    weights = influence_weights(raters, 2, 10)
    assert weights is not None
    assert weights[0] * 40 == 10.0
    assert weights[-1] == 1.0
    assert influence_weights(raters, 2, 40) is None


def test_most_active_mask_selects_one_percent() -> None:
    counts = [3] * 99 + [50, 3, 4]
    raters = np.repeat(np.arange(102), counts).astype(np.int32)
    assert np.flatnonzero(most_active_mask(raters, 102, P)).tolist() == [99]
    assert not most_active_mask(np.arange(20, dtype=np.int32), 20, P).any()


def test_jury_draw_is_reproducible_and_balanced() -> None:
    candidates = {f"u{k}": k % 2 for k in range(40)}
    jury = draw_jury(candidates, log_hash="ab", item="x")
    assert jury == draw_jury(dict(reversed(candidates.items())), log_hash="ab", item="x")
    assert len(jury) == 12
    assert sum(candidates[name] for name in jury) == 6
    assert jury != draw_jury(candidates, log_hash="ac", item="x")
    assert not set(jury) & set(draw_jury(candidates, log_hash="ab", item="x", previously_invited=frozenset(jury)))


def test_jury_candidates_have_not_rated_the_item() -> None:
    people = Population(num_raters=30, num_items=30, seed=4)
    log = simulate_ratings(plant_truth(people), people)
    result = run_consensus(log)
    rated = {event.actor for event in log if isinstance(event, Rating) and event.item == "i3"}
    candidates = result.jury_candidates("i3")
    assert candidates
    assert not rated & set(candidates)
