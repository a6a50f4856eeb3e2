"""Updates the result of one item after new ratings, with the raters' sides frozen as the last full run left them.

Without new events, the result equals that of the full run to the last bit. The next full run does not depend on updates. People
whom the last full run did not know belong to both sides alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from yearling.feedback.consensus import ConsensusResult, LabelBasis, decide_items, run_consensus
from yearling.feedback.events import FeedbackEvent, Rating, fold_events
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import RaterModel, SparseRatings
from yearling.feedback.rating_table import ModelFits, RatingTable
from yearling.feedback.snapshot import ItemResult, Snapshot


def result_without_fits(snapshot: Snapshot | None, p: ConsensusParameters) -> ConsensusResult:
    """Return what stands in for the last full run until its fits are computed: what its labels have in common, and nobody's side.

    Without a snapshot, there was no run yet.
    """
    blank = run_consensus((), p)
    if snapshot is None:
        return blank
    main = replace(blank.main, crowd=snapshot.crowd)
    return replace(blank, snapshot=snapshot, main=main, robust=main)


def update_item_result(
    result: ConsensusResult, item: str, events: Iterable[FeedbackEvent], *, invited: frozenset[str] = frozenset()
) -> ItemResult:
    """Return the provisional result of one item after new events.

    `result` is the last full run. `events` are all events of the log about the item: its ratings, their withdrawals, its juries
    and its changes of status. `invited` are people who count from their first rating. Ratings by other people whom the last full
    run did not count wait for the next one.
    """
    item_log_state = fold_events(events)
    ratings = [rating for rating in item_log_state.ratings if rating.item == item]
    table = _build_item_table(result, item, ratings, invited)
    number = result.table.item_index.get(item, -1)
    num_new = len(table.rater_index) - len(result.fits.sides)
    sides = np.append(result.fits.sides, np.full(num_new, -1, dtype=np.int8))
    fits = ModelFits(_select_item(result.fits.axis, number), _select_item(result.fits.prediction, number), sides)
    main = _extend_basis(result.main, len(table.rater_index))
    robust = main if result.robust is result.main else _extend_basis(result.robust, len(table.rater_index))
    state = replace(
        result.state,
        ratings=tuple(ratings),
        juries=item_log_state.juries or result.state.juries,
        statuses=item_log_state.statuses,
        moves=item_log_state.moves,
        weakened=item_log_state.weakened,
        admissions={**result.state.admissions, **dict.fromkeys(invited, "invitation")},
        actors_since_status_change=result.state.actors_since_status_change | {rating.actor for rating in ratings},
        as_of_utc=max(item_log_state.as_of_utc, result.state.as_of_utc),
    )
    items, _, _, _ = decide_items(state, table, fits, main, robust, result.parameters)
    return items[0]


def _build_item_table(result: ConsensusResult, item: str, ratings: Sequence[Rating], invited: frozenset[str]) -> RatingTable:
    """Return a table of one item with its current ratings by people who count."""
    known = result.table
    standing = known.standing | invited
    rater_index = dict(known.rater_index)
    for rating in ratings:
        if rating.actor in standing:
            rater_index.setdefault(rating.actor, len(rater_index))
    representative = np.append(known.representative, np.arange(len(known.representative), len(rater_index)))
    rows = [
        (rater_index[rating.actor], rating.value)
        for rating in ratings
        if rating.actor in standing and representative[rater_index[rating.actor]] == rater_index[rating.actor]
    ]
    item_ratings = SparseRatings(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.zeros(len(rows), dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.float64),
        len(rater_index),
        1,
    )
    voices = np.append(known.voices, np.ones(len(rater_index) - len(known.voices)))
    return RatingTable(rater_index, {item: 0}, item_ratings, np.ones(len(rows), dtype=np.bool_), representative, standing, voices)


def _extend_basis(basis: LabelBasis, num_raters: int) -> LabelBasis:
    """Return a basis that also knows the raters who came later: they belong to both sides alike."""
    num_new = num_raters - len(basis.shares)
    return replace(
        basis,
        shares=np.append(basis.shares, np.full(num_new, 0.5)),
        keep=np.append(basis.keep, np.ones(num_new, dtype=np.bool_)),
    )


def _select_item(model: RaterModel, number: int) -> RaterModel:
    """Return the model of one item; an item that it does not know, −1, has neither bias nor factors."""
    if number < 0:
        num_factors = model.item_factors.shape[1]
        return replace(model, item_bias=np.zeros(1), item_factors=np.zeros((1, num_factors)))
    return replace(model, item_bias=model.item_bias[number : number + 1], item_factors=model.item_factors[number : number + 1])
