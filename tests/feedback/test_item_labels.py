"""Labels for any number of people: no cliff, no order, bounded influence; and the visible division against brute force."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from yearling.feedback.consensus import evaluate_items, prepare_labels
from yearling.feedback.exact_arithmetic import Floats, Ints
from yearling.feedback.item_labels import DECIDED, NOTHING_DECIDED, PEOPLE_ARE_DIVIDED, normal_cdf
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import SparseRatings
from yearling.feedback.rating_table import RatingTable, fit_models
from yearling.feedback.visible_division import (
    VisibleDivision,
    _compare_with_chance,
    _pair_products,
    _shared_by_centring,
    measure_visible_division,
)

P = ConsensusParameters()


@dataclass(frozen=True)
class Labels:
    labels: Ints
    q: Floats
    weights: Floats
    estimates: Floats
    reasons: tuple[str, ...]
    division: VisibleDivision


def label_items(ratings: SparseRatings) -> Labels:
    """Label a table in which everybody counts, as a run of the consensus does."""
    raters, items = ({str(k): k for k in range(count)} for count in (ratings.num_raters, ratings.num_items))
    every = np.ones(ratings.size, dtype=np.bool_)
    judged = RatingTable(
        raters, items, ratings, every, np.arange(ratings.num_raters), frozenset(raters), np.ones(ratings.num_raters)
    )
    fits = fit_models(ratings, P.axis, P.prediction)
    basis, division = prepare_labels(judged, fits, np.ones(ratings.num_raters, dtype=np.bool_), P)
    _, found, _ = evaluate_items(judged, basis, P)
    return Labels(found.labels, found.q, found.weights, found.estimates, found.reasons, division)


def table(rows: list[tuple[int, int, float]], num_items: int = 12) -> SparseRatings:
    """Return the ratings of rows (rater, item, value)."""
    numbers = np.array([row[:2] for row in rows], dtype=np.int32).reshape(-1, 2)
    values = np.array([row[2] for row in rows], dtype=np.float64)
    num_raters = int(numbers[:, 0].max()) + 1 if rows else 0
    return SparseRatings(numbers[:, 0], numbers[:, 1], values, num_raters, num_items)


def unanimous(num_people: int, num_items: int = 12) -> list[tuple[int, int, float]]:
    return [(u, i, 1.0 if i % 3 else 0.0) for u in range(num_people) for i in range(num_items)]


def divided(num_people: int, num_items: int = 30, noise: float = 0.0, seed: int = 0) -> list[tuple[int, int, float]]:
    """Two camps of equal size: everybody likes the first ten items, each camp likes ten of the others."""
    generator = np.random.default_rng(seed)
    rows = []
    for u, i in itertools.product(range(num_people), range(num_items)):
        likes = i < 10 or (i % 2 == u % 2)
        rows.append((u, i, float(likes != bool(generator.random() < noise))))
    return rows


def test_normal_cdf_agrees_with_a_reference() -> None:
    x = np.linspace(-9.0, 9.0, 1001)
    np.testing.assert_allclose(normal_cdf(x), norm.cdf(x), atol=1e-11)


@pytest.mark.parametrize("num_people", range(1, 16))
def test_one_more_person_who_agrees_removes_no_label_and_lowers_no_weight(num_people: int) -> None:
    fewer, more = label_items(table(unanimous(num_people))), label_items(table(unanimous(num_people + 1)))
    assert np.all(fewer.labels != 0)
    np.testing.assert_array_equal(fewer.labels, more.labels)
    assert np.all(more.weights >= fewer.weights - 1e-9)


def test_a_fifth_person_with_one_rating_removes_nothing() -> None:
    """Four people with 48 unanimous ratings and a fifth with one: no cliff where people join."""
    four = label_items(table(unanimous(4)))
    five = label_items(table([*unanimous(4), (4, 1, 1.0)]))
    np.testing.assert_array_equal(four.labels, five.labels)
    assert np.all(five.q[four.labels > 0] >= four.q[four.labels > 0])
    assert np.all(five.q >= four.q - 0.002)


def test_one_voice_alone_weighs_at_most_three_fifths() -> None:
    alone = label_items(table([(0, i, 1.0) for i in range(12)]))
    assert np.all(alone.labels == 1)
    assert 0.0 < float(alone.weights.max()) <= 0.6


rating_rows = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 11), st.sampled_from([0.0, 0.5, 1.0])), max_size=60, unique_by=lambda row: row[:2]
)


@given(rating_rows, st.data())
def test_an_agreeing_judgement_lowers_no_q_of_its_item_by_more_than_a_trace(
    rows: list[tuple[int, int, float]], data: st.DataObject
) -> None:
    labels = label_items(table(rows))
    known = {row[:2] for row in rows}
    free = [(u, i) for u in range(8) for i in np.flatnonzero(labels.labels).tolist() if (u, i) not in known]
    if not free:
        return
    rater, item = data.draw(st.sampled_from(free))
    agreeing = label_items(table([*rows, (rater, item, 1.0 if labels.labels[item] > 0 else 0.0)]))
    assert agreeing.labels[item] == labels.labels[item]
    assert agreeing.q[item] >= labels.q[item] - 0.002


@given(rating_rows, st.randoms(use_true_random=False))
def test_order_changes_nothing(rows: list[tuple[int, int, float]], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert_equal(label_items(table(rows)), label_items(table(shuffled)))


def assert_equal(a: Labels, b: Labels) -> None:
    for name in ("labels", "q", "weights", "estimates"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert (a.reasons, a.division) == (b.reasons, b.division)


@pytest.mark.parametrize("num_people", [24, 60])
def test_names_change_nothing(num_people: int) -> None:
    rows = divided(num_people, noise=0.1)
    raters = np.random.default_rng(1).permutation(num_people)
    items = np.random.default_rng(2).permutation(30)
    renamed = label_items(table([(int(raters[u]), int(items[i]), value) for u, i, value in rows], 30))
    original = label_items(table(rows, 30))
    np.testing.assert_array_equal(original.labels, renamed.labels[items])
    np.testing.assert_allclose(original.q, renamed.q[items], atol=2e-3)


def test_where_people_divide_only_what_both_sides_like_is_labelled() -> None:
    labels = label_items(table(divided(60, noise=0.1), 30))
    assert labels.division.degree > 0.5
    assert np.all(labels.labels[:10] == 1)
    assert np.all(labels.labels[10:] == 0)
    assert {labels.reasons[i] for i in range(10)} == {DECIDED}
    assert {labels.reasons[i] for i in range(10, 30)} <= {PEOPLE_ARE_DIVIDED, NOTHING_DECIDED}
    assert PEOPLE_ARE_DIVIDED in labels.reasons


@pytest.mark.parametrize(("num_people", "share_rated"), [(100, 0.5), (300, 0.5), (1000, 0.25)])
def test_an_undivided_community_shows_no_division(num_people: int, share_rated: float) -> None:
    """Also one whose people rate ten answers each: the bias taken off each rater makes their residuals alike."""
    generator = np.random.default_rng(3)
    taste, leaning = generator.uniform(0.2, 0.9, 40), generator.normal(0.0, 0.1, num_people)
    rows = [
        (u, i, float(generator.random() < taste[i] + leaning[u]))
        for u in range(num_people)
        for i in range(40)
        if generator.random() < share_rated
    ]
    division = measure_visible_division(table(rows, 40))
    assert abs(division.distance) < 3.0
    assert division.degree <= 0.09


def test_expected_joint_deviation_is_the_mean_over_all_deals() -> None:
    """Three raters, three items: every way of dealing each item's residuals to its raters, weighed equally."""
    rows = [(u, i, 0.0) for u in range(3) for i in range(3) if (u, i) != (2, 2)]
    ratings = table(rows, 3)
    residuals = np.rint(np.random.default_rng(4).normal(size=len(rows)) * 2.0**10) / 2.0**13
    by_item = [np.flatnonzero(ratings.items == i) for i in range(3)]
    joint = []
    for deal in itertools.product(*(itertools.permutations(entries) for entries in by_item)):
        dealt = residuals.copy()
        for entries, order in zip(by_item, deal, strict=True):
            dealt[entries] = residuals[list(order)]
        dense = np.zeros((3, 3))
        dense[ratings.raters, ratings.items] = dealt
        products = dense @ dense.T
        joint.append(float(np.sum(products**2) - np.sum(np.diag(products) ** 2)))
    dense = np.zeros((3, 3))
    dense[ratings.raters, ratings.items] = residuals
    products = dense @ dense.T
    observed = float(np.sum(products**2) - np.sum(np.diag(products) ** 2))
    _, correlation = _compare_with_chance(ratings, residuals, 0.15)
    common = np.zeros((3, 3))
    common[ratings.raters, ratings.items] = 1.0
    shared = common @ common.T
    scale = float(np.sum(shared**2) - np.sum(np.diag(shared) ** 2)) * float(np.mean(residuals**2)) ** 2
    ones = np.ones(ratings.size)
    centring = _shared_by_centring(ratings, _pair_products(ratings, ones, ones), residuals * residuals, 0.15)
    assert correlation * scale == pytest.approx(observed - float(np.mean(joint)) - centring, abs=1e-7)


def test_no_ratings_give_no_labels() -> None:
    labels = label_items(table([], 3))
    assert labels.labels.tolist() == [0, 0, 0]
    assert labels.reasons == (NOTHING_DECIDED,) * 3
