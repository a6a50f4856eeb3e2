"""Checks the statistical guarantees of gates and canaries: simulated outcomes pass through the functions that decide real gates.

The simulation draws pass/fail pairs with a given share of discordant pairs; `NUM_PAIRS` is the size of IFEval. Each check states
its guarantee, so that `yearling bench gates` can fail. Nothing here is tuned: another seed gives another sample.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.gates.sequential import false_stop_probability, find_stopping_pairs
from yearling.evals.paired_tests import PairedTestLevels, PairedTestResult, paired_test_from_counts
from yearling.evals.statistics import holm_adjust, mcnemar_test
from yearling.release.gate_rules import GateRule, GateRules
from yearling.release.gates import GateEvidence, PairedEvidence, decide

NUM_PAIRS = 541
LEVELS = PairedTestLevels()
DISCORDANT_FRACTION = 0.2


@dataclass(frozen=True, slots=True)
class GuaranteeCheck:
    """One guarantee and its simulated value. `gates` is the number of simulations, 0 for an exact calculation."""

    what: str
    found: float
    promised: str
    kept: bool
    gates: int


def check_guarantees(*, gates: int = 1000, seed: int = 0) -> Iterator[GuaranteeCheck]:
    """Yield a check for each guarantee, from `gates` simulations."""
    rng = np.random.default_rng(seed)
    for target, guard, what, bound, at_most in (
        (0.0, None, "A/A, one target: ALLOW", 0.05, True),
        (0.0, 0.0, "A/A, one target and one guard: ALLOW", 0.05, True),
        (0.05, None, "+5 points: ALLOW", 0.80, False),
        (0.05, -0.05, "+5 points, guard −5 points: blocked", 0.95, False),
    ):
        allowed = sum(_simulate_gate(rng, [target], [] if guard is None else [guard]) == "ALLOW" for _ in range(gates)) / gates
        found = 1 - allowed if what.endswith("blocked") else allowed
        yield _check_bound(f"{what} (n = {NUM_PAIRS})", found, bound, at_most, gates)
    for difference, what, bound, at_most in ((0.0, "A/A", 0.05, True), (0.05, "+5 points", 0.80, False)):
        yield _check_bound(f"{what}, one target: ALLOW, exact", allow_probability(difference), bound, at_most, 0)
    several = sum(_simulate_gate(rng, [0.0] * 5, []) == "ALLOW" for _ in range(gates)) / gates
    yield _check_bound(f"A/A, five targets, Holm: ALLOW (n = {NUM_PAIRS})", several, 0.05, True, gates)
    yield from _check_canaries(rng, gates)


def _check_bound(what: str, found: float, bound: float, at_most: bool, gates: int, unit: str = "") -> GuaranteeCheck:
    promised = f"{'≤' if at_most else '≥'} {bound:g}{unit}"
    return GuaranteeCheck(what, found, promised, found <= bound if at_most else found >= bound, gates)


def allow_probability(
    difference: float, *, n: int = NUM_PAIRS, discordant: float = DISCORDANT_FRACTION, alpha: float = 0.05
) -> float:
    """Return the exact probability that a gate with one target allows, summed over all outcomes of `n` pairs."""
    from scipy.stats import binom

    rate = (discordant + difference) / 2 / discordant
    probability = 0.0
    for m in range(1, n + 1):
        needed = _fewest_allowing_wins(m, alpha)
        probability += float(binom.pmf(m, n, discordant) * binom.sf(needed - 1, m, rate))
    return probability


def _fewest_allowing_wins(discordant: int, alpha: float) -> int:
    """By binary search, since p falls as wins rise; one more than `discordant` where no number of wins allows."""
    lowest = discordant // 2
    candidates = range(lowest, discordant + 1)
    return lowest + bisect_left(candidates, True, key=lambda wins: mcnemar_test(wins, discordant - wins) <= alpha)


def _draw_pair_counts(rng: np.random.Generator, difference: float) -> tuple[int, int]:
    win_rate = (DISCORDANT_FRACTION + difference) / 2
    wins, losses, _ = rng.multinomial(NUM_PAIRS, [win_rate, win_rate - difference, 1 - DISCORDANT_FRACTION])
    return int(wins), int(losses)


def _simulate_gate(rng: np.random.Generator, targets: Sequence[float], guards: Sequence[float]) -> str:
    """The decision of a gate with these true differences on its targets and guards."""
    paired = {
        f"{role}-{number}": (role, _draw_pair_counts(rng, difference))
        for role, differences in (("target", targets), ("guard", guards))
        for number, difference in enumerate(differences)
    }
    tests = {name: paired_test_from_counts(*counts, NUM_PAIRS, LEVELS) for name, (_, counts) in paired.items()}
    adjusted = holm_adjust({name: test.p_better for name, test in tests.items() if name.startswith("target")})
    rules = GateRules(
        version=1,
        sha256="",
        rules=tuple(GateRule(id=name, version=1, kind="exam", role=role, exam=name) for name, (role, _) in paired.items()),  # type: ignore[arg-type]
    )
    by_rule = {name: _evidence(test, adjusted.get(name, test.p_better)) for name, test in tests.items()}
    return decide(rules, GateEvidence(champion="a", challenger="b", by_rule=by_rule)).decision


def _evidence(test: PairedTestResult, p_better: float) -> PairedEvidence:
    return PairedEvidence(
        n=test.n,
        difference=test.difference,
        p_better=p_better,
        p_worse=test.p_worse,
        p_tolerable=test.p_tolerable,
        detectable=test.detectable,
    )


def _check_canaries(rng: np.random.Generator, gates: int) -> Iterator[GuaranteeCheck]:
    num_pairs = 5000

    def draw_flags(rate: float, pairs: int) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        return rng.random((gates, pairs), dtype=np.float32) < rate

    champion, challenger = draw_flags(0.02, num_pairs), draw_flags(0.02, num_pairs)
    stopped = float((find_stopping_pairs(champion, challenger) > 0).mean())
    yield _check_bound(f"canary 2 % and 2 %, evaluated after each of {num_pairs} pairs: false stop", stopped, 0.05, True, gates)
    mixture = float((find_stopping_pairs(champion, challenger, mixture=True) > 0).mean())
    yield _check_bound("the same by a mixture SPRT: false stop", mixture, 0.05, True, gates)
    yield _check_bound("false stop, exact, however long", false_stop_probability(), 0.05, True, 0)
    champion, challenger = draw_flags(0.02, 2000), draw_flags(0.06, 2000)
    stops = find_stopping_pairs(champion, challenger)
    median = float(np.median(np.where(stops > 0, stops, np.inf)))
    yield _check_bound("canary 2 % → 6 %: median pairs until it stops", median, 200, True, gates)
    slow = find_stopping_pairs(champion, challenger, mixture=True)
    slow_median = float(np.median(np.where(slow > 0, slow, np.inf)))
    yield GuaranteeCheck("the same by a mixture SPRT: median pairs", slow_median, "for comparison", True, gates)
