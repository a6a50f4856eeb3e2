"""May the challenger replace the champion? ALLOW, REJECT or INCONCLUSIVE from paired results; only ALLOW ever ships.

A *target* must be shown to be better; with several targets one is enough, at levels corrected by Holm. A *guard* must be shown
not to be worse by the margin or more; all must be, which needs no correction. Knows nothing of how the results came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from yearling.errors import BadInput
from yearling.evals.statistics import (
    Interval,
    bootstrap_ratio_interval,
    holm_adjust,
    mcnemar_test,
    minimum_detectable_effect,
    permutation_test,
    sum_by_cluster,
    t_test,
    tango_test,
)

ExamGateDecision = Literal["ALLOW", "REJECT", "INCONCLUSIVE"]
ExamGateRole = Literal["target", "guard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """`margin` is how much worse (in score) a guard may be; the same `alpha` bounds a false ALLOW and a missed regression."""

    alpha: float = 0.05
    power: float = 0.8
    margin: float = 0.04

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 0.5 and self.alpha < self.power < 1 and 0 < self.margin < 1):
            raise BadInput("A gate's alpha lies in (0, ½), its power above alpha, its margin in (0, 1).")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTestResult:
    """What the pairs of one exam say. `p_tolerable` is against "worse by the margin or more"."""

    n: int
    """Independent units: cases, or clusters of cases."""
    difference: float
    p_better: float
    p_worse: float
    p_tolerable: float
    detectable: float
    wins: int
    losses: int
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """One exam's part in a gate."""

    exam: str
    role: ExamGateRole
    decision: ExamGateDecision
    p_adjusted: float
    """Of the claim that the role makes (better; not worse by the margin), corrected for the number of targets."""
    paired: PairedTestResult
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    decision: ExamGateDecision
    findings: tuple[GateFinding, ...]
    rule: GateRule


def paired_test_from_counts(wins: int, losses: int, n: int, rule: GateRule | None = None) -> PairedTestResult:
    """From n independent pass/fail pairs, `wins` of which only the challenger passed and `losses` only the champion."""
    rule = rule or GateRule()
    return PairedTestResult(
        n=n,
        difference=(wins - losses) / n,
        p_better=mcnemar_test(wins, losses),
        p_worse=mcnemar_test(losses, wins),
        p_tolerable=tango_test(wins, losses, n, rule.margin),
        detectable=minimum_detectable_effect(n, (wins + losses) / n, alpha=rule.alpha, power=rule.power),
        wins=wins,
        losses=losses,
        test="exact McNemar",
    )


def paired_test_from_scores(
    champion: Sequence[float],
    challenger: Sequence[float],
    clusters: Sequence[str],
    rule: GateRule | None = None,
    *,
    seed: int = 0,
) -> PairedTestResult:
    """From paired scores, one of each per case; cases of one unit count as one observation. Raises BadInput without pairs.

    Pass/fail scores of independent cases take the exact test, everything else a permutation test and, against the margin, a
    t-test over units.
    """
    rule = rule or GateRule()
    if not champion or not len(champion) == len(challenger) == len(clusters):
        raise BadInput("There are no pairs to compare, or they do not match.")
    differences = np.asarray(challenger, dtype=np.float64) - np.asarray(champion, dtype=np.float64)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    if len(set(clusters)) == len(clusters) and {*champion, *challenger} <= {0.0, 1.0}:
        return paired_test_from_counts(wins, losses, len(clusters), rule)
    sums, counts = sum_by_cluster(list(differences), clusters)
    # Deviations are per unit but weigh by its cases, so that their mean is the difference that is reported.
    weighed = sums / counts.mean()
    return PairedTestResult(
        n=len(sums),
        difference=float(differences.mean()),
        p_better=permutation_test(weighed, seed=seed),
        p_worse=permutation_test(-weighed, seed=seed),
        p_tolerable=t_test(weighed, rule.margin),
        detectable=minimum_detectable_effect(len(sums), float(weighed.var()), alpha=rule.alpha, power=rule.power),
        wins=wins,
        losses=losses,
        test="permutation of units",
    )


def difference_interval(
    champion: Sequence[float], challenger: Sequence[float], clusters: Sequence[str], *, seed: int = 0
) -> Interval:
    """Mean difference with the paired bootstrap interval, clustered by unit."""
    differences = [new - old for old, new in zip(champion, challenger, strict=True)]
    return bootstrap_ratio_interval(*sum_by_cluster(differences, clusters), seed=seed)


def decide_gate(
    targets: Mapping[str, PairedTestResult], guards: Mapping[str, PairedTestResult], rule: GateRule | None = None
) -> GateResult:
    """The gate's decision. Raises BadInput without a target: "not worse" alone is no reason to ship."""
    rule = rule or GateRule()
    if not targets:
        raise BadInput("A gate needs an exam that should get better.", advice="Name at least one target.")
    adjusted = holm_adjust({name: paired.p_better for name, paired in targets.items()})
    findings = [_assess_target(name, paired, adjusted[name], rule) for name, paired in targets.items()]
    findings += [_assess_guard(name, paired, rule) for name, paired in guards.items()]
    decisions = {finding.decision for finding in findings}
    guarded = all(finding.decision == "ALLOW" for finding in findings if finding.role == "guard")
    improved = any(finding.decision == "ALLOW" for finding in findings if finding.role == "target")
    decision: ExamGateDecision = "REJECT" if "REJECT" in decisions else "ALLOW" if guarded and improved else "INCONCLUSIVE"
    return GateResult(decision=decision, findings=tuple(findings), rule=rule)


def _assess_target(name: str, paired: PairedTestResult, p: float, rule: GateRule) -> GateFinding:
    decision: ExamGateDecision = "ALLOW" if p <= rule.alpha else "REJECT" if paired.p_worse <= rule.alpha else "INCONCLUSIVE"
    said = {
        "ALLOW": "better beyond chance",
        "REJECT": "worse beyond chance",
        "INCONCLUSIVE": f"no difference shown; {paired.n} pairs show {paired.detectable:.1%} or more",
    }
    return GateFinding(exam=name, role="target", decision=decision, p_adjusted=p, paired=paired, why=said[decision])


def _assess_guard(name: str, paired: PairedTestResult, rule: GateRule) -> GateFinding:
    tolerable = paired.p_tolerable <= rule.alpha
    decision: ExamGateDecision = "ALLOW" if tolerable else "REJECT" if paired.p_worse <= rule.alpha else "INCONCLUSIVE"
    said = {
        "ALLOW": f"not worse by {rule.margin:.1%}",
        "REJECT": "worse beyond chance",
        "INCONCLUSIVE": f"a loss of {rule.margin:.1%} is not ruled out; {paired.n} pairs show {paired.detectable:.1%} or more",
    }
    return GateFinding(
        exam=name, role="guard", decision=decision, p_adjusted=paired.p_tolerable, paired=paired, why=said[decision]
    )
