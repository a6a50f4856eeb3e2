"""May the challenger replace the champion? A pure function from rules and evidence to ALLOW, REJECT or INCONCLUSIVE.

This module computes no statistics and runs no exam: `loop/gating.py` collects the evidence. Only ALLOW is a permission.
INCONCLUSIVE means that nothing is proven, and ships by a recorded override only. A broken floor, bound or budget is not lifted by
any override, and neither is one that was not measured: otherwise leaving out the measurement would be the way around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from yearling.release.gate_rules import GateRule, GateRuleRole, GateRules
from yearling.store import INCIDENT_EXAM

GateDecision = Literal["ALLOW", "REJECT", "INCONCLUSIVE"]

_TIE = 1e-9
"""Two numbers this close, relative to the larger, are equal: rounding alone moves a p-value or a mean by less."""

_ROLE_ORDER: Mapping[GateRuleRole, int] = {"target": 0, "guard": 1, "report": 2}
_EXAMS_OF_KINDS = {"bounds": "spec", "incidents": INCIDENT_EXAM}
_STATISTICS = {"mean": "mean score", "worst": "mean of the worst answers", "answered": "share of cases with an answer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedEvidence:
    """A paired comparison of challenger and champion. The p-values are one-sided, and computed for the levels of the rule."""

    n: int
    """Independent units."""
    difference: float
    """Mean score of the challenger less that of the champion."""
    p_better: float
    """Corrected for the number of targets if the rule is a target."""
    p_worse: float
    p_tolerable: float
    """Against "worse by the margin or more"."""
    detectable: float
    """The smallest true difference that this many units detect with the power of the rule."""
    unit: Literal["pair", "judgement"] = "pair"
    no_power: str = ""
    """Why the result may not decide anything, as a clause of a sentence; empty if it may."""
    runs: tuple[str, ...] = ()
    """Ids of the exam runs, the champion's first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEvidence:
    """One number about the challenger, over `n` cases or tokens."""

    value: float
    n: int
    source: str
    """Where it comes from, in a few words."""
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClauseBugs:
    """How many answers to the cases of one clause were bugs, of as many answers of each model."""

    clause: str
    outputs: int
    champion: int
    challenger: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundEvidence:
    """Bugs by clause, and the one-sided p-value of "the challenger has more bugs than the champion"."""

    clauses: tuple[ClauseBugs, ...]
    p_more: float
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEvidence:
    """The cases of accepted incidents: how many the challenger passed, and the ids of those that it failed."""

    num_passed: int
    failed: tuple[str, ...]
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingEvidence:
    """There is nothing to decide by. `sentence` says what is missing, and which command brings it."""

    sentence: str


RuleEvidence = PairedEvidence | MeasuredEvidence | BoundEvidence | IncidentEvidence | MissingEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class GateEvidence:
    """What is known of two models, by the id of the rule that it is for. Models are named by hash."""

    champion: str
    challenger: str
    by_rule: Mapping[str, RuleEvidence] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFinding:
    """What one rule says, with its reason in one sentence."""

    rule: str
    rule_version: int
    kind: str
    role: GateRuleRole
    exam: str
    decision: GateDecision
    why: str
    overridable: bool
    """Whether an override may lift it. True also where nothing needs to be lifted."""
    is_measured: bool

    @property
    def is_blocking(self) -> bool:
        """Whether it keeps the challenger from being released. An undecided target does not: another one may show the gain."""
        return self.decision != "ALLOW" and (self.role == "guard" or (self.role == "target" and self.decision == "REJECT"))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """The decision of a gate, with one finding per rule: targets first, then guards, then reports, each by id."""

    decision: GateDecision
    findings: tuple[GateFinding, ...]
    summary: str
    """One sentence for people, computed from the numbers."""
    overridable: bool
    """Whether a recorded override may release the challenger all the same. False for ALLOW, which needs none."""
    rules_sha256: str


def decide(rules: GateRules, evidence: GateEvidence) -> GateVerdict:
    """The verdict. The same rules and evidence give the same verdict on every machine, in whatever order they come."""
    findings: dict[str, GateFinding] = {}
    is_same_model = evidence.champion == evidence.challenger
    for rule in rules.in_order():
        found = evidence.by_rule.get(rule.id, MissingEvidence(f"Nobody looked for evidence for the rule {rule.id!r}."))
        if is_same_model:
            found = MissingEvidence("Champion and challenger are the same model, so there is nothing to compare.")
        finding = _assess(rule, found)
        failed = [name for name in rule.requires if findings[name].decision != "ALLOW"]
        if failed and finding.decision != "REJECT":
            why = f"It requires {join_names(failed)}, which did not pass. {finding.why}"
            finding = replace(finding, decision="INCONCLUSIVE", why=why)
        findings[rule.id] = finding
    ordered = tuple(sorted(findings.values(), key=lambda finding: (_ROLE_ORDER[finding.role], finding.rule)))
    decision = _combine(ordered)
    lifts_all = all(finding.overridable for finding in ordered if finding.is_blocking)
    return GateVerdict(
        decision=decision,
        findings=ordered,
        summary="Champion and challenger are the same model." if is_same_model else _summarise(decision, ordered, evidence),
        overridable=decision != "ALLOW" and lifts_all and not is_same_model,
        rules_sha256=rules.sha256,
    )


