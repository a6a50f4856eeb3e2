"""Updates the result of one item after new ratings, with the rater side frozen as the last full run left it.

Without new events, the result equals that of the full run to the last bit. The next full run does not depend on updates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from yearling.feedback.consensus import ConsensusResult, decide_items
from yearling.feedback.events import FeedbackEvent, Rating, fold_events
from yearling.feedback.rater_model import RaterModel, SparseRatings, solve_item
from yearling.feedback.rating_table import ModelFits, RatingTable
from yearling.feedback.snapshot import ItemResult


def update_item_result(result: ConsensusResult, item: str, events: Iterable[FeedbackEvent]) -> ItemResult:
    """Return the provisional result of one item after new events.

    `result` is the last full run. `events` are all events of the log about the item's ratings, their withdrawals, and its jury.
    Ratings by people whose side the last full run did not know wait for the next one.
    """
    p, table = result.parameters, result.table
    item_log_state = fold_events(events)
    ratings = [rating for rating in item_log_state.ratings if rating.item == item]
    number = table.item_index.get(item, len(table.item_index))
    item_table = _build_item_table(result, item, number, ratings)
    refits = [_refit_item(fits, item_table.ratings, number) for fits in (result.main_fits, result.robust_fits)]
    main_fits, robust_fits = (
        ModelFits(_select_item(fits.axis, number), _select_item(fits.prediction, number), fits.sides) for fits in refits
    )
    # Renumber the item to 0, the only one in the table on which `decide_items` decides.
    item_ratings = replace(item_table.ratings, items=np.zeros_like(item_table.ratings.items), num_items=1)
    state = replace(
        result.state,
        ratings=tuple(ratings),
        juries=item_log_state.juries or result.state.juries,
        as_of_utc=max(item_log_state.as_of_utc, result.state.as_of_utc),
    )
    items, _, _, _ = decide_items(
        state,
        replace(item_table, item_index={item: 0}, ratings=item_ratings),
        main_fits,
        main_fits if result.robust_fits is result.main_fits else robust_fits,
        p,
    )
    return items[0]


def _build_item_table(result: ConsensusResult, item: str, number: int, ratings: Sequence[Rating]) -> RatingTable:
    """Return the entries of one item: its current ratings, and the shares of comparisons won as of the full run."""
    table, min_acts = result.table, result.parameters.defences.earlier_acts
    full_ratings, experience = table.ratings, table.experience
    known_rating_ids = {rating.id for rating in result.state.ratings}
    rows: list[tuple[int, float, bool, bool]] = []
    for rating in ratings:
        rater = table.rater_index.get(rating.actor)
        if rater is None or table.representative[rater] != rater or experience.num_earned_acts.get(rating.actor, 0) < min_acts:
            continue
        counts = rating.id in experience.counted_act_ids or rating.id not in known_rating_ids
        rows.append((rater, rating.value, True, counts))
    raters = {row[0] for row in rows}
    for entry in np.flatnonzero((full_ratings.items == number) & ~table.is_rating):
        if int(full_ratings.raters[entry]) not in raters:
            rows.append((int(full_ratings.raters[entry]), float(full_ratings.values[entry]), False, False))
    weights = None
    if full_ratings.weights is not None:
        weight_by_rater = np.ones(full_ratings.num_raters)
        weight_by_rater[full_ratings.raters] = full_ratings.weights
        weights = weight_by_rater[[row[0] for row in rows]]
    item_ratings = SparseRatings(
        np.array([row[0] for row in rows], dtype=np.int32),
        np.full(len(rows), number, dtype=np.int32),
        np.array([row[1] for row in rows], dtype=np.float64),
        full_ratings.num_raters,
        max(full_ratings.num_items, number + 1),
        weights,
    )
    is_rating, counts_as_evidence = (np.array([row[k] for row in rows], dtype=np.bool_) for k in (2, 3))
    return replace(
        table,
        item_index={**table.item_index, item: number},
        ratings=item_ratings,
        is_rating=is_rating,
        counts_as_evidence=counts_as_evidence,
    )


def _refit_item(fits: ModelFits, ratings: SparseRatings, number: int) -> ModelFits:
    """Solve one item again in both models, from its entries by raters who take part in this fit."""
    entries = ratings.select(fits.sides[ratings.raters] >= 0)
    raters = entries.raters.astype(np.int64)
    weights = np.ones(entries.size) if entries.weights is None else entries.weights
    models = []
    for model in (fits.axis, fits.prediction):
        bias, factors = solve_item(model, raters, entries.values, weights)
        item_bias, item_factors = model.item_bias, model.item_factors
        if number == len(item_bias):
            item_bias = np.append(item_bias, 0.0)
            item_factors = np.vstack([item_factors, np.zeros((1, item_factors.shape[1]))])
        item_bias, item_factors = item_bias.copy(), item_factors.copy()
        item_bias[number], item_factors[number] = bias, factors
        models.append(replace(model, item_bias=item_bias, item_factors=item_factors))
    return ModelFits(models[0], models[1], fits.sides)


def _select_item(model: RaterModel, number: int) -> RaterModel:
    return replace(model, item_bias=model.item_bias[number : number + 1], item_factors=model.item_factors[number : number + 1])
