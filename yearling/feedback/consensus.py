"""Bridged consensus as one pure function: (log prefix, parameters) → snapshot, with canonical bytes and a hash.

`run_consensus` shows the order of events: fold the log, admit raters, number them, apply the defences, fit the models, test for a
division, gather evidence, decide statuses, judge pairs. All sums are exact, so every machine gives the same bytes. `code_hash`
covers the modules that decide; parameters and log have hashes of their own. This file knows nothing of databases, texts or names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from yearling.feedback.defences import draw_jury, influence_weights, most_active_mask
from yearling.feedback.division import detect_division
from yearling.feedback.events import (
    FeedbackEvent,
    JuryInvitation,
    LogState,
    Rating,
    canonical_event_bytes,
    fold_sorted_events,
    format_utc,
    sort_events,
)
from yearling.feedback.exact_arithmetic import Floats, Mask
from yearling.feedback.pairs import ComparisonArrays, ConsensusPair, build_pair, shrunk_odds, side_strengths
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rating_table import (
    ModelFits,
    RatingTable,
    Sides,
    build_rating_table,
    count_raters_by_side,
    fit_models,
    gather_evidence,
)
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import (
    NEEDS_MORE,
    Evidence,
    StatusDecision,
    StatusParameters,
    cap_flips,
    decide_status,
    evaluate_rules,
    jury_verdict,
)
from yearling.feedback.visible_division import measure_visible_division

SNAPSHOT_VERSION = 2

HASHED_MODULES = (
    "canonical",
    "feedback/consensus",
    "feedback/defences",
    "feedback/division",
    "feedback/events",
    "feedback/exact_arithmetic",
    "feedback/pairs",
    "feedback/parameters",
    "feedback/rater_model",
    "feedback/rating_table",
    "feedback/snapshot",
    "feedback/status_rules",
    "store/learning/retraction_rules",
)
"""The modules that `code_hash` covers, by path below the package, in alphabetical order."""


@cache
def code_hash() -> str:
    """Return the SHA-256 of the source of the modules that decide, with line ends as in the repository.

    Any edit of these files changes the hash. Runs by earlier code then count as runs by another version; add their release tag to
    `code_releases.RELEASE_TAGS`.
    """
    package = Path(__file__).parents[1]
    digest = sha256()
    for name in HASHED_MODULES:
        source = (package / f"{name}.py").read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()


def log_hash(events: Iterable[FeedbackEvent]) -> str:
    """Return the SHA-256 of the canonical lines of the events in log order, whatever the order of the iterable."""
    return _hash_sorted_events(sort_events(events))


def _hash_sorted_events(sorted_events: Sequence[FeedbackEvent]) -> str:
    digest = sha256()
    for event in sorted_events:
        digest.update(canonical_event_bytes(event) + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class ConsensusResult:
    """A snapshot with the state and the fits behind it, for `update_item_result`, jury draws and the rating queue.

    It stays in memory and is not public, because it identifies raters by pseudonym.
    """

    snapshot: Snapshot
    state: LogState
    table: RatingTable
    main_fits: ModelFits
    robust_fits: ModelFits
    """The fits without the most active raters; the same object as `main_fits` if there are too few raters for that."""
    parameters: ConsensusParameters

    def side_of(self, rater: str) -> int:
        """Return 0 or 1, or −1 for a rater whose side is not known yet."""
        number = self.table.rater_index.get(rater)
        return -1 if number is None else int(self.main_fits.sides[number])

    def jury_candidates(self, item: str) -> dict[str, int]:
        """Return the accounts eligible for a jury on `item` with their sides: enough acts, a side, and no rating of the item."""
        raters_of_item = {rating.actor for rating in self.state.ratings if rating.item == item}
        min_acts = self.parameters.defences.earlier_acts
        return {
            rater: int(self.main_fits.sides[number])
            for rater, number in self.table.rater_index.items()
            if self.main_fits.sides[number] >= 0
            and rater not in raters_of_item
            and self.table.experience.num_earned_acts.get(rater, 0) >= min_acts
        }


def draw_jury_for_item(
    events: Iterable[FeedbackEvent], item: str, parameters: ConsensusParameters | None = None
) -> tuple[str, ...]:
    """Return the accounts that the lot draws for a jury on an item after this log prefix.

    A pure function, so that anybody can repeat the draw. Nobody is invited twice for one item. If the lot draws fewer accounts
    than a jury needs, there can be no jury.
    """
    sorted_events = sort_events(events)
    result = run_consensus(sorted_events, parameters)
    invitations = (event for event in sorted_events if isinstance(event, JuryInvitation) and event.item == item)
    return draw_jury(
        result.jury_candidates(item),
        log_hash=result.snapshot.log_hash,
        item=item,
        size=result.parameters.status.jury_drawn,
        previously_invited=frozenset(juror for invitation in invitations for juror in invitation.jurors),
    )


def run_consensus(events: Iterable[FeedbackEvent], parameters: ConsensusParameters | None = None) -> ConsensusResult:
    """Run the consensus over a log prefix. The same log, parameters and code give the same bytes on any machine.

    Raises Untrusted if two different events share an id, and BadInput for parameters that contradict each other.
    """
    p = parameters or ConsensusParameters()
    sorted_events = sort_events(events)
    state = fold_sorted_events(sorted_events)
    table, dropped = build_rating_table(state, p.defences)
    main_fits = fit_models(table.ratings, p.axis, p.prediction)
    most_active = most_active_mask(table.ratings.raters, table.ratings.num_raters, p.defences)
    robust_fits = main_fits
    if most_active.any():
        robust_fits = fit_models(table.ratings.select(~most_active[table.ratings.raters]), p.axis, p.prediction)
    division = detect_division(table.ratings, p.division)
    items, flips, flips_allowed, held = decide_items(state, table, main_fits, robust_fits, p)
    for event in state.dropped:
        dropped[event.reason] = dropped.get(event.reason, 0) + 1
    snapshot = Snapshot(
        version=SNAPSHOT_VERSION,
        code_hash=code_hash(),
        parameters_hash=p.hash,
        log_hash=_hash_sorted_events(sorted_events),
        num_events=len(sorted_events),
        as_of_utc=format_utc(state.as_of_utc) if sorted_events else "",
        raters=_count_raters(state, table, main_fits),
        division=division,
        items=items,
        pairs=_build_pairs(state, table, main_fits, p),
        dropped=dict(sorted(dropped.items())),
        removals=tuple((removal.event, removal.reason) for removal in state.removals),
        flips=flips,
        flips_allowed=flips_allowed,
        held=held,
        visible_division=measure_visible_division(table.ratings),
    )
    return ConsensusResult(snapshot, state, table, main_fits, robust_fits, p)


def decide_items(
    state: LogState, table: RatingTable, main_fits: ModelFits, robust_fits: ModelFits, p: ConsensusParameters
) -> tuple[tuple[ItemResult, ...], int, int, bool]:
    """Return the results of all items by id, the number of flips wanted and allowed, and whether the cap held them."""
    evidence = gather_evidence(table, main_fits)
    rules_met = evaluate_rules(evidence, p.status)
    robust_rules_met = rules_met
    if robust_fits is not main_fits:
        robust_rules_met = evaluate_rules(gather_evidence(table, robust_fits), p.status)
    first_rated_s: dict[str, float] = {}
    ratings_per_item: dict[str, int] = {}
    for rating in state.ratings:
        first_rated_s.setdefault(rating.item, rating.created_utc.timestamp())
        ratings_per_item[rating.item] = ratings_per_item.get(rating.item, 0) + 1
    verdicts = _jury_verdicts(state, table, main_fits.sides, p.status)
    current_statuses: list[str] = []
    decisions: list[StatusDecision] = []
    for item, number in table.item_index.items():
        change = state.statuses.get(item)
        current_statuses.append(change.status if change else NEEDS_MORE)
        decisions.append(
            decide_status(
                number,
                rules_met,
                robust_rules_met,
                current_status=current_statuses[-1],
                age_s=state.as_of_utc.timestamp() - first_rated_s[item] if item in first_rated_s else 0.0,
                jury_finding=verdicts.get(item, ""),
                p=p.status,
            )
        )
    final, flips, flips_allowed = cap_flips(current_statuses, decisions, state.num_actors_since_status_change, p.status)
    estimates, chances = _side_estimates_and_chances(evidence, p.status)
    results = []
    for item, number in table.item_index.items():
        sides = [_build_side_result(side, number, evidence, estimates, chances) for side in (0, 1)]
        results.append(
            ItemResult(
                item=item,
                status=final[number].status,
                reason=final[number].reason,
                previous=current_statuses[number],
                sides=(sides[0], sides[1]),
                bridging=float(estimates[:, number].min()),
                intercept=float(main_fits.axis.item_bias[number]),
                axis=float(main_fits.axis.item_factors[number, 0]),
                jury=verdicts.get(item, ""),
                rules=_rules_met_by(number, rules_met, p.status),
                uncounted=ratings_per_item.get(item, 0) - int(evidence.counts[:, number].sum()),
                **_temporary_label(evidence, number),
            )
        )
    return tuple(sorted(results, key=lambda result: result.item)), flips, flips_allowed, flips > flips_allowed


def _temporary_label(evidence: Evidence, number: int) -> dict[str, Any]:
    judged, approval = int(evidence.counts[:, number].sum()), float(evidence.approvals[:, number].sum())
    estimate = (approval + 1.0) / (judged + 2.0)
    sides = [float(evidence.approvals[side, number]) - float(evidence.counts[side, number]) / 2.0 for side in (0, 1)]
    if min(sides) < -1.0 and max(sides) > 1.0:
        return {"judged": judged, "approval": approval, "label_reason": "people_are_divided"}
    if estimate == 0.5:
        return {"judged": judged, "approval": approval}
    q = max(estimate, 1.0 - estimate)
    label = {"label": 1 if estimate > 0.5 else -1, "q": q, "weight": 2.0 * q - 1.0, "label_reason": "decided"}
    return {"judged": judged, "approval": approval, **label}


def _side_estimates_and_chances(evidence: Evidence, p: StatusParameters) -> tuple[Floats, Floats]:
    return evidence.shrunk_approvals(p.estimate_prior), 1.0 - evidence.probability_below(0.5, p.doubt_prior)


def _build_side_result(side: int, number: int, evidence: Evidence, estimates: Floats, chances: Floats) -> SideResult:
    return SideResult(
        ratings=int(evidence.counts[side, number]),
        approval=float(evidence.approvals[side, number]),
        estimate=float(estimates[side, number]),
        chance=float(chances[side, number]),
    )


def _rules_met_by(number: int, rules_met: Mapping[str, Mask], p: StatusParameters) -> tuple[str, ...]:
    return tuple(f"{rule.id}@{rule.version}" for rule in p.rules if rules_met[rule.id][number])


def _jury_verdicts(state: LogState, table: RatingTable, sides: Sides, p: StatusParameters) -> dict[str, str]:
    """Return the verdict of each item's jury. Jurors count whatever their history, because a lot selected them."""
    if not state.juries:
        return {}
    juries_by_item: dict[str, list[JuryInvitation]] = {}
    for jury in state.juries:
        juries_by_item.setdefault(jury.item, []).append(jury)
    ratings_by_item: dict[str, list[Rating]] = {}
    for rating in state.ratings:
        if rating.item in juries_by_item:
            ratings_by_item.setdefault(rating.item, []).append(rating)
    return {
        item: _jury_verdict(juries, ratings_by_item.get(item, []), table, sides, p) for item, juries in juries_by_item.items()
    }


