"""From the folded log to arrays: who is admitted, who speaks with one voice, what the fit learns from and what counts.

Also the two fits over such a table and the evidence that they give: what `consensus` decides on. Raters and items are numbered by
their first standing act, so that names change nothing.

Legend: R entries, U raters, N items, S = 2 sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from yearling.feedback import defences
from yearling.feedback.defences import DefenceParameters, RaterExperience, RatingOrComparison
from yearling.feedback.events import Comparison, LogState
from yearling.feedback.exact_arithmetic import Floats, exact_mean
from yearling.feedback.rater_model import WEIGHT_STEPS, FitParameters, RaterModel, SparseRatings, fit_rater_model
from yearling.feedback.status_rules import Evidence

Sides = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class RatingTable:
    """Admitted acts as arrays. Raters (U) and items (N) are numbered by their first standing act."""

    rater_index: dict[str, int]
    item_index: dict[str, int]
    ratings: SparseRatings
    """What the rater model learns from, one entry for each (rater, item)."""
    is_rating: Mask
    """(R,) Entries of `fit` that are ratings rather than shares of wins."""
    counts_as_evidence: Mask
    """(R,) Entries that count for a status: ratings of somebody with enough earlier acts."""
    representative: npt.NDArray[np.int64]
    """(U,) The rater with whom this one speaks with one voice."""
    counted_act_ids: frozenset[str]
    experience: RaterExperience


@dataclass(frozen=True, slots=True, eq=False)
class ModelFits:
    """One fit of both forms over the same raters, with the sides that it finds."""

    axis: RaterModel
    prediction: RaterModel
    sides: Sides
    """(U,) 0 or 1; −1 for raters who do not take part in this fit."""

    def predict_item_means(self) -> Floats:
        """(S, N) Predicted mean rating of each item on each side."""
        return np.array([self.prediction.predict_item_means(self.sides == side) for side in (0, 1)])


def build_rating_table(state: LogState, parameters: DefenceParameters) -> tuple[RatingTable, dict[str, int]]:
    """Admit, number, and merge everybody's acts; with the number of acts left out, by reason."""
    acts: list[RatingOrComparison] = sorted((*state.ratings, *state.comparisons), key=lambda act: (act.created_utc, act.id))
    items: dict[str, int] = {}
    for act in acts:
        for item in (act.left, act.right) if isinstance(act, Comparison) else (act.item,):
            items.setdefault(item, len(items))
    for note in state.notes:
        items.setdefault(note.note, len(items))
    dropped: dict[str, int] = {}
    if parameters.require_vouch:
        allowed = defences.admitted_accounts(state.vouches, parameters)
        dropped["account without a valid vouch"] = sum(act.actor not in allowed for act in acts)
        acts = [act for act in acts if act.actor in allowed]
    known = defences.compute_experience(acts, state.statuses, parameters)
    raters: dict[str, int] = {}
    for act in acts:
        raters.setdefault(act.actor, len(raters))
    seasoned = {rater for rater, count in known.num_earned_acts.items() if count >= parameters.earlier_acts}
    dropped["rater with too few acts so far"] = sum(act.actor not in seasoned for act in acts)
    table = _merge_acts(acts, raters, items, seasoned, known)
    table, collapsed = _collapse_near_duplicates(table, parameters)
    dropped["history nearly the same as another's"] = collapsed
    return table, {reason: count for reason, count in dropped.items() if count}