def _combine(findings: Sequence[GateFinding]) -> GateDecision:
    deciding = [finding for finding in findings if finding.role != "report"]
    if any(finding.decision == "REJECT" for finding in deciding):
        return "REJECT"
    guards_hold = all(finding.decision == "ALLOW" for finding in deciding if finding.role == "guard")
    return "ALLOW" if guards_hold and _gained(deciding) else "INCONCLUSIVE"


def _gained(findings: Sequence[GateFinding]) -> list[str]:
    """The targets that show a gain."""
    return [finding.rule for finding in findings if finding.role == "target" and finding.decision == "ALLOW"]


def _assess(rule: GateRule, evidence: RuleEvidence) -> GateFinding:
    """The finding of one rule by itself."""
    problem = evidence.sentence if isinstance(evidence, MissingEvidence) else _find_invalid_number(evidence)
    decision: GateDecision = "INCONCLUSIVE"
    why = problem
    if problem or isinstance(evidence, MissingEvidence):
        pass
    elif isinstance(evidence, PairedEvidence):
        decision, why = _assess_paired(rule, evidence)
    elif isinstance(evidence, MeasuredEvidence):
        decision, why = _assess_measured(rule, evidence)
    elif isinstance(evidence, BoundEvidence):
        decision, why = _assess_bounds(rule, evidence)
    else:
        decision, why = _assess_incidents(evidence)
    # Measured and yet undecided means that there are too few cases: nothing is broken, so people may decide.
    lifts = not rule.never_overridden or decision == "ALLOW" or (decision == "INCONCLUSIVE" and not problem)
    return GateFinding(
        rule=rule.id,
        rule_version=rule.version,
        kind=rule.kind,
        role=rule.role,
        exam=rule.exam or _EXAMS_OF_KINDS.get(rule.kind, ""),
        decision=decision,
        why=why,
        overridable=lifts,
        is_measured=not problem,
    )


def _find_invalid_number(evidence: RuleEvidence) -> str:
    """Why the numbers of the evidence decide nothing, or an empty text. NaN fails every comparison, so it is found here."""
    if isinstance(evidence, PairedEvidence):
        if evidence.n < 1:
            return f"No {evidence.unit} compares the two models."
        ps = (evidence.p_better, evidence.p_worse, evidence.p_tolerable)
        if not all(0 <= p <= 1 for p in ps) or not math.isfinite(evidence.difference):
            return "The comparison has no valid p-values, so it decides nothing."
    elif isinstance(evidence, MeasuredEvidence):
        if evidence.n < 1 or not math.isfinite(evidence.value):
            return "The measurement has no value, so it decides nothing."
    elif isinstance(evidence, BoundEvidence):
        has_answers = any(clause.outputs for clause in evidence.clauses)
        return (
            ""
            if has_answers and 0 <= evidence.p_more <= 1
            else "No answer was tested on these clauses, so nothing is known of them."
        )
    return ""


def _assess_paired(rule: GateRule, found: PairedEvidence) -> tuple[GateDecision, str]:
    subject = "in blind comparisons" if rule.kind == "preference" else f"on {rule.exam}"
    difference = f"{100 * found.difference:+.1f} points"
    numbers = f"{difference} over {_count(found.n, found.unit)}"
    if found.no_power:
        return "INCONCLUSIVE", f"The result {subject} ({numbers}) decides nothing, because {found.no_power}."
    if found.n < rule.min_cases:
        return "INCONCLUSIVE", f"The comparison {subject} has {_count(found.n, found.unit)}; the rule asks for {rule.min_cases}."
    worse = f"Worse {subject}: {numbers} (p = {found.p_worse:.4f})."
    if rule.role == "target":
        if _at_most(found.p_better, rule.alpha):
            return "ALLOW", f"Better {subject}: {numbers} (p = {found.p_better:.4f})."
        if _at_most(found.p_worse, rule.alpha):
            return "REJECT", worse
        return "INCONCLUSIVE", f"No proven difference {subject}: {difference}, and {_can_show(found)}."
    is_budget = rule.kind == "forgetting"
    margin = rule.budget if is_budget else rule.margin
    limit = f"{100 * margin:.3g} points"
    if _at_most(found.p_tolerable, rule.alpha):
        return "ALLOW", f"Not worse {subject} by {limit} or more: {numbers} (p = {found.p_tolerable:.4f})."
    if _at_most(found.p_worse, rule.alpha) and not (is_budget and _at_most(-found.difference, margin)):
        return "REJECT", worse
    return "INCONCLUSIVE", f"A loss of {limit} {subject} is possible: {difference}, and {_can_show(found, 'difference')}."


