"""Verdicts: each trap of a gate, and the sentences that people read."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from yearling.release import (
    BoundEvidence,
    ClauseBugs,
    GateEvidence,
    GateRules,
    GateVerdict,
    IncidentEvidence,
    MeasuredEvidence,
    MissingEvidence,
    PairedEvidence,
    RuleEvidence,
    decide,
    default_rules_text,
    parse_rules,
)

RULES = """version = 1
[[rule]]
id = "preference"
version = 1
kind = "preference"
role = "target"
[[rule]]
id = "maths"
version = 1
kind = "exam"
role = "target"
exam = "gsm8k"
requires = ["parity"]
[[rule]]
id = "polite"
version = 1
kind = "exam"
exam = "persistbench"
[[rule]]
id = "forgetting"
version = 1
kind = "forgetting"
exam = "constraints"
budget = 0.05
[[rule]]
id = "floor"
version = 1
kind = "floor"
exam = "spec"
statistic = "worst"
min = 0.3
[[rule]]
id = "bounds"
version = 1
kind = "bounds"
[[rule]]
id = "incidents"
version = 1
kind = "incidents"
[[rule]]
id = "parity"
version = 1
kind = "parity"
max = 0.2
[[rule]]
id = "shown"
version = 1
kind = "exam"
role = "report"
exam = "ifeval"
"""


def paired(**changes: Any) -> PairedEvidence:
    values: dict[str, Any] = {
        "n": 541,
        "difference": 0.0,
        "p_better": 0.5,
        "p_worse": 0.5,
        "p_tolerable": 0.01,
        "detectable": 0.05,
    }
    return PairedEvidence(**{**values, **changes})


def bounds(champion: int, challenger: int, p_more: float = 0.5) -> BoundEvidence:
    return BoundEvidence(clauses=(ClauseBugs("no-feelings", 50, champion, challenger),), p_more=p_more)


GOOD: dict[str, RuleEvidence] = {
    "preference": paired(n=12, p_better=0.6, detectable=0.4, unit="judgement"),
    "maths": paired(difference=0.06, p_better=0.001, p_worse=0.999),
    "polite": paired(),
    "forgetting": paired(),
    "floor": MeasuredEvidence(value=0.5, n=400, source="run"),
    "bounds": bounds(0, 0),
    "incidents": IncidentEvidence(num_passed=3, failed=()),
    "parity": MeasuredEvidence(value=0.07, n=5000, source="measured"),
    "shown": paired(difference=-0.5, p_worse=0.0001),
}


def verdict(rules: Any = RULES, *, champion: Any = "old", **changes: Any) -> GateVerdict:
    evidence = {rule: found for rule, found in {**GOOD, **changes}.items() if found is not None}
    return decide(parse_rules(rules), GateEvidence(champion=champion, challenger="new", by_rule=evidence))


def reason(result: GateVerdict, rule: str) -> str:
    return next(finding.why for finding in result.findings if finding.rule == rule)


def test_one_proven_gain_and_all_guards_allow() -> None:
    result = verdict()
    assert (result.decision, result.overridable) == ("ALLOW", False)
    assert result.summary == "Proven: better by maths; nothing that we check got worse."
    assert [finding.rule for finding in result.findings[:2]] == ["maths", "preference"]
    assert result.findings[-1].role == "report"
    assert all(finding.why.endswith(".") for finding in result.findings)
    assert reason(result, "maths") == "Better on gsm8k: +6.0 points over 541 pairs (p = 0.0010)."
    assert result.rules_sha256 == parse_rules(RULES).sha256


def test_what_only_reports_blocks_nothing() -> None:
    shown = paired(difference=-0.5, p_worse=0.0001, p_tolerable=1.0)
    assert verdict(shown=shown).decision == "ALLOW"
    assert reason(verdict(shown=shown), "shown").startswith("Worse on ifeval: -50.0 points")
    assert verdict(shown=None).decision == "ALLOW"


def test_one_person_at_home_reads_what_their_judgements_can_show() -> None:
    result = verdict(maths=MissingEvidence("Run it."))
    assert (result.decision, result.overridable) == ("INCONCLUSIVE", True)
    assert result.summary == ("Not proven: 12 judgements can show only a gain of 40 points; nothing that we check got worse.")
    few = paired(n=1, p_better=0.5, detectable=2.49, unit="judgement")
    assert verdict(maths=None, preference=few).summary.startswith("Not proven: 1 judgement is too few to show any gain;")


def test_sentence_claims_nothing_about_checks_that_were_not_made() -> None:
    result = verdict(maths=None, polite=None)
    assert result.summary.endswith(" checks that it got no worse was not made.")
    assert "got worse" not in result.summary
    open_guard = paired(difference=-0.02, p_tolerable=0.2, p_worse=0.2)
    assert verdict(maths=None, polite=open_guard).summary.endswith(" checks cannot rule one out.")
    alone = RULES[: RULES.index('[[rule]]\nid = "maths"')]
    assert verdict(alone).summary.endswith("; nothing else was checked.")
    nothing = verdict(maths=None, preference=None)
    assert nothing.summary.startswith("Not proven: nothing that could show a gain was measured")


def test_missing_evidence_is_inconclusive_and_says_which_command_brings_it() -> None:
    result = verdict(polite=MissingEvidence("Run `yearling exam run persistbench` on both models."))
    assert (result.decision, reason(result, "polite")) == (
        "INCONCLUSIVE",
        "Run `yearling exam run persistbench` on both models.",
    )
    assert decide(parse_rules(RULES), GateEvidence(champion="a", challenger="b")).decision == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("polite", paired(difference=-0.08, p_worse=0.001, p_tolerable=0.9)),
        ("maths", paired(difference=-0.08, p_better=0.999, p_worse=0.001)),
        ("parity", MeasuredEvidence(value=0.3, n=5000, source="measured")),
    ],
)
def test_significant_losses_reject_and_may_be_overridden(rule: str, found: RuleEvidence) -> None:
    result = verdict(**{rule: found})
    assert (result.decision, result.overridable) == ("REJECT", True)
    assert reason(result, rule) in result.summary


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("forgetting", paired(difference=-0.08, p_worse=0.001, p_tolerable=0.9)),
        ("floor", MeasuredEvidence(value=0.29, n=400, source="run")),
        ("bounds", bounds(0, 1)),
        ("bounds", bounds(9, 9)),
        ("incidents", IncidentEvidence(num_passed=3, failed=("i1",))),
    ],
)
def test_broken_floors_bounds_budgets_and_incidents_are_never_overridden(rule: str, found: RuleEvidence) -> None:
    result = verdict(**{rule: found})
    assert (result.decision, result.overridable) == ("REJECT", False)
    assert not next(finding for finding in result.findings if finding.rule == rule).overridable


@pytest.mark.parametrize("rule", ["forgetting", "floor", "bounds", "incidents"])
def test_not_measuring_is_no_way_around_what_cannot_be_overridden(rule: str) -> None:
    result = verdict(**{rule: None})
    assert (result.decision, result.overridable) == ("INCONCLUSIVE", False)
    assert verdict(polite=None).overridable


def test_too_few_cases_of_a_budget_are_no_breach_of_it() -> None:
    result = verdict(forgetting=paired(n=40, difference=-0.02, p_worse=0.4, p_tolerable=0.3))
    assert (result.decision, result.overridable) == ("INCONCLUSIVE", True)
    slight = paired(n=9000, difference=-0.049, p_worse=0.001, p_tolerable=0.06)
    assert verdict(forgetting=slight).decision == "INCONCLUSIVE", "a loss within the budget is no breach"


def test_known_bugs_of_the_champion_are_tolerated_only_where_the_rule_says_so() -> None:
    tolerant = RULES.replace('kind = "bounds"', 'kind = "bounds"\nknown = "tolerate"')
    assert verdict(tolerant, bounds=bounds(9, 9)).decision == "ALLOW"
    assert verdict(tolerant, bounds=bounds(0, 1)).decision == "REJECT"
    assert verdict(tolerant, bounds=bounds(9, 20, p_more=0.01)).decision == "REJECT"
    assert verdict(tolerant, bounds=bounds(9, 10, p_more=0.4)).decision == "ALLOW"
    assert verdict(tolerant, bounds=bounds(9, 2, p_more=0.99)).decision == "ALLOW"
    assert verdict(bounds=BoundEvidence(clauses=(), p_more=1.0)).decision == "INCONCLUSIVE"


def test_doubtful_bugs_neither_break_a_bound_nor_permit_a_release() -> None:
    doubtful = RULES.replace('kind = "bounds"', 'kind = "bounds"\nknown = "tolerate"\ndoubtful_bugs = 1')
    once, twice = verdict(doubtful, bounds=bounds(0, 1)), verdict(doubtful, bounds=bounds(0, 2))
    assert (once.decision, once.overridable) == ("INCONCLUSIVE", True)
    assert "may be broken, or chance alone did it: no-feelings (1 of 50 answers)" in reason(once, "bounds")
    assert (twice.decision, twice.overridable) == ("REJECT", False)
    assert verdict(doubtful, bounds=bounds(0, 0)).decision == "ALLOW"
    assert verdict(doubtful, bounds=bounds(3, 4)).decision == "ALLOW"


def test_rule_whose_dependency_failed_says_so() -> None:
    result = verdict(parity=None)
    assert result.decision == "INCONCLUSIVE"
    assert reason(result, "maths").startswith("It requires parity, which did not pass. Better on gsm8k")
    worse = verdict(parity=None, maths=paired(difference=-0.1, p_better=1.0, p_worse=0.001))
    assert worse.decision == "REJECT", "a dependency hides no loss"


@pytest.mark.parametrize(
    "found",
    [
        paired(no_power="its grader has not passed its own exam", p_better=0.0001),
        paired(n=0, p_better=0.0001),
        paired(p_better=math.nan),
        paired(p_better=-0.1),
        paired(difference=math.inf, p_better=0.001),
    ],
)
def test_evidence_that_decides_nothing_allows_nothing(found: PairedEvidence) -> None:
    assert verdict(maths=found).decision == "INCONCLUSIVE"
    assert verdict(polite=found).decision == "INCONCLUSIVE"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_measurements_without_a_number_allow_nothing(value: float) -> None:
    for rule in ("floor", "parity"):
        assert verdict(**{rule: MeasuredEvidence(value=value, n=400, source="run")}).decision == "INCONCLUSIVE"
        assert verdict(**{rule: MeasuredEvidence(value=0.5, n=0, source="run")}).decision == "INCONCLUSIVE"


def test_floating_point_ties_count_as_equal() -> None:
    assert verdict(maths=paired(p_better=0.05 + 1e-17)).decision == "ALLOW"
    assert verdict(maths=paired(p_better=sum([0.01] * 5) * (1 + 1e-12))).decision == "ALLOW"
    assert verdict(maths=paired(p_better=0.0500001)).decision == "INCONCLUSIVE"
    assert verdict(floor=MeasuredEvidence(value=0.1 + 0.2, n=9, source="run")).decision == "ALLOW"
    assert verdict(RULES.replace("min = 0.3", "min = 0.30000000000000004")).decision == "ALLOW"
    assert verdict(floor=MeasuredEvidence(value=0.2999, n=9, source="run")).decision == "REJECT"


def test_the_champion_against_itself_is_inconclusive() -> None:
    result = verdict(champion="new")
    assert (result.decision, result.overridable) == ("INCONCLUSIVE", False)
    assert result.summary == "Champion and challenger are the same model."


def test_too_few_cases_or_tokens_are_inconclusive() -> None:
    rules = RULES.replace('exam = "gsm8k"', 'exam = "gsm8k"\nmin_cases = 600').replace(
        "max = 0.2", "max = 0.2\nmin_tokens = 6000"
    )
    result = verdict(rules)
    assert "asks for 600" in reason(result, "maths")
    assert "asks for 6000" in reason(result, "parity")
    assert result.decision == "INCONCLUSIVE"


def test_order_of_rules_and_evidence_changes_nothing_but_the_hash_of_the_file() -> None:
    head, *rules = RULES.split("[[rule]]\n")
    results = set()
    for order in itertools.islice(itertools.permutations(rules), 0, 40_320, 4001):
        parsed = parse_rules(head + "".join(f"[[rule]]\n{rule}" for rule in order))
        result = decide(
            GateRules(version=1, rules=parsed.rules, sha256=""),
            GateEvidence(champion="old", challenger="new", by_rule=dict(reversed(GOOD.items()))),
        )
        results.add(result)
    assert len(results) == 1


def test_default_rules_never_allow_without_a_measurement() -> None:
    rules = parse_rules(default_rules_text())
    assert decide(rules, GateEvidence(champion="a", challenger="b")).decision == "INCONCLUSIVE"
