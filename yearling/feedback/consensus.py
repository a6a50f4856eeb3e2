"""Bridged consensus as one pure function: (log prefix, parameters) → snapshot, with canonical bytes and a hash.

`run` has the whole order of events on one page: fold, admit, number, defend, fit, test for a division, gather evidence, decide,
judge pairs. All sums are exact, so that machines change nothing. `code_hash` covers the modules that decide; parameters and log
are hashed beside it. Knows nothing of databases, of texts and of people's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from yearling.feedback import defences
from yearling.feedback import status_rules as status
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
from yearling.feedback.exact_arithmetic import Floats
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
from yearling.feedback.status_rules import NEEDS_MORE, Evidence, StatusDecision, StatusParameters

SNAPSHOT_VERSION = 2

HASHED_MODULES = (
    "consensus",
    "defences",
    "division",
    "events",
    "exact_arithmetic",
    "pairs",
    "parameters",
    "rater_model",
    "rating_table",
    "snapshot",
    "status_rules",
)
"""Modules under `code_hash`."""


@cache
def code_hash() -> str:
    """SHA-256 over the source of the modules that decide, in alphabetical order, with line ends as in the repository."""
    folder = Path(__file__).parent
    digest = sha256()
    for name in HASHED_MODULES:
        source = (folder / f"{name}.py").read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()


def log_hash(events: Iterable[FeedbackEvent]) -> str:
    """SHA-256 over the canonical lines of the events in log order: names the prefix, whatever the order of the iterable."""
    return _hash_sorted_events(sort_events(events))


def _hash_sorted_events(sorted_events: Sequence[FeedbackEvent]) -> str:
    digest = sha256()
    for event in sorted_events:
        digest.update(canonical_event_bytes(event) + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class ConsensusResult:
    """A snapshot with the fits behind it, kept in memory for `update_item`, `draw_jury` and the queue.

    Not public: it knows raters.
    """

    snapshot: Snapshot
    state: LogState
    table: RatingTable
    main_fits: ModelFits
    robust_fits: ModelFits
    parameters: ConsensusParameters

    def side_of(self, rater: str) -> int:
        """0 or 1, or −1 for somebody whose side is not known yet."""
        number = self.table.rater_index.get(rater)
        return -1 if number is None else int(self.main_fits.sides[number])

    def jury_candidates(self, item: str) -> dict[str, int]:
        """Accounts that may be drawn for a jury on `item`: with enough acts, a side, and no rating of it."""
        rated = {rating.actor for rating in self.state.ratings if rating.item == item}
        needed = self.parameters.defences.earlier_acts
        return {
            rater: int(self.main_fits.sides[number])
            for rater, number in self.table.rater_index.items()
            if self.main_fits.sides[number] >= 0
            and rater not in rated
            and self.table.experience.num_earned_acts.get(rater, 0) >= needed
        }


def draw_jury_for_item(
    events: Iterable[FeedbackEvent], item: str, parameters: ConsensusParameters | None = None
) -> tuple[str, ...]:
    """The accounts that the lot draws for a jury on an item after this log prefix; nobody is asked twice about one item.

    A pure function, so that everybody can draw again. Fewer accounts than a jury needs mean that there can be none.
    """
    ordered = sort_events(events)
    result = run_consensus(ordered, parameters)
    asked = (event.jurors for event in ordered if isinstance(event, JuryInvitation) and event.item == item)
    return defences.draw_jury(
        result.jury_candidates(item),
        log_hash=result.snapshot.log_hash,
        item=item,
        size=result.parameters.status.jury_drawn,
        previously_invited=frozenset(juror for jurors in asked for juror in jurors),
    )


def run_consensus(events: Iterable[FeedbackEvent], parameters: ConsensusParameters | None = None) -> ConsensusResult:
    """The full run over a log prefix. Same log, same parameters, same code: the same bytes on any machine."""
    p = parameters or ConsensusParameters()
    ordered = sort_events(events)
    state = fold_sorted_events(ordered)
    table, dropped = build_rating_table(state, p.defences)
    main = fit_models(table.ratings, p.axis, p.prediction)
    absent = defences.most_active_mask(table.ratings.raters, table.ratings.num_raters, p.defences)
    robust = fit_models(table.ratings.select(~absent[table.ratings.raters]), p.axis, p.prediction) if absent.any() else main
    division = detect_division(table.ratings, p.division)
    items, flips, allowed, held = decide_items(state, table, main, robust, p)
    for event in state.dropped:
        dropped[event.reason] = dropped.get(event.reason, 0) + 1
    snapshot = Snapshot(
        version=SNAPSHOT_VERSION,
        code_hash=code_hash(),
        parameters_hash=p.hash,
        log_hash=_hash_sorted_events(ordered),
        num_events=len(ordered),
        as_of_utc=format_utc(state.as_of_utc) if ordered else "",
        raters=_count_raters(state, table, main),
        division=division,
        items=items,
        pairs=_build_pairs(state, table, main, p),
        dropped=dict(sorted(dropped.items())),
        removals=tuple((removal.event, removal.reason) for removal in state.removals),
        flips=flips,
        flips_allowed=allowed,
        held=held,
    )
    return ConsensusResult(snapshot, state, table, main, robust, p)


def decide_items(
    state: LogState, table: RatingTable, main_fits: ModelFits, robust_fits: ModelFits, p: ConsensusParameters
) -> tuple[tuple[ItemResult, ...], int, int, bool]:
    evidence = gather_evidence(table, main_fits)
    rules = status.evaluate_rules(evidence, p.status)
    robust_rules = status.evaluate_rules(gather_evidence(table, robust_fits), p.status) if robust_fits is not main_fits else rules
    first: dict[str, float] = {}
    for rating in state.ratings:
        first.setdefault(rating.item, rating.created_utc.timestamp())
    juries = _jury_verdicts(state, table, main_fits.sides, p.status)
    standing, decisions = [], []
    for item, number in table.item_index.items():
        change = state.statuses.get(item)
        standing.append(change.status if change else NEEDS_MORE)
        age_s = state.as_of_utc.timestamp() - first[item] if item in first else 0.0
        verdict = juries.get(item, "")
        decisions.append(
            status.decide_status(
                number, rules, robust_rules, current_status=standing[-1], age_s=age_s, jury_finding=verdict, p=p.status
            )
        )
    final, flips, allowed = status.cap_flips(standing, decisions, state.num_actors_since_status_change, p.status)
    totals: dict[str, int] = {}
    for rating in state.ratings:
        totals[rating.item] = totals.get(rating.item, 0) + 1
    views = _side_estimates_and_chances(evidence, p.status)
    results = tuple(
        _build_item_result(
            item, number, final[number], standing[number], evidence, views, rules, main_fits, juries.get(item, ""), totals, p
        )
        for item, number in table.item_index.items()
    )
    return tuple(sorted(results, key=lambda result: result.item)), flips, allowed, flips > allowed


def _side_estimates_and_chances(evidence: Evidence, p: StatusParameters) -> tuple[Floats, Floats]:
    return evidence.shrunk_approvals(p.estimate_prior), 1.0 - evidence.probability_below(0.5, p.doubt_prior)


def _build_item_result(
    item: str,
    number: int,
    decision: StatusDecision,
    previous: str,
    evidence: Evidence,
    views: tuple[Floats, Floats],
    rules: Mapping[str, npt.NDArray[Any]],
    fits: ModelFits,
    jury_verdict: str,
    ratings_per_item: Mapping[str, int],
    p: ConsensusParameters,
) -> ItemResult:
    estimates, chances = views
    sides = [
        SideResult(
            ratings=int(evidence.counts[side, number]),
            approval=float(evidence.approvals[side, number]),
            estimate=float(estimates[side, number]),
            chance=float(chances[side, number]),
        )
        for side in (0, 1)
    ]
    return ItemResult(
        item=item,
        status=decision.status,
        reason=decision.reason,
        previous=previous,
        sides=(sides[0], sides[1]),
        bridging=float(estimates[:, number].min()),
        intercept=float(fits.axis.item_bias[number]),
        axis=float(fits.axis.item_factors[number, 0]),
        jury=jury_verdict,
        rules=tuple(f"{rule.id}@{rule.version}" for rule in p.status.rules if rules[rule.id][number]),
        uncounted=ratings_per_item.get(item, 0) - int(evidence.counts[:, number].sum()),
    )


def _jury_verdicts(state: LogState, table: RatingTable, sides: Sides, p: StatusParameters) -> dict[str, str]:
    """What each item's jury found. Jurors are heard whatever their history: they were drawn, not self-selected."""
    if not state.juries:
        return {}
    by_item: dict[str, list[JuryInvitation]] = {}
    for jury in state.juries:
        by_item.setdefault(jury.item, []).append(jury)
    votes: dict[str, list[Rating]] = {}
    for rating in state.ratings:
        if rating.item in by_item:
            votes.setdefault(rating.item, []).append(rating)
    return {item: _jury_verdict(juries, votes.get(item, []), table, sides, p) for item, juries in by_item.items()}