def _assess_measured(rule: GateRule, found: MeasuredEvidence) -> tuple[GateDecision, str]:
    if rule.kind == "floor":
        if found.n < rule.min_cases:
            return "INCONCLUSIVE", f"The run of {rule.exam} has {_count(found.n, 'case')}; the rule asks for {rule.min_cases}."
        name = _STATISTICS[rule.statistic]
        why = f"The {name} on {rule.exam} is {found.value:.3f}; at least {rule.min:g} is required."
        return ("ALLOW" if _at_most(rule.min, found.value) else "REJECT"), why
    if found.n < rule.min_tokens:
        return "INCONCLUSIVE", f"The measurement covers {_count(found.n, 'token')}; the rule asks for {rule.min_tokens}."
    name = "distance from the champion" if rule.kind == "kl" else "distance of the served log-probabilities from the trained ones"
    why = f"The {name} is {found.value:.3f} nats per token ({found.source}); at most {rule.max:g} is allowed."
    return ("ALLOW" if _at_most(found.value, rule.max) else "REJECT"), why


def _assess_bounds(rule: GateRule, found: BoundEvidence) -> tuple[GateDecision, str]:
    total = sum(clause.outputs for clause in found.clauses)
    broken = [clause for clause in found.clauses if clause.challenger]
    new = broken if rule.known == "forbid" else [clause for clause in broken if not clause.champion]
    if shown := [clause for clause in new if clause.challenger > rule.doubtful_bugs]:
        return "REJECT", f"The level {rule.level} of the behaviour spec is broken: {_list_bugs(shown)}."
    before, now = (sum(getattr(clause, arm) for clause in found.clauses) for arm in ("champion", "challenger"))
    counts = f"{now} of {total} answers break the level {rule.level} of the behaviour spec, {before} of the champion's"
    if now > before and _at_most(found.p_more, rule.alpha):
        return "REJECT", f"{counts} (p = {found.p_more:.4f})."
    if new:
        return "INCONCLUSIVE", f"A clause of the level {rule.level} may be broken, or chance alone did it: {_list_bugs(new)}."
    return "ALLOW", f"{counts}; no clause is broken that the champion keeps." if now else f"{counts}."


def _list_bugs(clauses: Sequence[ClauseBugs]) -> str:
    return join_names([f"{clause.clause} ({clause.challenger} of {_count(clause.outputs, 'answer')})" for clause in clauses])


def _assess_incidents(found: IncidentEvidence) -> tuple[GateDecision, str]:
    if found.failed:
        return "REJECT", f"An answer that must not happen again did: incident {join_names(found.failed)}."
    if not found.num_passed:
        return "ALLOW", "There is no accepted incident."
    return "ALLOW", f"Nothing that must not happen again did ({_count(found.num_passed, 'accepted incident')})."


def _summarise(decision: GateDecision, findings: Sequence[GateFinding], evidence: GateEvidence) -> str:
    deciding = [finding for finding in findings if finding.role != "report"]
    if decision == "REJECT":
        return " ".join(finding.why for finding in deciding if finding.decision == "REJECT")
    gained, guards = _gained(deciding), [finding for finding in deciding if finding.role == "guard"]
    if decision == "ALLOW":
        return f"Proven: better by {join_names(gained)}; {_guards_sentence(guards)}."
    gain = f"Better by {join_names(gained)}, but not everything is proven" if gained else _gain_sentence(deciding, evidence)
    return f"{gain}; {_guards_sentence(guards)}."


def _gain_sentence(findings: Sequence[GateFinding], evidence: GateEvidence) -> str:
    measured = [evidence.by_rule[finding.rule] for finding in findings if finding.role == "target" and finding.is_measured]
    paired = [found for found in measured if isinstance(found, PairedEvidence) and not found.no_power]
    if not paired:
        return "Not proven: nothing that could show a gain was measured"
    return f"Not proven: {_can_show(min(paired, key=lambda found: (found.detectable, found.n, found.unit)))}"


def _guards_sentence(guards: Sequence[GateFinding]) -> str:
    if not guards:
        return "nothing else was checked"
    if missing := [finding.rule for finding in guards if not finding.is_measured]:
        return f"{_share(missing, guards)} that it got no worse {'was' if len(missing) == 1 else 'were'} not made"
    if undecided := [finding.rule for finding in guards if finding.decision != "ALLOW"]:
        return f"no loss is shown, but {_share(undecided, guards)} cannot rule one out"
    return "nothing that we check got worse"


def _share(some: Sequence[str], guards: Sequence[GateFinding]) -> str:
    """`6 of the 7 checks`. The names of rules stand with the findings: here they would tell a reader nothing."""
    return f"{len(some)} of the {_count(len(guards), 'check')}"


def _can_show(found: PairedEvidence, what: str = "gain") -> str:
    """`12 judgements can show only a gain of 40 points`."""
    units = _count(found.n, found.unit)
    if not found.detectable <= 1:
        return f"{units} {'is' if found.n == 1 else 'are'} too few to show any {what}"
    return f"{units} can show only a {what} of {100 * found.detectable:.3g} points"


def _at_most(value: float, limit: float) -> bool:
    return value <= limit or math.isclose(value, limit, rel_tol=_TIE)


def _count(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"


def join_names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`. Needs at least one name."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
