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
    Event,
    JuryInvitation,
    Rating,
    State,
    canonical_bytes,
    fold_sorted_events,
    format_utc,
    sort_events,
)
from yearling.feedback.exact_arithmetic import Floats
from yearling.feedback.pairs import Comparisons, Pair, build_pair, shrunk_odds, side_strengths
from yearling.feedback.parameters import Parameters
from yearling.feedback.rating_table import ModelFits, Sides, Table, fit_models, gather, heard, tabulate
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import NEEDS_MORE, Decision, Evidence, StatusParameters

VERSION = 2

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


def log_hash(events: Iterable[Event]) -> str:
    """SHA-256 over the canonical lines of the events in log order: names the prefix, whatever the order of the iterable."""
    return _hash_sorted_events(sort_events(events))


def _hash_sorted_events(ordered: Sequence[Event]) -> str:
    digest = sha256()
    for event in ordered:
        digest.update(canonical_bytes(event) + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A snapshot with the fits behind it, kept in memory for `update_item`, `draw_jury` and the queue.

    Not public: it knows raters.
    """

    snapshot: Snapshot
    state: State
    table: Table
    main: ModelFits
    robust: ModelFits
    parameters: Parameters

    def side_of(self, rater: str) -> int:
        """0 or 1, or −1 for somebody whose side is not known yet."""
        number = self.table.raters.get(rater)
        return -1 if number is None else int(self.main.sides[number])

    def jury_candidates(self, item: str) -> dict[str, int]:
        """Accounts that may be drawn for a jury on `item`: with enough acts, a side, and no rating of it."""
        rated = {rating.actor for rating in self.state.ratings if rating.item == item}
        needed = self.parameters.defences.earlier_acts
        return {
            rater: int(self.main.sides[number])
            for rater, number in self.table.raters.items()
            if self.main.sides[number] >= 0 and rater not in rated and self.table.experience.earned.get(rater, 0) >= needed
        }


def draw_jury_for_item(events: Iterable[Event], item: str, parameters: Parameters | None = None) -> tuple[str, ...]:
    """The accounts that the lot draws for a jury on an item after this log prefix; nobody is asked twice about one item.

    A pure function, so that everybody can draw again. Fewer accounts than a jury needs mean that there can be none.
    """
    ordered = sort_events(events)
    result = run(ordered, parameters)
    asked = (event.jurors for event in ordered if isinstance(event, JuryInvitation) and event.item == item)
    return defences.draw_jury(
        result.jury_candidates(item),
        log_hash=result.snapshot.log_hash,
        item=item,
        size=result.parameters.status.jury_drawn,
        asked_before=frozenset(juror for jurors in asked for juror in jurors),
    )


def run(events: Iterable[Event], parameters: Parameters | None = None) -> Result:
    """The full run over a log prefix. Same log, same parameters, same code: the same bytes on any machine."""
    p = parameters or Parameters()
    ordered = sort_events(events)
    state = fold_sorted_events(ordered)
    table, dropped = tabulate(state, p.defences)
    main = fit_models(table.fit, p.axis, p.prediction)
    absent = defences.most_active_mask(table.fit.raters, table.fit.num_raters, p.defences)
    robust = fit_models(table.fit.only(~absent[table.fit.raters]), p.axis, p.prediction) if absent.any() else main
    division = detect_division(table.fit, p.division)
    items, flips, allowed, held = decide_items(state, table, main, robust, p)
    for event in state.dropped:
        dropped[event.reason] = dropped.get(event.reason, 0) + 1
    snapshot = Snapshot(
        version=VERSION,
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
    return Result(snapshot, state, table, main, robust, p)


def decide_items(
    state: State, table: Table, main: ModelFits, robust: ModelFits, p: Parameters
) -> tuple[tuple[ItemResult, ...], int, int, bool]:
    evidence = gather(table, main)
    rules = status.holding(evidence, p.status)
    robust_rules = status.holding(gather(table, robust), p.status) if robust is not main else rules
    first: dict[str, float] = {}
    for rating in state.ratings:
        first.setdefault(rating.item, rating.created_utc.timestamp())
    juries = _jury_verdicts(state, table, main.sides, p.status)
    standing, decisions = [], []
    for item, number in table.items.items():
        change = state.statuses.get(item)
        standing.append(change.status if change else NEEDS_MORE)
        age_s = state.as_of_utc.timestamp() - first[item] if item in first else 0.0
        verdict = juries.get(item, "")
        decisions.append(
            status.decide(number, rules, robust_rules, standing=standing[-1], age_s=age_s, verdict=verdict, p=p.status)
        )
    final, flips, allowed = status.cap_flips(standing, decisions, state.acted, p.status)
    totals: dict[str, int] = {}
    for rating in state.ratings:
        totals[rating.item] = totals.get(rating.item, 0) + 1
    views = _side_estimates_and_chances(evidence, p.status)
    results = tuple(
        _build_item_result(
            item, number, final[number], standing[number], evidence, views, rules, main, juries.get(item, ""), totals, p
        )
        for item, number in table.items.items()
    )
    return tuple(sorted(results, key=lambda result: result.item)), flips, allowed, flips > allowed


def _side_estimates_and_chances(evidence: Evidence, p: StatusParameters) -> tuple[Floats, Floats]:
    return evidence.estimates(p.estimate_prior), 1.0 - evidence.probability_below(0.5, p.doubt_prior)


def _build_item_result(
    item: str,
    number: int,
    decision: Decision,
    previous: str,
    evidence: Evidence,
    views: tuple[Floats, Floats],
    rules: Mapping[str, npt.NDArray[Any]],
    fits: ModelFits,
    verdict: str,
    totals: Mapping[str, int],
    p: Parameters,
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
        jury=verdict,
        rules=tuple(f"{rule.id}@{rule.version}" for rule in p.status.rules if rules[rule.id][number]),
        uncounted=totals.get(item, 0) - int(evidence.counts[:, number].sum()),
    )


def _jury_verdicts(state: State, table: Table, sides: Sides, p: StatusParameters) -> dict[str, str]:
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
    juries: Sequence[JuryInvitation], votes: Sequence[Rating], table: Table, sides: Sides, p: StatusParameters
) -> str:
    counts, approvals = np.zeros(2, dtype=np.int64), np.zeros(2)
    for rating in votes:
        number = table.raters.get(rating.actor)
        invited = any(rating.actor in jury.jurors and rating.created_utc >= jury.created_utc for jury in juries)
        if invited and number is not None and sides[number] >= 0:
            counts[sides[number]] += 1
            approvals[sides[number]] += rating.value
    return status.jury_verdict(counts, approvals, p)


def _build_pairs(state: State, table: Table, fits: ModelFits, p: Parameters) -> tuple[Pair, ...]:
    """Every pair of answers that a counting rater compared, in the order of their names."""
    rows = []
    for act in state.comparisons:
        number = table.raters.get(act.actor)
        if number is not None and fits.sides[number] >= 0:
            left, right = table.items[act.left], table.items[act.right]
            swap = act.outcome == "right"
            rows.append((number, right if swap else left, left if swap else right, 0.5 if act.outcome == "tie" else 1.0))
    if not rows:
        return ()
    numbers = np.array([row[:3] for row in rows], dtype=np.int32)
    weights = defences.influence_weights(numbers[:, 0], len(table.raters), p.defences.influence_cap)
    made = Comparisons(
        numbers[:, 0],
        numbers[:, 1],
        numbers[:, 2],
        np.array([row[3] for row in rows]),
        np.ones(len(rows)) if weights is None else weights,
    )
    strengths = side_strengths(made, fits.sides, fits.predictions(), p.pairs)
    names = list(table.items)
    counts: dict[tuple[str, str], list[int]] = {}
    for rater, winner, loser in numbers:
        first, second = sorted((names[winner], names[loser]))
        counts.setdefault((first, second), [0, 0])[fits.sides[rater]] += 1
    keys = sorted(counts)
    a, b = (np.array([table.items[key[k]] for key in keys], dtype=np.int64) for k in (0, 1))
    odds = shrunk_odds(strengths, heard(table.fit, fits.sides), a, b, p.pairs)
    num_raters = len(set(made.raters.tolist()))
    return tuple(
        build_pair(*key, (float(odds[0, k]), float(odds[1, k])), (counts[key][0], counts[key][1]), num_raters, p.pairs)
        for k, key in enumerate(keys)
    )


def _count_raters(state: State, table: Table, fits: ModelFits) -> dict[str, int]:
    actors = {act.actor for act in (*state.ratings, *state.comparisons)}
    return {
        "seen": len(actors),
        "admitted": len(table.raters),
        "taking_part": int(np.sum(fits.sides >= 0)),
        "collapsed": int(np.sum(table.alias != np.arange(len(table.alias)))),
        "side_0": int(np.sum(fits.sides == 0)),
        "side_1": int(np.sum(fits.sides == 1)),
    }
