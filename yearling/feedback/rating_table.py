"""Turns the state of the log into arrays: the raters who count, merged near-duplicates, and the ratings to fit.

Also computes the two fits over such a table. Raters and items are numbered by their first act, so that names change nothing.

Legend: R entries, U raters, N items, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from yearling.feedback.defences import (
    COUNT_AT_ONCE,
    DefenceParameters,
    RatingOrComparison,
    accounts_with_standing,
    find_near_duplicates,
    influence_weights,
)
from yearling.feedback.events import Comparison, LogState
from yearling.feedback.exact_arithmetic import Floats, Mask, exact_mean
from yearling.feedback.rater_model import WEIGHT_STEPS, FitParameters, RaterModel, SparseRatings, fit_rater_model

Sides = npt.NDArray[np.int8]

NEW_ACCOUNT = "account that does not count yet"
COPY = "history nearly the same as another's"
"""Reasons why acts are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class RatingTable:
    """The acts that count, as arrays. `rater_index` (U) and `item_index` (N) map ids to numbers, in order of the first act."""

    rater_index: dict[str, int]
    item_index: dict[str, int]
    ratings: SparseRatings
    """The entries that the rater model is fitted to, one for each (rater, item)."""
    is_rating: Mask
    """(R,) Entries that are ratings. The others are shares of comparisons won."""
    representative: npt.NDArray[np.int64]
    """(U,) The rater that represents this one: the earliest near-duplicate, or the rater itself."""
    standing: frozenset[str]
    """The accounts whose acts count, copies included."""
    voices: Floats
    """(U,) The weight of each rater's ratings as evidence: 1, but less for very active accounts that nobody invited."""

    def counted_ratings(self) -> SparseRatings:
        """Return the entries that are ratings, weighted by their raters' voices."""
        ratings = self.ratings.select(self.is_rating)
        return replace(ratings, weights=self.voices[ratings.raters])


@dataclass(frozen=True, slots=True, eq=False)
class ModelFits:
    """The two models fitted to the same raters, and the sides that they give."""

    axis: RaterModel
    prediction: RaterModel
    sides: Sides
    """(U,) 0 or 1; −1 for raters without entries in this fit."""

    def predict_item_means(self) -> Floats:
        """Return (S, N) predicted mean ratings of each item by each side."""
        return np.array([self.prediction.predict_item_means(self.sides == side) for side in (0, 1)])


def build_rating_table(state: LogState, parameters: DefenceParameters) -> tuple[RatingTable, dict[str, int]]:
    """Number and merge the acts that count. Returns the table, and the number of acts left out by reason."""
    acts: list[RatingOrComparison] = sorted((*state.ratings, *state.comparisons), key=lambda act: (act.created_utc, act.id))
    item_index: dict[str, int] = {}
    for act in acts:
        for item in (act.left, act.right) if isinstance(act, Comparison) else (act.item,):
            item_index.setdefault(item, len(item_index))
    for note in state.notes:
        item_index.setdefault(note.note, len(item_index))
    authors = {note.note: note.actor for note in state.notes} | {edit.result: edit.actor for edit in state.edits}
    standing = accounts_with_standing(acts, state.admissions, authors, parameters)
    rater_index: dict[str, int] = {}
    for act in acts:
        rater_index.setdefault(act.actor, len(rater_index))
    table = _merge_acts([act for act in acts if act.actor in standing], rater_index, item_index, standing)
    bases = [state.admissions.get(rater) for rater in rater_index]
    is_invited = np.array([basis == "invitation" for basis in bases], dtype=np.bool_)
    is_chosen = np.array([basis in COUNT_AT_ONCE for basis in bases], dtype=np.bool_)
    table, num_collapsed = _collapse_near_duplicates(table, is_invited, parameters)
    table = replace(table, voices=evidence_voices(table.ratings, is_chosen))
    dropped = {
        NEW_ACCOUNT: sum(act.actor not in standing for act in acts),
        COPY: num_collapsed,
    }
    return table, {reason: count for reason, count in dropped.items() if count}


