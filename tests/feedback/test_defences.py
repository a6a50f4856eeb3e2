"""Standing, influence, near-duplicates and jury draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.consensus.simulation import (
    START_UTC,
    Population,
    plant_truth,
    simulate_admissions,
    simulate_attack_ratings,
    simulate_ratings,
)
from yearling.feedback import (
    Admission,
    Comparison,
    DefenceParameters,
    FeedbackEvent,
    Rating,
    Vouch,
    draw_jury,
    run_consensus,
)
from yearling.feedback.defences import (
    accounts_with_standing,
    find_near_duplicates,
    influence_weights,
    most_active_mask,
)
from yearling.feedback.events import AdmissionBasis, ComparisonOutcome
from yearling.feedback.rater_model import SparseRatings

P = DefenceParameters()
T0 = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START_UTC + timedelta(days=100)


def rate(actor: str, *items: str, value: float = 1.0) -> list[Rating]:
    return [Rating(id=f"{actor}{item}", created_utc=T0, actor=actor, item=item, value=value) for item in items]


def compare(actor: str, left: str, right: str, outcome: ComparisonOutcome = "left") -> Comparison:
    return Comparison(id=f"{actor}{left}{right}", created_utc=T0, actor=actor, left=left, right=right, outcome=outcome)


def standing(acts: list[Rating | Comparison], authors: dict[str, str] | None = None, **more: AdmissionBasis) -> frozenset[str]:
    """Return who counts; `ann` is invited, and others as said."""
    return accounts_with_standing(acts, {"ann": "invitation", **more}, authors or {}, P)


ANNS = rate("ann", "a", "b", "c", "d")


def test_invited_people_and_annotators_count_from_their_first_judgement() -> None:
    acts = [*rate("ann", "a"), *rate("bob", "z"), *rate("lab", "y"), *rate("eve", "x")]
    assert standing([*acts], bob="invitation", lab="data_set") == {"ann", "bob", "lab"}


def test_open_account_counts_after_three_judgements_of_decided_items() -> None:
    assert standing([*ANNS, *rate("eve", "a", "b")]) == {"ann"}
    assert standing([*ANNS, *rate("eve", "a", "b", "c", value=0.0)]) == {"ann", "eve"}, "whatever the judgement"
    assert standing([*rate("ann", "a", "b", "c", value=0.5), *rate("eve", "a", "b", "c")]) == {"ann"}, "undecided items"


def test_standing_spreads_to_items_that_new_members_decided() -> None:
    acts = [*ANNS, *rate("eve", "a", "b", "c", "e", "f", "g"), *rate("fay", "e", "f", "g")]
    assert standing([*acts]) == {"ann", "eve", "fay"}


def test_own_and_junk_items_earn_no_standing() -> None:
    junk = [f"junk{k}" for k in range(12)]
    ring = [act for k in range(12) for act in rate(f"sybil{k}", *junk)]
    assert standing([*ANNS, *ring]) == {"ann"}
    own = {"a": "eve", "b": "eve"}
    assert standing([*ANNS, *rate("eve", "a", "b", "c")], own) == {"ann"}


def test_comparisons_earn_standing_as_ratings_do() -> None:
    pairs = [("a", "b"), ("c", "d"), ("e", "f")]
    acts = [compare("ann", *pair) for pair in pairs] + [compare("eve", right, left) for left, right in pairs]
    assert standing([*acts]) == {"ann", "eve"}
    ties = [compare("ann", *pair, outcome="tie") for pair in pairs] + [compare("eve", *pair) for pair in pairs]
    assert standing([*ties]) == {"ann"}


def test_imported_log_decides_among_its_own_accounts() -> None:
    admissions: dict[str, AdmissionBasis] = {f"u{k}": "log" for k in range(4)}
    acts = [act for k in range(3) for act in rate(f"u{k}", "a", "b", "c")] + rate("u3", "a")
    assert accounts_with_standing(acts, admissions, {}, P) == {"u0", "u1", "u2"}


def test_earlier_ratings_count_once_standing_is_earned() -> None:
    log: list[FeedbackEvent] = [
        Admission(id="adm", created_utc=T0, actor="yearling", account="ann", basis="invitation"),
        *ANNS,
        *rate("eve", "z", "a", "b"),
    ]
    before = run_consensus(log).snapshot
    assert before.dropped == {"account that does not count yet": 3}
    assert before.find_item("z") is not None
    assert [(i.judged, dict(i.uncounted)) for i in before.items if i.item == "z"] == [(0, {"new_account": 1})]
    after = run_consensus([*log, *rate("eve", "c")]).snapshot
    assert [(i.judged, dict(i.uncounted)) for i in after.items if i.item == "z"] == [(1, {})]


def test_vouches_of_earlier_versions_have_no_effect() -> None:
    vouch = Vouch(id="v", created_utc=T0, actor="ann", account="eve", person="h")
    snapshot = run_consensus([vouch, *rate("eve", "a", "b", "c")]).snapshot
    assert snapshot.dropped == {"account that does not count yet": 3, "vouches have no effect any more": 1}


def table(histories: list[dict[int, float]]) -> SparseRatings:
    rows = [(u, n, v) for u, history in enumerate(histories) for n, v in history.items()]
    columns = np.array(rows)
    return SparseRatings(columns[:, 0].astype(np.int32), columns[:, 1].astype(np.int32), columns[:, 2], len(histories), 100)


def test_near_duplicates_are_represented_by_the_earliest() -> None:
    generator = np.random.default_rng(0)
    first = {n: float(generator.integers(2)) for n in range(40)}
    other = {n: float(generator.integers(2)) for n in range(40)}
    nearly = {**first, 3: 1.0 - first[3]}
    short = dict(list(first.items())[:9])
    assert find_near_duplicates(table([other, first, nearly, dict(first), short, short]), P).tolist() == [0, 1, 1, 1, 4, 5]


def test_invited_people_are_never_copies_but_others_can_be_copies_of_them() -> None:
    history = {n: float(n % 2) for n in range(12)}
    is_invited = np.array([False, True, True, False])
    assert find_near_duplicates(table([history] * 4), P, is_invited).tolist() == [1, 1, 2, 1]


def test_near_duplicate_accounts_count_once() -> None:
    people = Population(num_raters=30, num_items=60, seed=2)
    log = [*simulate_admissions(people), *simulate_ratings(plant_truth(people), people)]
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
    log = [*simulate_admissions(people), *simulate_ratings(plant_truth(people), people)]
    before = run_consensus(log).snapshot
    target = before.items[7].item
    after = run_consensus(
        [*log, *simulate_attack_ratings([f"x{k}" for k in range(40)], target, 1.0, start_utc=LATER, id_prefix="x")]
    ).snapshot
    assert after.dropped["account that does not count yet"] == 40
    for old, new in zip(before.items, after.items, strict=True):
        assert (old.status, old.sides, old.bridging) == (new.status, new.sides, new.bridging)
    assert next(i for i in after.items if i.item == target).uncounted == {"new_account": 40}


def test_active_rater_weighs_at_most_as_much_as_two_median_raters() -> None:
    raters = np.repeat(np.arange(5), [40, 8, 8, 8, 2]).astype(np.int32)
    weights = influence_weights(raters, 5, P)
    assert weights is not None
    assert weights[0] * 40 == 15.0, "16, rounded down to eighths for each entry"
    assert set(weights[40:]) == {1.0}
    assert influence_weights(raters[40:], 5, P) is None


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
    log = [*simulate_admissions(people), *simulate_ratings(plant_truth(people), people)]
    result = run_consensus(log)
    rated = {event.actor for event in log if isinstance(event, Rating) and event.item == "i3"}
    candidates = result.jury_candidates("i3")
    assert candidates
    assert not rated & set(candidates)
