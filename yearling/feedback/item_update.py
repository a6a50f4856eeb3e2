"""The quick answer after one new rating: the rater side stays as the last full run left it, one item is solved again.

With no new events the answer is the full run's to the last bit, and the next full run does not depend on what was answered here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from yearling.feedback.consensus import ConsensusResult, decide_items
from yearling.feedback.events import FeedbackEvent, Rating, fold_events
from yearling.feedback.rater_model import RaterModel, SparseRatings, solve_item
from yearling.feedback.rating_table import ModelFits
from yearling.feedback.snapshot import ItemResult


def update_item_result(result: ConsensusResult, item: str, events: Iterable[FeedbackEvent]) -> ItemResult:
    """One item after new events about it, with the rater side frozen: quick, and provisional until the next full run.

    `events` are all events of the log that concern the item's ratings (with their retractions and removals) and its jury.
    Ratings by somebody whose side the last full run did not know wait for the next one.
    """
    p, table = result.parameters, result.table
    about = fold_events(events)
    votes = [rating for rating in about.ratings if rating.item == item]
    number = table.item_index.get(item, len(table.item_index))
    entries = _build_item_entries(result, number, votes)
    state = replace(
        result.state,
        ratings=tuple(votes),
        juries=about.juries or result.state.juries,
        as_of_utc=max(about.as_of_utc, result.state.as_of_utc),
    )
    one = replace(table, item_index={**table.item_index, item: number}, **entries)
    fits = [_refit_item(f, one.ratings, number) for f in (result.main_fits, result.robust_fits)]
    local = replace(one, item_index={item: 0}, ratings=replace(one.ratings, items=np.zeros_like(one.ratings.items), num_items=1))
    narrowed = [ModelFits(_select_item(f.axis, number), _select_item(f.prediction, number), f.sides) for f in fits]
    items, _, _, _ = decide_items(
        state, local, narrowed[0], narrowed[0] if result.robust_fits is result.main_fits else narrowed[1], p
    )
    return items[0]


def _build_item_entries(result: ConsensusResult, number: int, votes: Sequence[Rating]) -> dict[str, Any]:
    """The item's entries: its ratings as they stand now, and the shares of wins that the full run had."""
    table, needed = result.table, result.parameters.defences.earlier_acts
    seen_before = {rating.id for rating in result.state.ratings}
    rows: list[tuple[int, float, bool, bool]] = []
    for vote in votes:
        rater = table.rater_index.get(vote.actor)
        if rater is None or table.representative[rater] != rater or table.experience.num_earned_acts.get(vote.actor, 0) < needed:
            continue
        counted = vote.id in table.counted_act_ids or vote.id not in seen_before
        rows.append((rater, vote.value, True, counted))
    raters = {row[0] for row in rows}
    f = table.ratings
    for entry in np.flatnonzero((f.items == number) & ~table.is_rating):
        if int(f.raters[entry]) not in raters:
            rows.append((int(f.raters[entry]), float(f.values[entry]), False, False))
    weights = None
    if f.weights is not None:
        by_rater = np.ones(f.num_raters)
        by_rater[f.raters] = f.weights
        weights = by_rater[[row[0] for row in rows]]
    ratings = SparseRatings(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.full(len(rows), number, dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.float64),
        f.num_raters,
        max(f.num_items, number + 1),
        weights,
    )
    flags = [np.array([row[k] for row in rows], dtype=np.bool_) for k in (2, 3)]
    return {"ratings": ratings, "is_rating": flags[0], "counts_as_evidence": flags[1]}


def _refit_item(fits: ModelFits, ratings: SparseRatings, number: int) -> ModelFits:
    """Both models with one item solved again from its entries by raters who take part in this fit."""
    part = ratings.select(fits.sides[ratings.raters] >= 0)
    raters = part.raters.astype(np.int64)
    weights = np.ones(part.size) if part.weights is None else part.weights
    models = []
    for model in (fits.axis, fits.prediction):
        bias, factors = solve_item(model, raters, part.values, weights)
        biases, all_factors = model.item_bias, model.item_factors
        if number == len(biases):
            biases = np.append(biases, 0.0)
            all_factors = np.vstack([all_factors, np.zeros((1, all_factors.shape[1]))])
        biases, all_factors = biases.copy(), all_factors.copy()
        biases[number], all_factors[number] = bias, factors
        models.append(replace(model, item_bias=biases, item_factors=all_factors))
    return ModelFits(models[0], models[1], fits.sides)


def _select_item(model: RaterModel, number: int) -> RaterModel:
    return replace(model, item_bias=model.item_bias[number : number + 1], item_factors=model.item_factors[number : number + 1])
