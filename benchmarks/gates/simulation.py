"""Do the gates keep their promises? Simulated gates through the functions that decide real ones; `yearling bench gates`.

Pass/fail pairs with the given discordance; 541 pairs is IFEval's size. Each line says what was promised, so that the command can
fail. Nothing here is tuned: changing a seed gives another sample of the same truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from yearling.evals.gate import GateRule, decide, pair_counts
from yearling.evals.sequential import false_stop_chance, stopping_pairs
from yearling.evals.statistics import mcnemar

PAIRS = 541
DISCORDANT = 0.2


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One promise and what a simulation found."""

    what: str
    found: float
    promised: str
    kept: bool
    gates: int


def prove(*, gates: int = 1000, seed: int = 0) -> Iterator[ProofLine]:
    """Each promise in turn."""
    rng = np.random.default_rng(seed)
    rule = GateRule()
    for target, guard, what, want, at_most in (
        (0.0, None, "A/A, one target: ALLOW", 0.05, True),
        (0.0, 0.0, "A/A, one target and one guard: ALLOW", 0.05, True),
        (0.05, None, "+5 points: ALLOW", 0.80, False),
        (0.05, -0.05, "+5 points, guard −5 points: blocked", 0.95, False),
    ):
        allowed = sum(_gate(rng, target, guard, rule) == "ALLOW" for _ in range(gates)) / gates
        found = 1 - allowed if what.endswith("blocked") else allowed
        yield _line(f"{what} (n = {PAIRS})", found, want, at_most, gates)
    for difference, what, want, at_most in ((0.0, "A/A", 0.05, True), (0.05, "+5 points", 0.80, False)):
        yield _line(f"{what}, one target: ALLOW, exact", allow_chance(difference), want, at_most, 0)
    several = sum(_several(rng, rule) == "ALLOW" for _ in range(gates)) / gates
    yield _line(f"A/A, five targets, Holm: ALLOW (n = {PAIRS})", several, 0.05, True, gates)
    yield from _sequential(rng, gates)


def _line(what: str, found: float, bound: float, at_most: bool, gates: int, unit: str = "") -> ProofLine:
    promised = f"{'≤' if at_most else '≥'} {bound:g}{unit}"
    return ProofLine(what, found, promised, found <= bound if at_most else found >= bound, gates)


def allow_chance(difference: float, *, n: int = PAIRS, discordant: float = DISCORDANT, alpha: float = 0.05) -> float:
    """Chance that a gate with one target allows, added up over every outcome: what the simulation draws from."""
    from scipy.stats import binom

    rate = (discordant + difference) / 2 / discordant
    chance = 0.0
    for m in range(1, n + 1):
        needed = next((wins for wins in range(m // 2, m + 1) if mcnemar(wins, m - wins) <= alpha), m + 1)
        chance += float(binom.pmf(m, n, discordant) * binom.sf(needed - 1, m, rate))
    return chance


def _pairs(rng: np.random.Generator, difference: float) -> tuple[int, int]:
    won = (DISCORDANT + difference) / 2
    wins, losses, _ = rng.multinomial(PAIRS, [won, won - difference, 1 - DISCORDANT])
    return int(wins), int(losses)


def _gate(rng: np.random.Generator, target: float, guard: float | None, rule: GateRule) -> str:
    targets = {"target": pair_counts(*_pairs(rng, target), PAIRS, rule)}
    guards = {} if guard is None else {"guard": pair_counts(*_pairs(rng, guard), PAIRS, rule)}
    return decide(targets, guards, rule).decision


def _several(rng: np.random.Generator, rule: GateRule) -> str:
    return decide({f"target {i}": pair_counts(*_pairs(rng, 0.0), PAIRS, rule) for i in range(5)}, {}, rule).decision


def _sequential(rng: np.random.Generator, gates: int) -> Iterator[ProofLine]:
    long = 5000

    def flags(rate: float, pairs: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        return rng.random((gates, pairs), dtype=np.float32) < rate

    old, new = flags(0.02, long), flags(0.02, long)
    stopped = float((stopping_pairs(old, new) > 0).mean())
    yield _line(f"canary 2 % and 2 %, looked at after each of {long} pairs: false stop", stopped, 0.05, True, gates)
    mixture = float((stopping_pairs(old, new, mixture=True) > 0).mean())
    yield _line("the same by a mixture SPRT: false stop", mixture, 0.05, True, gates)
    yield _line("false stop, exact, however long", false_stop_chance(), 0.05, True, 0)
    old, new = flags(0.02, 2000), flags(0.06, 2000)
    stops = stopping_pairs(old, new)
    median = float(np.median(np.where(stops > 0, stops, np.inf)))
    yield _line("canary 2 % → 6 %: median pairs until it stops", median, 200, True, gates)
    slow = stopping_pairs(old, new, mixture=True)
    slow_median = float(np.median(np.where(slow > 0, slow, np.inf)))
    yield ProofLine("the same by a mixture SPRT: median pairs", slow_median, "for comparison", True, gates)
