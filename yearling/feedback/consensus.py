"""Bridged consensus as one pure function: (log prefix, parameters) → snapshot, with canonical bytes and a hash.

`run_consensus` shows the order of events: fold the log, find who counts, apply the defences, fit the models, measure the
division, label the items, decide statuses, judge pairs. All sums are exact, so every machine gives the same bytes. `code_hash`
covers the modules that decide; parameters and log have hashes of their own. This file knows nothing of databases, texts or names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

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
from yearling.feedback.item_labels import (
    Crowd,
    ItemEvidence,
    ItemLabels,
    describe_crowd,
    gather_evidence,
    label_items,
    side_shares,
)
from yearling.feedback.pairs import (
    ComparisonArrays,
    ConsensusPair,
    blend_odds,
    build_pair,
    pooled_strengths,
    shrunk_odds,
    side_strengths,
)
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rating_table import (
    ModelFits,
    RatingTable,
    Sides,
    build_rating_table,
    count_raters_by_side,
    fit_models,
)
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import (
    DECIDED_STATUSES,
    NEEDS_MORE,
    StatusDecision,
    StatusHistory,
    StatusParameters,
    decide_status,
    evaluate_rules,
    flips_allowed,
    jury_verdict,
    limit_first_statuses,
    limit_flips,
)
from yearling.feedback.visible_division import VisibleDivision, measure_visible_division

SNAPSHOT_VERSION = 3

HASHED_MODULES = (
    "canonical",
    "feedback/consensus",
    "feedback/defences",
    "feedback/division",
    "feedback/events",
    "feedback/exact_arithmetic",
    "feedback/item_labels",
    "feedback/pairs",
    "feedback/parameters",
    "feedback/rater_model",
    "feedback/rating_table",
    "feedback/snapshot",
    "feedback/status_rules",
    "feedback/visible_division",
    "store/learning/retraction_rules",
)
"""The modules that `code_hash` covers, by path below the package, in alphabetical order."""


@cache
def code_hash() -> str:
    """Return the SHA-256 of the source of the modules that decide, with line ends as in the repository.

    Any edit of these files changes the hash. Runs by earlier code then count as runs by another version; add their release to
    `code_releases.RELEASES`.
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
class LabelBasis:
    """What decides items: the raters' shares of side 0 (U,), what labels have in common, and the raters who are left out."""

    shares: Floats
    crowd: Crowd
    keep: Mask
    """(U,) Raters whose ratings this basis hears."""