def _merge_acts(
    acts: Sequence[RatingOrComparison],
    raters: dict[str, int],
    items: dict[str, int],
    experienced_raters: set[str],
    experience: RaterExperience,
) -> RatingTable:
    """One entry for each (rater, item): the rating if there is one, else the share of comparisons won, in eighths."""
    rated: dict[tuple[int, int], tuple[float, bool]] = {}
    won: dict[tuple[int, int], list[float]] = {}
    for act in acts:
        if act.actor not in experienced_raters:
            continue
        rater = raters[act.actor]
        if isinstance(act, Comparison):
            left = {"left": 1.0, "right": 0.0, "tie": 0.5}[act.outcome]
            for item, share in ((act.left, left), (act.right, 1.0 - left)):
                entry = won.setdefault((rater, items[item]), [0.0, 0.0])
                entry[0] += share
                entry[1] += 1.0
        else:
            rated[rater, items[act.item]] = (act.value, act.id in experience.counted_act_ids)
    shares = {key: entry for key, entry in won.items() if key not in rated}
    keys = np.array([*rated, *shares], dtype=np.int32).reshape(-1, 2)
    values = [value for value, _ in rated.values()]
    values += [round(WEIGHT_STEPS * wins / games) / WEIGHT_STEPS for wins, games in shares.values()]
    explicit = np.zeros(len(keys), dtype=np.bool_)
    explicit[: len(rated)] = True
    evidence = explicit.copy()
    evidence[: len(rated)] = [counted for _, counted in rated.values()]
    ratings = SparseRatings(keys[:, 0], keys[:, 1], np.array(values, dtype=np.float64), len(raters), len(items))
    return RatingTable(raters, items, ratings, explicit, evidence, np.arange(len(raters)), experience.counted_act_ids, experience)


def _collapse_near_duplicates(table: RatingTable, p: DefenceParameters) -> tuple[RatingTable, int]:
    """Near-duplicates speak once: entries of all but the earliest are left out. Busy raters are held to the cap."""
    alias = defences.find_near_duplicates(table.ratings, p)
    keep = alias[table.ratings.raters] == table.ratings.raters
    kept = table.ratings.select(keep)
    kept = replace(kept, weights=defences.influence_weights(kept.raters, kept.num_raters, p.influence_cap))
    collapsed = int(np.sum(~keep))
    return replace(
        table,
        ratings=kept,
        is_rating=table.is_rating[keep],
        counts_as_evidence=table.counts_as_evidence[keep],
        representative=alias,
    ), collapsed


def fit_models(ratings: SparseRatings, axis_fit: FitParameters, prediction_fit: FitParameters) -> ModelFits:
    """The axis and the prediction, with each rater's side by the sign of the axis.

    Raters without a position (everybody agrees, or nothing tells them apart) are dealt to the smaller side in turn, so that the
    two-sided rule then checks one half of them against the other.
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
    """(U,) Places on the axis. Where all but one rater stand on one side of zero, the factor tells items apart and not raters:
    places are then taken from the raters' mean, and those indistinguishable from it have none."""
    smaller = min(int(np.sum(taking_part & (factor > 0))), int(np.sum(taking_part & (factor < 0))))
    if smaller >= 2 or not taking_part.any():
        return factor
    position = factor - exact_mean(factor[taking_part])
    return np.where(np.abs(position) < 1e-3, 0.0, position)


def gather_evidence(table: RatingTable, fits: ModelFits) -> Evidence:
    """Counted ratings and approvals of each item by side, beside the model's predictions."""
    f = table.ratings
    counts, approvals, agreements = [], [], []
    full = f.values == 1.0
    for side in (0, 1):
        mine = table.counts_as_evidence & (fits.sides[f.raters] == side)
        counts.append(np.bincount(f.items[mine], minlength=f.num_items))
        approvals.append(np.bincount(f.items[mine], f.values[mine], minlength=f.num_items))
        agreements.append(np.bincount(f.items[mine], full[mine], minlength=f.num_items))
    return Evidence(np.array(counts), np.array(approvals), np.array(agreements), fits.predict_item_means())


def count_raters_by_side(ratings: SparseRatings, sides: Sides) -> Floats:
    """(S, N) People of each side who spoke of an item, by a rating or a comparison; busy ones held to the cap."""
    weights = np.ones(ratings.size) if ratings.weights is None else ratings.weights
    mine = [sides[ratings.raters] == side for side in (0, 1)]
    return np.array([np.bincount(ratings.items[m], weights[m], ratings.num_items) for m in mine])


def half_rating_share(table: RatingTable) -> float:
    """How often counting ratings are 0.5."""
    return float(np.mean(table.ratings.values[table.counts_as_evidence] == 0.5)) if table.counts_as_evidence.any() else 0.0
