"""Arithmetic that gives the same bytes on every machine, whatever the order of operands, the threads or the processor.

Floating-point sums depend on their order, and `exp` and `log` on the version of the maths library. All code that decides a
status therefore follows two rules:

- **Sums are exact.** Summands are first rounded to multiples of `GRID`. Below 2**53 grid steps, every partial sum of such numbers
  is representable, so any order, any blocking and any fused multiply-add give the same result. The grid is fine (about 1.5e-8):
  it makes sums associative without hiding differences.
- **Elementary functions use only + − × ÷ and square roots**, which IEEE 754 defines to the last bit.

This file knows nothing of ratings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GRID_STEPS_PER_UNIT = 2.0**26
GRID = 1.0 / GRID_STEPS_PER_UNIT

_LN2 = 0.6931471805599453
_HALF_LN_2PI = 0.9189385332046727


def round_to_grid(x: Floats) -> Floats:
    """Return the nearest multiples of `GRID`, ties to even."""
    return np.rint(x * GRID_STEPS_PER_UNIT) * GRID


def exact_sum(x: Floats) -> float:
    """Return the sum of `x` after rounding each summand to the grid. Independent of order as long as |sum| < 2**27."""
    return float(np.sum(round_to_grid(x)))


def exact_mean(x: Floats) -> float:
    """Return the mean by `exact_sum`; 0 for an empty array."""
    return exact_sum(x) / x.size if x.size else 0.0


def splitmix64_finalise(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Apply the finaliser of splitmix64 (Steele et al. 2014), a bijection of 64-bit numbers that separates neighbours."""
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def pseudo_random_uint64(count: int, seed: int) -> npt.NDArray[np.uint64]:
    """Return `count` pseudo-random 64-bit numbers that depend only on their index and on `seed`, not on a library."""
    start = splitmix64_finalise(np.array([seed & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64))
    return splitmix64_finalise(np.arange(count, dtype=np.uint64) ^ start)


def pseudo_random_symmetric(count: int, seed: int) -> Floats:
    """Return `count` pseudo-random multiples of `GRID` in [−1, 1)."""
    bits = (pseudo_random_uint64(count, seed) >> np.uint64(37)).astype(np.float64)
    return bits * GRID - 1.0


def log(x: Floats) -> Floats:
    """Return the natural logarithm of positive numbers: ln(m·2^e) by the series of artanh((m−1)/(m+1))."""
    m, e = np.frexp(x)
    low = m < 0.7071067811865476
    m = np.where(low, m * 2.0, m)
    e = e - low
    s = (m - 1.0) / (m + 1.0)
    s2 = s * s
    series = np.zeros_like(s)
    for k in range(21, -1, -2):
        series = series * s2 + 1.0 / k
    return 2.0 * s * series + e * _LN2


def exp(x: Floats) -> Floats:
    """Return e**x for |x| < 700: a power of two times a Taylor polynomial on |r| ≤ ln2 / 2."""
    n = np.rint(x / _LN2)
    r = x - n * _LN2
    p = np.ones_like(r)
    for k in range(13, 0, -1):
        p = p * r / k + 1.0
    return np.asarray(np.ldexp(p, n.astype(np.int64)), dtype=np.float64)


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + e**−x), without overflow."""
    e = exp(-np.minimum(np.abs(x), 690.0))
    return np.where(x >= 0.0, 1.0 / (1.0 + e), e / (1.0 + e))


def log_gamma(x: Floats) -> Floats:
    """Return ln Γ(x) for x > 0, by Stirling's series after shifting the argument above 8."""
    product = np.ones_like(x)
    y = x.copy()
    for _ in range(8):
        small = y < 8.0
        product = np.where(small, product * y, product)
        y = np.where(small, y + 1.0, y)
    shift = log(product)
    inverse = 1.0 / y
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))))
    return (y - 0.5) * log(y) - y + _HALF_LN_2PI + series - shift


def beta_cdf(a: Floats, b: Floats, x: float) -> Floats:
    """Return P(X ≤ x) for X ~ Beta(a, b), elementwise over a, b > 0, for one 0 < x < 1, to about 1e-12.

    Uses Lentz's continued fraction for the regularised incomplete beta function (DLMF 8.17.22). Larger counts are first scaled
    down to `a + b` = 4,000. This bounds the number of steps and can only make a decision more hesitant.
    """
    total = a + b
    scale = np.where(total > 4000.0, 4000.0 / total, 1.0)
    a, b = a * scale, b * scale
    swap = x > (a + 1.0) / (a + b + 2.0)
    p, q = np.where(swap, b, a), np.where(swap, a, b)
    y = np.where(swap, 1.0 - x, x)
    front = exp(np.maximum(log_gamma(p + q) - log_gamma(p) - log_gamma(q) + p * log(y) + q * log(1.0 - y) - log(p), -690.0))
    value = front * _beta_continued_fraction(p, q, y)
    return np.clip(np.where(swap, 1.0 - value, value), 0.0, 1.0)


def _beta_continued_fraction(p: Floats, q: Floats, y: Floats) -> Floats:
    tiny = 1e-300
    c = np.ones_like(p)
    d = 1.0 / _clamp_away_from_zero(1.0 - (p + q) * y / (p + 1.0), tiny)
    h = d.copy()
    done = np.zeros(p.shape, dtype=np.bool_)
    for numerator in _beta_fraction_numerators(p, q, y):
        d = 1.0 / _clamp_away_from_zero(1.0 + numerator * d, tiny)
        c = _clamp_away_from_zero(1.0 + numerator / c, tiny)
        step = c * d
        # Each element stops on its own, so that its value does not depend on its neighbours.
        h = np.where(done, h, h * step)
        done = done | (np.abs(step - 1.0) < 1e-14)
        if bool(done.all()):
            break
    return h


def _beta_fraction_numerators(p: Floats, q: Floats, y: Floats) -> Iterator[Floats]:
    for m in range(1, 400):
        yield m * (q - m) * y / ((p + (2 * m - 1)) * (p + 2 * m))
        yield -(p + m) * (p + q + m) * y / ((p + 2 * m) * (p + (2 * m + 1)))


def _clamp_away_from_zero(x: Floats, tiny: float) -> Floats:
    return np.where(np.abs(x) < tiny, tiny, x)