@dataclass(frozen=True, slots=True, eq=False)
class ConsensusResult:
    """A snapshot with the state and the fits behind it, for `update_item_result`, jury draws and the rating queue.

    It stays in memory and is not public, because it identifies raters by pseudonym.
    """

    snapshot: Snapshot
    state: LogState
    table: RatingTable
    fits: ModelFits
    main: LabelBasis
    robust: LabelBasis
    """Without the most active raters; the same object as `main` if there are too few raters for that."""
    parameters: ConsensusParameters

    def side_of(self, rater: str) -> int:
        """Return 0 or 1, or −1 for a rater whose side is not known yet."""
        number = self.table.rater_index.get(rater)
        return -1 if number is None else int(self.fits.sides[number])

    def jury_candidates(self, item: str) -> dict[str, int]:
        """Return the accounts eligible for a jury on `item` with their sides: they count, have a side, and no rating of it."""
        raters_of_item = {rating.actor for rating in self.state.ratings if rating.item == item}
        return {
            rater: int(self.fits.sides[number])
            for rater, number in self.table.rater_index.items()
            if self.fits.sides[number] >= 0 and rater not in raters_of_item and rater in self.table.standing
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
    fits = fit_models(table.ratings, p.axis, p.prediction)
    everyone = np.ones(table.ratings.num_raters, dtype=np.bool_)
    main, visible_division = prepare_labels(table, fits, everyone, p)
    most_active = most_active_mask(table.ratings.raters, table.ratings.num_raters, p.defences)
    robust = main
    if most_active.any():
        others = table.ratings.select(~most_active[table.ratings.raters])
        robust, _ = prepare_labels(table, fit_models(others, p.axis, p.prediction), ~most_active, p)
    items, flips, allowed, held = decide_items(state, table, fits, main, robust, p)
    for event in state.dropped:
        dropped[event.reason] = dropped.get(event.reason, 0) + 1
    snapshot = Snapshot(
        version=SNAPSHOT_VERSION,
        code_hash=code_hash(),
        parameters_hash=p.hash,
        log_hash=_hash_sorted_events(sorted_events),
        num_events=len(sorted_events),
        as_of_utc=format_utc(state.as_of_utc) if sorted_events else "",
        raters=_count_raters(state, table, fits),
        division=detect_division(table.ratings, p.division),
        visible_division=visible_division,
        crowd=main.crowd,
        items=items,
        pairs=_build_pairs(state, table, fits, main.crowd.degree, p),
        dropped=dict(sorted(dropped.items())),
        removals=tuple((removal.event, removal.reason) for removal in state.removals),
        flips=flips,
        flips_allowed=allowed,
        held=held,
    )
    return ConsensusResult(snapshot, state, table, fits, main, robust, p)


def prepare_labels(table: RatingTable, fits: ModelFits, keep: Mask, p: ConsensusParameters) -> tuple[LabelBasis, VisibleDivision]:
    """Return what decides items by the acts of the raters in `keep` (U,), and the division that their acts show."""
    division = measure_visible_division(table.ratings.select(keep[table.ratings.raters]), p.visible_division)
    ratings = table.counted_ratings()
    ratings = ratings.select(keep[ratings.raters])
    crowd = describe_crowd(ratings, division.degree, p.labels)
    return LabelBasis(side_shares(ratings, fits.axis, p.labels), crowd, keep), division


def decide_items(
    state: LogState,
    table: RatingTable,
    fits: ModelFits,
    main: LabelBasis,
    robust: LabelBasis,
    p: ConsensusParameters,
) -> tuple[tuple[ItemResult, ...], int, int, int]:
    """Return the results of all items by id, and the numbers of flips wanted, allowed and held."""
    evidence, labels, rules_met = evaluate_items(table, main, p)
    robust_evidence, _, robust_rules_met = (evidence, labels, rules_met) if robust is main else evaluate_items(table, robust, p)
    histories = _status_histories(state, table, fits.sides, evidence, main.crowd, p.status)
    current_statuses = [history.current_status for history in histories]
    decisions = [
        decide_status(number, rules_met, robust_rules_met, history, p.status) for number, history in enumerate(histories)
    ]
    items = list(table.item_index)

    def decide_without(number: int, people: frozenset[str]) -> StatusDecision:
        """Decide an item as if these people had not acted since it got its status."""
        before = {person: state.moves[items[number]][person] for person in people}
        met, robust_met = (
            _evaluate_item(_undo_moves(heard, table, basis, number, before), basis, p)
            for heard, basis in ((evidence, main), (robust_evidence, robust))
        )
        is_weakened = bool(state.weakened.get(items[number], frozenset()) - people)
        return decide_status(0, met, robust_met, replace(histories[number], is_weakened=is_weakened), p.status)

    actors = state.actors_since_status_change
    allowed = flips_allowed(current_statuses, len(actors), p.status)
    movers = [frozenset(state.moves.get(item, ())) for item in items]
    final, flips, held = limit_flips(current_statuses, decisions, movers, allowed, decide_without)
    if len(actors) == 1 and not any(state.admissions.get(actor) == "invitation" for actor in actors):
        final = limit_first_statuses(current_statuses, final)
    chances = 1.0 - labels.probability_below(0.5)
    uncounted = _count_uncounted(state, table)
    results = []
    for number, item in enumerate(items):
        sides = [_build_side_result(side, number, evidence, labels, chances) for side in (0, 1)]
        results.append(
            ItemResult(
                item=item,
                status=final[number].status,
                reason=final[number].reason,
                previous=current_statuses[number],
                judged=int(evidence.counts[number]),
                approval=float(evidence.approvals[number]),
                label=int(labels.labels[number]),
                q=float(labels.q[number]),
                weight=float(labels.weights[number]),
                label_reason=labels.reasons[number],
                sides=(sides[0], sides[1]),
                bridging=float(labels.estimates[:, number].min()),
                intercept=float(fits.axis.item_bias[number]),
                axis=float(fits.axis.item_factors[number, 0]),
                jury=histories[number].jury_finding,
                rules=_rules_met_by(number, rules_met, p.status),
                uncounted=uncounted.get(item, {}),
            )
        )
    return tuple(sorted(results, key=lambda result: result.item)), flips, allowed, held


def evaluate_items(
    table: RatingTable, basis: LabelBasis, p: ConsensusParameters
) -> tuple[ItemEvidence, ItemLabels, dict[str, Mask]]:
    """Return the counted ratings of all items, their labels, and which rules they meet."""
    ratings = table.counted_ratings()
    evidence = gather_evidence(ratings.select(basis.keep[ratings.raters]), basis.shares)
    labels = label_items(evidence, basis.crowd, p.labels)
    return evidence, labels, evaluate_rules(labels, evidence, basis.crowd, p.status)


def _evaluate_item(evidence: ItemEvidence, basis: LabelBasis, p: ConsensusParameters) -> dict[str, Mask]:
    labels = label_items(evidence, basis.crowd, p.labels)
    return evaluate_rules(labels, evidence, basis.crowd, p.status)


def _undo_moves(
    evidence: ItemEvidence, table: RatingTable, basis: LabelBasis, number: int, before: Mapping[str, float | None]
) -> ItemEvidence:
    """Return the evidence on one item, as arrays of length 1, with earlier ratings of some people in place of their present
    ones. Somebody who is not in the table any more belongs to both sides alike."""
    at = slice(number, number + 1)
    counts, approvals = evidence.counts[at].copy(), evidence.approvals[at].copy()
    by_side = [array[:, at].copy() for array in (evidence.side_counts, evidence.side_heard, evidence.side_liked)]

    def add(value: float, share: float, voice: float, sign: int) -> None:
        counts[0] += sign
        approvals[0] += sign * value
        for array, worth in zip(by_side, (1.0, voice, voice * value), strict=True):
            array[0, 0] += sign * share * worth
            array[1, 0] += sign * (1.0 - share) * worth

    entries = np.flatnonzero(table.is_rating & (table.ratings.items == number))
    present = {int(table.ratings.raters[entry]): float(table.ratings.values[entry]) for entry in entries}
    for person, value in before.items():
        rater = table.rater_index.get(person)
        share = 0.5 if rater is None else float(basis.shares[rater])
        if rater is not None and not basis.keep[rater]:
            continue
        voice = 1.0 if rater is None else float(table.voices[rater])
        if rater in present:
            add(present[rater], share, voice, -1)
        if value is not None:
            add(value, share, voice, 1)
    return ItemEvidence(counts, approvals, *by_side)


def _status_histories(
    state: LogState, table: RatingTable, sides: Sides, evidence: ItemEvidence, crowd: Crowd, p: StatusParameters
) -> list[StatusHistory]:
    """Return what each item's status depends on besides its ratings, by number of the item."""
    first_rated_s: dict[str, float] = {}
    for rating in state.ratings:
        first_rated_s.setdefault(rating.item, rating.created_utc.timestamp())
    verdicts = _jury_verdicts(state, table, sides, p)
    now_s = state.as_of_utc.timestamp()
    histories = []
    quorum = p.find_rule("quorum").quorum(crowd.num_people)
    for number, item in enumerate(table.item_index):
        change = state.statuses.get(item)
        status = change.status if change else NEEDS_MORE
        histories.append(
            StatusHistory(
                current_status=status,
                age_s=now_s - first_rated_s[item] if item in first_rated_s else 0.0,
                jury_finding=verdicts.get(item, ""),
                is_weakened=status in DECIDED_STATUSES and bool(state.weakened.get(item)),
                two_sides=crowd.two_sides,
                has_enough_ratings=bool(evidence.counts[number] >= quorum),
            )
        )
    return histories


def _count_uncounted(state: LogState, table: RatingTable) -> dict[str, dict[str, int]]:
    """Return the number of ratings of each item that do not count, by reason."""
    counts: dict[str, dict[str, int]] = {}
    for rating in state.ratings:
        number = table.rater_index.get(rating.actor)
        if rating.actor not in table.standing:
            reason = "new_account"
        elif number is not None and table.representative[number] != number:
            reason = "copy"
        else:
            continue
        by_reason = counts.setdefault(rating.item, {})
        by_reason[reason] = by_reason.get(reason, 0) + 1
    return counts


def _build_side_result(side: int, number: int, evidence: ItemEvidence, labels: ItemLabels, chances: Floats) -> SideResult:
    return SideResult(
        ratings=float(evidence.side_counts[side, number]),
        approval=float(evidence.side_approvals[side, number]),
        estimate=float(labels.estimates[side, number]),
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


def _build_pairs(
    state: LogState, table: RatingTable, fits: ModelFits, degree: float, p: ConsensusParameters
) -> tuple[ConsensusPair, ...]:
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
    weights = influence_weights(numbers[:, 0], len(table.rater_index), p.defences)
    comparisons = ComparisonArrays(
        numbers[:, 0],
        numbers[:, 1],
        numbers[:, 2],
        np.array([row[3] for row in rows]),
        np.ones(len(rows)) if weights is None else weights,
    )
    item_ids = list(table.item_index)
    counts: dict[tuple[str, str], int] = {}
    for _, winner, loser in numbers:
        first, second = sorted((item_ids[winner], item_ids[loser]))
        counts[first, second] = counts.get((first, second), 0) + 1
    keys = sorted(counts)
    a, b = (np.array([table.item_index[key[k]] for key in keys], dtype=np.int64) for k in (0, 1))
    pooled = pooled_strengths(comparisons, len(item_ids), p.pairs)
    strengths = side_strengths(comparisons, fits.sides, fits.predict_item_means(), p.pairs)
    by_side = shrunk_odds(strengths, count_raters_by_side(table.ratings, fits.sides), a, b, p.pairs)
    odds = blend_odds(pooled[a] - pooled[b], by_side, degree)
    return tuple(build_pair(*key, (float(odds[0, k]), float(odds[1, k])), counts[key]) for k, key in enumerate(keys))


def _count_raters(state: LogState, table: RatingTable, fits: ModelFits) -> dict[str, int]:
    actors = {act.actor for act in (*state.ratings, *state.comparisons)}
    return {
        "seen": len(actors),
        "counted": int(np.sum(fits.sides >= 0)),
        "collapsed": int(np.sum(table.representative != np.arange(len(table.representative)))),
        "side_0": int(np.sum(fits.sides == 0)),
        "side_1": int(np.sum(fits.sides == 1)),
    }