def _jury_verdict(
    juries: Sequence[JuryInvitation], votes: Sequence[Rating], table: RatingTable, sides: Sides, p: StatusParameters
) -> str:
    counts, approvals = np.zeros(2, dtype=np.int64), np.zeros(2)
    for rating in votes:
        number = table.rater_index.get(rating.actor)
        invited = any(rating.actor in jury.jurors and rating.created_utc >= jury.created_utc for jury in juries)
        if invited and number is not None and sides[number] >= 0:
            counts[sides[number]] += 1
            approvals[sides[number]] += rating.value
    return status.jury_verdict(counts, approvals, p)


def _build_pairs(state: LogState, table: RatingTable, fits: ModelFits, p: ConsensusParameters) -> tuple[ConsensusPair, ...]:
    """Every pair of answers that a counting rater compared, in the order of their names."""
    rows = []
    for act in state.comparisons:
        number = table.rater_index.get(act.actor)
        if number is not None and fits.sides[number] >= 0:
            left, right = table.item_index[act.left], table.item_index[act.right]
            swap = act.outcome == "right"
            rows.append((number, right if swap else left, left if swap else right, 0.5 if act.outcome == "tie" else 1.0))
    if not rows:
        return ()
    numbers = np.array([row[:3] for row in rows], dtype=np.int32)
    weights = defences.influence_weights(numbers[:, 0], len(table.rater_index), p.defences.influence_cap)
    made = ComparisonArrays(
        numbers[:, 0],
        numbers[:, 1],
        numbers[:, 2],
        np.array([row[3] for row in rows]),
        np.ones(len(rows)) if weights is None else weights,
    )
    strengths = side_strengths(made, fits.sides, fits.predict_item_means(), p.pairs)
    names = list(table.item_index)
    counts: dict[tuple[str, str], list[int]] = {}
    for rater, winner, loser in numbers:
        first, second = sorted((names[winner], names[loser]))
        counts.setdefault((first, second), [0, 0])[fits.sides[rater]] += 1
    keys = sorted(counts)
    a, b = (np.array([table.item_index[key[k]] for key in keys], dtype=np.int64) for k in (0, 1))
    odds = shrunk_odds(strengths, count_raters_by_side(table.ratings, fits.sides), a, b, p.pairs)
    num_raters = len(set(made.raters.tolist()))
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