def _jury_verdict(
    juries: Sequence[JuryInvitation], ratings: Sequence[Rating], table: RatingTable, sides: Sides, p: StatusParameters
) -> str:
    counts, approvals = np.zeros(2, dtype=np.int64), np.zeros(2)
    for rating in ratings:
        number = table.rater_index.get(rating.actor)
        is_juror = any(rating.actor in jury.jurors and rating.created_utc >= jury.created_utc for jury in juries)
        if is_juror and number is not None and sides[number] >= 0:
            counts[sides[number]] += 1
            approvals[sides[number]] += rating.value
    return jury_verdict(counts, approvals, p)


def _build_pairs(state: LogState, table: RatingTable, fits: ModelFits, p: ConsensusParameters) -> tuple[ConsensusPair, ...]:
    """Return every pair of answers that a counting rater compared, in the order of their ids."""
    rows = []
    for act in state.comparisons:
        number = table.rater_index.get(act.actor)
        if number is not None and fits.sides[number] >= 0:
            left, right = table.item_index[act.left], table.item_index[act.right]
            winner, loser = (right, left) if act.outcome == "right" else (left, right)
            rows.append((number, winner, loser, 0.5 if act.outcome == "tie" else 1.0))
    if not rows:
        return ()
    numbers = np.array([row[:3] for row in rows], dtype=np.int32)
    weights = influence_weights(numbers[:, 0], len(table.rater_index), p.defences.influence_cap)
    comparisons = ComparisonArrays(
        numbers[:, 0],
        numbers[:, 1],
        numbers[:, 2],
        np.array([row[3] for row in rows]),
        np.ones(len(rows)) if weights is None else weights,
    )
    strengths = side_strengths(comparisons, fits.sides, fits.predict_item_means(), p.pairs)
    item_ids = list(table.item_index)
    counts: dict[tuple[str, str], list[int]] = {}
    for rater, winner, loser in numbers:
        first, second = sorted((item_ids[winner], item_ids[loser]))
        counts.setdefault((first, second), [0, 0])[fits.sides[rater]] += 1
    keys = sorted(counts)
    a, b = (np.array([table.item_index[key[k]] for key in keys], dtype=np.int64) for k in (0, 1))
    odds = shrunk_odds(strengths, count_raters_by_side(table.ratings, fits.sides), a, b, p.pairs)
    num_raters = len(set(comparisons.raters.tolist()))
    return tuple(
        build_pair(*key, (float(odds[0, k]), float(odds[1, k])), (counts[key][0], counts[key][1]), num_raters, p.pairs)
        for k, key in enumerate(keys)
    )


def _count_raters(state: LogState, table: RatingTable, fits: ModelFits) -> dict[str, int]:
    actors = {act.actor for act in (*state.ratings, *state.comparisons)}
    return {
        "seen": len(actors),
        "admitted": len(table.rater_index),
        "taking_part": int(np.sum(fits.sides >= 0)),
        "collapsed": int(np.sum(table.representative != np.arange(len(table.representative)))),
        "side_0": int(np.sum(fits.sides == 0)),
        "side_1": int(np.sum(fits.sides == 1)),
    }
