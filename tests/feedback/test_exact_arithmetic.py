"""The arithmetic that must give the same result on every machine."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from yearling.feedback import exact_arithmetic as exact


def test_functions_agree_with_a_reference() -> None:
    x = np.random.default_rng(0).uniform(1e-6, 50.0, 5000)
    np.testing.assert_allclose(exact.log(x), np.log(x), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(exact.exp(x - 25.0), np.exp(x - 25.0), rtol=1e-13)
    np.testing.assert_allclose(exact.log_gamma(x), special.gammaln(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(exact.sigmoid(x - 25.0), special.expit(x - 25.0), rtol=1e-13)


def test_beta_cdf_agrees_with_a_reference() -> None:
    generator = np.random.default_rng(1)
    a = generator.uniform(0.3, 900.0, 3000)
    b = a * generator.uniform(0.3, 3.0, 3000)
    for x in (0.3, 0.5, 0.6):
        np.testing.assert_allclose(exact.beta_cdf(a, b, x), special.betainc(a, b, x), atol=1e-10)


def test_beta_cdf_of_an_element_does_not_depend_on_its_neighbours() -> None:
    a, b = np.array([3.5, 400.0, 0.5]), np.array([2.5, 380.0, 90.0])
    together = exact.beta_cdf(a, b, 0.5)
    alone = [float(exact.beta_cdf(a[k : k + 1], b[k : k + 1], 0.5)[0]) for k in range(3)]
    assert together.tolist() == alone


def test_beta_cdf_of_huge_counts_is_a_probability() -> None:
    chances = exact.beta_cdf(np.array([1e6, 5e5]), np.array([5e5, 1e6]), 0.5)
    assert chances[0] < 1e-6
    assert chances[1] > 1.0 - 1e-6


@given(st.lists(st.floats(-8.0, 8.0), max_size=60), st.randoms(use_true_random=False))
def test_exact_sum_does_not_depend_on_the_order(numbers: list[float], shuffler: random.Random) -> None:
    shuffled = numbers.copy()
    shuffler.shuffle(shuffled)
    assert exact.exact_sum(np.array(numbers)) == exact.exact_sum(np.array(shuffled))


def test_pseudo_random_numbers_depend_on_position_and_seed_only() -> None:
    assert exact.pseudo_random_uint64(5, 3).tolist() == exact.pseudo_random_uint64(9, 3)[:5].tolist()
    assert exact.pseudo_random_uint64(5, 3).tolist() != exact.pseudo_random_uint64(5, 4).tolist()
    start = exact.pseudo_random_symmetric(10_000, 0)
    assert -1.0 <= float(start.min()) < -0.99
    assert abs(float(start.mean())) < 0.03