def _merge_acts(
    acts: Sequence[RatingOrComparison], rater_index: dict[str, int], item_index: dict[str, int], standing: frozenset[str]
) -> RatingTable:
    """Make one entry for each (rater, item): the rating if there is one, or else the share of comparisons won, in eighths."""
    rated: dict[tuple[int, int], float] = {}
    comparisons: dict[tuple[int, int], list[float]] = {}
    for act in acts:
        rater = rater_index[act.actor]
        if isinstance(act, Comparison):
            left_share = {"left": 1.0, "right": 0.0, "tie": 0.5}[act.outcome]
            for item, share in ((act.left, left_share), (act.right, 1.0 - left_share)):
                entry = comparisons.setdefault((rater, item_index[item]), [0.0, 0.0])
                entry[0] += share
                entry[1] += 1.0
        else:
            rated[rater, item_index[act.item]] = act.value
    shares = {key: entry for key, entry in comparisons.items() if key not in rated}
    keys = np.array([*rated, *shares], dtype=np.int32).reshape(-1, 2)
    values = list(rated.values())
    values += [round(WEIGHT_STEPS * wins / num_comparisons) / WEIGHT_STEPS for wins, num_comparisons in shares.values()]
    is_rating = np.zeros(len(keys), dtype=np.bool_)
    is_rating[: len(rated)] = True
    ratings = SparseRatings(keys[:, 0], keys[:, 1], np.array(values, dtype=np.float64), len(rater_index), len(item_index))
    num_raters = len(rater_index)
    return RatingTable(rater_index, item_index, ratings, is_rating, np.arange(num_raters), standing, np.ones(num_raters))


def evidence_voices(ratings: SparseRatings, is_chosen: Mask) -> Floats:
    """Return (U,) the voices of the raters: their weights in the fit, but 1 for those in `is_chosen` (U,)."""
    voices = np.ones(ratings.num_raters)
    if ratings.weights is not None:
        voices[ratings.raters] = ratings.weights
    voices[is_chosen] = 1.0
    return voices


def _collapse_near_duplicates(table: RatingTable, is_invited: Mask, p: DefenceParameters) -> tuple[RatingTable, int]:
    """Keep the entries of the earliest near-duplicate only, and cap the weight of very active raters.

    Returns the table and the number of entries left out.
    """
    representative = find_near_duplicates(table.ratings, p, is_invited)
    keep = representative[table.ratings.raters] == table.ratings.raters
    ratings = table.ratings.select(keep)
    ratings = replace(ratings, weights=influence_weights(ratings.raters, ratings.num_raters, p))
    return replace(table, ratings=ratings, is_rating=table.is_rating[keep], representative=representative), int(np.sum(~keep))


def fit_models(ratings: SparseRatings, axis_fit: FitParameters, prediction_fit: FitParameters) -> ModelFits:
    """Fit the axis and the prediction, and assign each rater to a side by the sign of the axis.

    Raters without a position, because everybody agrees or nothing distinguishes them, are assigned to the smaller side in turn.
    The two-sided rule then checks one half of them against the other.
    """
    axis = fit_rater_model(ratings, axis_fit)
    prediction = fit_rater_model(ratings, prediction_fit)
    sides = np.full(ratings.num_raters, -1, dtype=np.int8)
    taking_part = np.bincount(ratings.raters, minlength=ratings.num_raters) > 0
    position = _axis_positions(axis.rater_factors[:, 0], taking_part)
    sides[taking_part & (position > 0)] = 0
    sides[taking_part & (position < 0)] = 1
    sizes = [int(np.sum(sides == 0)), int(np.sum(sides == 1))]
    for rater in np.flatnonzero(taking_part & (position == 0)):
        side = 0 if sizes[0] <= sizes[1] else 1
        sides[rater] = side
        sizes[side] += 1
    return ModelFits(axis, prediction, sides)


def _axis_positions(factor: Floats, taking_part: Mask) -> Floats:
    """Return (U,) positions on the axis.

    If all but one rater lie on one side of zero, the factor separates items and not raters. Positions are then relative to the
    mean of the raters, and raters indistinguishable from the mean have position 0.
    """
    smaller = min(int(np.sum(taking_part & (factor > 0))), int(np.sum(taking_part & (factor < 0))))
    if smaller >= 2 or not taking_part.any():
        return factor
    position = factor - exact_mean(factor[taking_part])
    return np.where(np.abs(position) < 1e-3, 0.0, position)


def count_raters_by_side(ratings: SparseRatings, sides: Sides) -> Floats:
    """Return (S, N) numbers of raters of each side who rated or compared an item, with the weights of the influence cap."""
    weights = np.ones(ratings.size) if ratings.weights is None else ratings.weights
    on_side = [sides[ratings.raters] == side for side in (0, 1)]
    return np.array([np.bincount(ratings.items[m], weights[m], ratings.num_items) for m in on_side])
