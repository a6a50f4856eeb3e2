"""Checks the statistical guarantees of gates and canaries: simulated outcomes pass through the functions that decide real gates.

The simulation draws pass/fail pairs with a given share of discordant pairs; `NUM_PAIRS` is the size of IFEval. Each check states
its guarantee, so that `yearling bench gates` can fail. Nothing here is tuned: another seed gives another sample.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.gates.sequential import false_stop_probability, find_stopping_pairs
from yearling.evals.paired_tests import PairedTestLevels, PairedTestResult, paired_test_from_counts
from yearling.evals.sequential import detection_probability
from yearling.evals.statistics import holm_adjust, mcnemar_test
from yearling.loop.canary import MONITOR_SHARES
from yearling.release import (
    BoundEvidence,
    CanaryRules,
    ClauseBugs,
    GateEvidence,
    GateRule,
    GateRuleRole,
    GateRules,
    IncidentEvidence,
    MeasuredEvidence,
    PairedEvidence,
    RuleEvidence,
    decide,
    default_rules_text,
    parse_rules,
)

NUM_PAIRS = 541
CANARY_PAIRS = 2000
NUM_CLAUSES, ANSWERS_PER_CLAUSE = 14, 8
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
    yield from _check_default_rules(rng, gates)
    yield from _check_bounds(rng, gates)
    yield from check_canaries(rng, gates)


def _check_bound(what: str, found: float, bound: float, at_most: bool, gates: int) -> GuaranteeCheck:
    """A simulated rate may miss its bound by two standard errors of the simulation, which the exact rows show to be chance."""
    error = 2 * math.sqrt(bound * (1 - bound) / gates) if gates and bound < 1 else 0.0
    promised = f"{'≤' if at_most else '≥'} {bound:g}{f' ± {error:.3f}' if error else ''}"
    return GuaranteeCheck(what, found, promised, found <= bound + error if at_most else found >= bound - error, gates)


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
    drawn: tuple[tuple[GateRuleRole, Sequence[float]], ...] = (("target", targets), ("guard", guards))
    paired = {
        f"{role}-{number}": (role, _draw_pair_counts(rng, difference))
        for role, differences in drawn
        for number, difference in enumerate(differences)
    }
    tests = {name: paired_test_from_counts(*counts, NUM_PAIRS, LEVELS) for name, (_, counts) in paired.items()}
    adjusted = holm_adjust({name: test.p_better for name, test in tests.items() if name.startswith("target")})
    rules = GateRules(
        version=1,
        sha256="",
        rules=tuple(GateRule(id=name, version=1, kind="exam", role=role, exam=name) for name, (role, _) in paired.items()),
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


def _check_default_rules(rng: np.random.Generator, gates: int) -> Iterator[GuaranteeCheck]:
    """The rules that Yearling brings, with blind comparisons of two sizes. Everything that is no test of a difference passes."""
    rules = parse_rules(default_rules_text())
    for judgements in (30, 300):
        name = f"default rules, {NUM_PAIRS} instructions and {judgements} judgements"
        for gain, bound, at_most in ((0.0, 0.05, True), (0.05, None, True), (0.10, None, True)):
            allowed = sum(_simulate_default_gate(rng, rules, gain, judgements) == "ALLOW" for _ in range(gates)) / gates
            what = f"{'A/A' if not gain else f'+{100 * gain:g} points on both'}, {name}: ALLOW"
            yield (
                GuaranteeCheck(what, allowed, "for comparison", True, gates)
                if bound is None
                else _check_bound(what, allowed, bound, at_most, gates)
            )


def _simulate_default_gate(rng: np.random.Generator, rules: GateRules, gain: float, judgements: int) -> str:
    """People prefer the better model in (1 + gain)/2 of the comparisons, and both sides agree on each."""
    instructions = _draw_pair_counts(rng, gain)
    wins = int(rng.binomial(judgements, (1 + gain) / 2))
    preference = paired_test_from_counts(wins, judgements - wins, judgements, LEVELS)
    gained = paired_test_from_counts(*instructions, NUM_PAIRS, LEVELS)
    kept = paired_test_from_counts(*instructions, NUM_PAIRS, PairedTestLevels(margin=0.05))
    adjusted = holm_adjust({"preference": preference.p_better, "instructions": gained.p_better})
    passed = MeasuredEvidence(value=0.99, n=10_000, source="simulated")
    by_rule: dict[str, RuleEvidence] = {
        "preference": _evidence(preference, adjusted["preference"]),
        "instructions": _evidence(gained, adjusted["instructions"]),
        "forgetting": _evidence(kept, kept.p_better),
        "bounds": BoundEvidence(clauses=(ClauseBugs("any", 112, 0, 0),), p_more=1.0),
        "worst-case": passed,
        "answers": passed,
        "incidents": IncidentEvidence(num_passed=0, failed=()),
        "kl": MeasuredEvidence(value=0.01, n=10_000, source="simulated"),
        "parity": MeasuredEvidence(value=0.01, n=10_000, source="simulated"),
    }
    return decide(rules, GateEvidence(champion="a", challenger="b", by_rule=by_rule)).decision


def check_canaries(rng: np.random.Generator, gates: int) -> Iterator[GuaranteeCheck]:
    """Champion with 1 % bad answers; both models answer the same prompts; evaluated after every pair."""

    def draw_flags(rate: float, pairs: int = CANARY_PAIRS) -> NDArray[np.bool_]:
        return rng.random((gates, pairs), dtype=np.float32) < rate

    champion, challenger = draw_flags(0.01), draw_flags(0.01)
    what = f"canary 1 % and 1 %, evaluated after each of {CANARY_PAIRS} pairs"
    for mixture in (False, True):
        stopped = float((find_stopping_pairs(champion, challenger, mixture=mixture) > 0).mean())
        yield _check_bound(f"{what}{', mixture SPRT' if mixture else ''}: false stop", stopped, 0.05, True, gates)
    yield _check_bound(f"{what}: false stop, exact", detection_probability(CANARY_PAIRS, 0.01, 0.01), 0.05, True, 0)
    yield _check_bound("false stop, exact, however long", false_stop_probability(), 0.05, True, 0)
    yield _check_bound(f"{what}, all monitors: false stop", _false_stops_of_all_monitors(draw_flags), 0.05, True, gates)
    alpha = CanaryRules().alpha * MONITOR_SHARES["bad_answers"]
    for rate, bound in ((0.02, None), (0.03, None), (0.06, 200.0), (0.10, None)):
        challenger = draw_flags(rate)
        for level, name in ((0.05, "alone"), (alpha, "as one of all monitors")):
            stops = find_stopping_pairs(champion, challenger, alpha=level)
            median = float(np.median(np.where(stops > 0, stops, np.inf)))
            what = f"canary 1 % → {100 * rate:g} %, {name}"
            if bound is None and np.isinf(median):
                pass  # fewer than half of the canaries stop
            elif bound is None:
                yield GuaranteeCheck(f"{what}: median pairs until it stops", median, "for comparison", True, gates)
            else:
                yield _check_bound(f"{what}: median pairs until it stops", median, bound, True, gates)
            seen = float((stops > 0).mean())
            yield GuaranteeCheck(f"{what}: stopped within {CANARY_PAIRS} pairs", seen, "for comparison", True, gates)
    slow = find_stopping_pairs(champion, draw_flags(0.06), mixture=True)
    slow_median = float(np.median(np.where(slow > 0, slow, np.inf)))
    yield GuaranteeCheck("canary 1 % → 6 %, mixture SPRT: median pairs", slow_median, "for comparison", True, gates)


def _false_stops_of_all_monitors(draw_flags: Callable[[float], NDArray[np.bool_]]) -> float:
    """The share of canaries without a difference that any monitor stops; monitors are flagged at very different rates."""
    rates = {"bad_answers": 0.01, "refusals": 0.06, "spec": 0.02, "thumbs": 0.05, "latency": 0.15, "preference": 0.4}
    stopped: NDArray[np.bool_] | None = None
    for name, share in MONITOR_SHARES.items():
        own = find_stopping_pairs(draw_flags(rates[name]), draw_flags(rates[name]), alpha=CanaryRules().alpha * share) > 0
        stopped = own if stopped is None else stopped | own
    return float(stopped.mean()) if stopped is not None else 0.0


def _check_bounds(rng: np.random.Generator, gates: int) -> Iterator[GuaranteeCheck]:
    """The rule `bounds` where a challenger is no worse, but answers some cases anew: how often chance alone breaks a bound."""
    (rule,) = (rule for rule in parse_rules(default_rules_text()).rules if rule.kind == "bounds")
    for changed in (0.05, 0.3):
        for doubtful in (0, rule.doubtful_bugs):
            chosen = replace(rule, doubtful_bugs=doubtful)
            for is_worse in (False, True):
                rejected = sum(_simulate_bounds(rng, chosen, changed, is_worse) == "REJECT" for _ in range(gates)) / gates
                who = "one clause half broken" if is_worse else "no worse"
                what = f"bounds, {who}, {100 * changed:g} % of answers anew, {doubtful} doubtful bugs: REJECT"
                yield GuaranteeCheck(what, rejected, "for comparison", True, gates)


def _simulate_bounds(rng: np.random.Generator, rule: GateRule, changed: float, is_worse: bool) -> str:
    """14 clauses of 8 answers; the rates of bugs spread as those of the default model do (50 of 112 answers)."""
    rates = np.repeat(rng.beta(0.6, 0.9, NUM_CLAUSES), ANSWERS_PER_CLAUSE)
    old = rng.random(rates.size) < rates
    new = np.where(rng.random(rates.size) < changed, rng.random(rates.size) < rates, old)
    by_clause = old.reshape(NUM_CLAUSES, ANSWERS_PER_CLAUSE)
    clean = np.flatnonzero(~by_clause.any(axis=1))
    if is_worse and len(clean):
        new.reshape(NUM_CLAUSES, ANSWERS_PER_CLAUSE)[rng.choice(clean)] = rng.random(ANSWERS_PER_CLAUSE) < 0.5
    bugs = zip(by_clause.sum(axis=1), new.reshape(NUM_CLAUSES, ANSWERS_PER_CLAUSE).sum(axis=1), strict=True)
    clauses = tuple(ClauseBugs(str(at), ANSWERS_PER_CLAUSE, int(a), int(b)) for at, (a, b) in enumerate(bugs))
    evidence = BoundEvidence(clauses=clauses, p_more=mcnemar_test(int((new & ~old).sum()), int((old & ~new).sum())))
    target = GateRule(id="target", version=1, kind="preference", role="target")
    rules = GateRules(version=1, rules=(rule, target), sha256="")
    return decide(rules, GateEvidence(champion="a", challenger="b", by_rule={rule.id: evidence})).decision
