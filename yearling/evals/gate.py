"""May the challenger replace the champion? Decides ALLOW, REJECT or INCONCLUSIVE from paired results.

A *target* exam must show that the challenger is better; of several targets one is enough, with p-values corrected by Holm. A
*guard* exam must show that it is not worse by the margin or more; every guard must, which needs no correction. INCONCLUSIVE
is no permission: only ALLOW is. The verdict changes no model that is served; a person chooses it. This module does not know how
the results came about.
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
    """The levels of a gate. Raises BadInput for levels that no test can have.

    `alpha` bounds both the probability of a false ALLOW and that of a missed regression. `margin` is how much worse, in score, a
    guard may be. `power` is that of the smallest detectable effect that is reported.
    """

    alpha: float = 0.05
    power: float = 0.8
    margin: float = 0.04

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 0.5 and self.alpha < self.power < 1 and 0 < self.margin < 1):
            raise BadInput("A gate needs 0 < alpha < ½, alpha < power < 1 and 0 < margin < 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTestResult:
    """The paired tests of one exam. `p_tolerable` tests against "worse by the margin or more"."""

    n: int
    """Independent units: cases, or clusters of cases."""
    difference: float
    """Mean score of the challenger less that of the champion."""
    p_better: float
    p_worse: float
    p_tolerable: float
    detectable: float
    """The smallest true difference that this many pairs detect with the power of the rule."""
    wins: int
    losses: int
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """The decision on one exam of a gate, with the numbers behind it."""

    exam: str
    role: ExamGateRole
    decision: ExamGateDecision
    p_adjusted: float
    """For the claim of the role (better, or not worse by the margin); that of a target is corrected for the number of targets."""
    paired: PairedTestResult
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The decision of a gate and its findings, targets first."""

    decision: ExamGateDecision
    findings: tuple[GateFinding, ...]
    rule: GateRule


def paired_test_from_counts(wins: int, losses: int, n: int, rule: GateRule | None = None) -> PairedTestResult:
    """Tests on n independent pass/fail pairs: only the challenger passes `wins` of them, only the champion `losses`."""
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
    """Tests on paired scores, one per case and model; cases of one cluster count as one observation.

    Pass/fail scores of independent cases take the exact test. Everything else takes a permutation test and, against the margin, a
    t-test over clusters. Raises BadInput without pairs, or for sequences of different lengths.
    """
    rule = rule or GateRule()
    if not champion or not len(champion) == len(challenger) == len(clusters):
        raise BadInput("A comparison needs at least one pair of scores, and as many scores of one model as of the other.")
    differences = np.asarray(challenger, dtype=np.float64) - np.asarray(champion, dtype=np.float64)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    if len(set(clusters)) == len(clusters) and {*champion, *challenger} <= {0.0, 1.0}:
        return paired_test_from_counts(wins, losses, len(clusters), rule)
    sums, counts = sum_by_cluster(list(differences), clusters)
    # Weighted by the cases of each cluster, so that the mean over clusters is the reported difference.
    weighted = sums / counts.mean()
    return PairedTestResult(
        n=len(sums),
        difference=float(differences.mean()),
        p_better=permutation_test(weighted, seed=seed),
        p_worse=permutation_test(-weighted, seed=seed),
        p_tolerable=t_test(weighted, rule.margin),
        detectable=minimum_detectable_effect(len(sums), float(weighted.var()), alpha=rule.alpha, power=rule.power),
        wins=wins,
        losses=losses,
        test="permutation of units",
    )


def difference_interval(
    champion: Sequence[float], challenger: Sequence[float], clusters: Sequence[str], *, seed: int = 0
) -> Interval:
    """Mean of challenger less champion with a 95 % paired bootstrap interval, resampled by cluster."""
    differences = [new - old for old, new in zip(champion, challenger, strict=True)]
    return bootstrap_ratio_interval(*sum_by_cluster(differences, clusters), seed=seed)


def decide_gate(
    targets: Mapping[str, PairedTestResult], guards: Mapping[str, PairedTestResult], rule: GateRule | None = None
) -> GateResult:
    """The gate's decision. Raises BadInput without a target: being no worse is no reason to ship."""
    rule = rule or GateRule()
    if not targets:
        raise BadInput(
            "A gate needs at least one target: an exam on which the challenger should be better.", advice="Name a target."
        )
    adjusted = holm_adjust({name: paired.p_better for name, paired in targets.items()})
    findings = [_assess_target(name, paired, adjusted[name], rule) for name, paired in targets.items()]
    findings += [_assess_guard(name, paired, rule) for name, paired in guards.items()]
    decisions = {finding.decision for finding in findings}
    all_guards_hold = all(finding.decision == "ALLOW" for finding in findings if finding.role == "guard")
    is_improved = any(finding.decision == "ALLOW" for finding in findings if finding.role == "target")
    decision: ExamGateDecision = (
        "REJECT" if "REJECT" in decisions else "ALLOW" if all_guards_hold and is_improved else "INCONCLUSIVE"
    )
    return GateResult(decision=decision, findings=tuple(findings), rule=rule)


def _assess_target(name: str, paired: PairedTestResult, p: float, rule: GateRule) -> GateFinding:
    decision: ExamGateDecision = "ALLOW" if p <= rule.alpha else "REJECT" if paired.p_worse <= rule.alpha else "INCONCLUSIVE"
    reasons = {
        "ALLOW": "significantly better",
        "REJECT": "significantly worse",
        "INCONCLUSIVE": f"no significant difference; {paired.n} pairs can detect {paired.detectable:.1%} or more",
    }
    return GateFinding(exam=name, role="target", decision=decision, p_adjusted=p, paired=paired, why=reasons[decision])


def _assess_guard(name: str, paired: PairedTestResult, rule: GateRule) -> GateFinding:
    tolerable = paired.p_tolerable <= rule.alpha
    decision: ExamGateDecision = "ALLOW" if tolerable else "REJECT" if paired.p_worse <= rule.alpha else "INCONCLUSIVE"
    reasons = {
        "ALLOW": f"not worse by {rule.margin:.1%}",
        "REJECT": "significantly worse",
        "INCONCLUSIVE": f"a loss of {rule.margin:.1%} is possible; {paired.n} pairs can detect {paired.detectable:.1%} or more",
    }
    return GateFinding(
        exam=name, role="guard", decision=decision, p_adjusted=paired.p_tolerable, paired=paired, why=reasons[decision]
    )
