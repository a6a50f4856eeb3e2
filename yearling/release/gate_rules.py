"""The rules of a gate, read from the TOML file that the quorum signs. Says what has to hold, and never whether it does.

    [[rule]]
    id = "instructions"
    version = 1
    kind = "exam"
    role = "guard"
    exam = "constraints"
    margin = 0.04
    requires = ["parity"]

A rule of the role `target` must show that the challenger is better; of several targets one is enough. A `guard` must hold. A
`report` is only shown. There is no kind for raw thumbs: people give them to what flatters, so they never decide a release.

The file comes from other machines too, so everything in it has a ceiling, and an unknown key is an error.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from typing import Any, Literal, get_args

from yearling.errors import BadInput

GateRuleKind = Literal["exam", "preference", "forgetting", "floor", "bounds", "kl", "parity", "incidents"]
GateRuleRole = Literal["target", "guard", "report"]
FloorStatistic = Literal["mean", "worst", "answered"]
KnownBugs = Literal["forbid", "tolerate"]

MAX_RULES_BYTES = 65_536
MAX_RULES = 100
MAX_REQUIRED_RULES = 20
MAX_NAME_CHARS = 200

NEVER_OVERRIDDEN: frozenset[GateRuleKind] = frozenset({"floor", "bounds", "forgetting", "incidents"})
"""Kinds whose broken rule no override lifts."""

_ID = re.compile(r"[a-z][a-z0-9-]{0,63}")
_FILE_KEYS = frozenset({"version", "rule", "canary"})
_CANARY_KEYS = frozenset({"alpha", "power", "champion_rate", "seen_rates"})
_COMMON_KEYS = frozenset({"id", "version", "kind", "role", "requires"})
_TEST_KEYS = frozenset({"alpha", "power"})
_KIND_KEYS: Mapping[str, frozenset[str]] = {
    "exam": _TEST_KEYS | {"exam", "margin", "min_cases"},
    "preference": _TEST_KEYS | {"margin"},
    "forgetting": _TEST_KEYS | {"exam", "budget", "min_cases"},
    "floor": frozenset({"exam", "statistic", "min", "min_cases"}),
    "bounds": frozenset({"level", "known", "doubtful_bugs", "alpha"}),
    "kl": frozenset({"max", "min_tokens"}),
    "parity": frozenset({"max", "min_tokens"}),
    "incidents": frozenset(),
}
_REQUIRED_KEYS: Mapping[str, frozenset[str]] = {
    "exam": frozenset({"exam"}),
    "forgetting": frozenset({"exam", "budget"}),
    "floor": frozenset({"exam", "statistic", "min"}),
    "kl": frozenset({"max"}),
    "parity": frozenset({"max"}),
}
_MAY_BE_TARGET = frozenset({"exam", "preference"})
_THUMBS = frozenset({"thumbs", "thumb", "rating", "ratings", "likes", "feedback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """One rule. Fields that its kind does not use keep their defaults."""

    id: str
    version: int
    kind: GateRuleKind
    role: GateRuleRole = "guard"
    requires: tuple[str, ...] = ()
    """Rules that must pass before this one counts."""
    exam: str = ""
    margin: float = 0.04
    """The loss, in score, that a guard must exclude."""
    budget: float = 0.04
    """The loss, in score, on what the model could do before that must be excluded."""
    alpha: float = 0.05
    """Bounds the probability of a false gain, and that of a missed loss."""
    power: float = 0.8
    """The power of the smallest detectable effect that the reasons name."""
    min_cases: int = 1
    statistic: FloorStatistic = "mean"
    min: float = 0.0
    """The lowest value of the statistic."""
    max: float = 1.0
    """The highest value, in nats per token."""
    min_tokens: int = 1
    level: str = "bound"
    """The level of the clauses on which the challenger may have no bug."""
    known: KnownBugs = "forbid"
    """What about a clause on which the champion has bugs already: `forbid` any bug, or `tolerate` as many as now."""
    doubtful_bugs: int = 0
    """So many bugs on one clause do not break it yet: sampling alone gives them. They are no permission either."""

    @property
    def never_overridden(self) -> bool:
        """Whether no override lifts the rule once it is broken."""
        return self.kind in NEVER_OVERRIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRules:
    """When a canary may give the challenger to more people, and how often it may stop a good one by mistake."""

    alpha: float = 0.05
    """Bounds the probability of a false stop, over all monitors and however long the canary runs."""
    power: float = 0.8
    champion_rate: float = 0.01
    """The share of bad answers of a champion, against which the rates below are meant."""
    seen_rates: tuple[float, float, float] = (0.10, 0.06, 0.03)
    """Before the second, third and last stage: the challenger's share of bad answers that would have been seen by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The rules of one file, ordered by id, so that their order in the file changes nothing."""

    version: int
    rules: tuple[GateRule, ...]
    sha256: str
    """Of the bytes of the file."""
    canary: CanaryRules = CanaryRules()

    def in_order(self) -> tuple[GateRule, ...]:
        """The rules, each after those that it requires."""
        by_id = {rule.id: rule for rule in self.rules}
        order = TopologicalSorter({rule.id: rule.requires for rule in self.rules}).static_order()
        return tuple(by_id[rule_id] for rule_id in order)


@cache
def default_rules_text() -> str:
    """The rules that Yearling brings, which hold until the quorum signs others."""
    return (files(__package__) / "default_gates.toml").read_text(encoding="utf-8")


def parse_rules(toml: str) -> GateRules:
    """Read the rules of a gate.

    Raises BadInput for a file that is too large or is no TOML, an unknown key, kind or role, a value out of range, an id that is
    used twice, a required rule that does not exist, a cycle, and rules without a target.
    """
    content = toml.encode("utf-8", "surrogatepass")
    if len(content) > MAX_RULES_BYTES:
        raise BadInput(f"The rules have {len(content)} bytes, and at most {MAX_RULES_BYTES} are allowed.", param="rules")
    try:
        table = tomllib.loads(toml)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The rules are no valid TOML: {error}.", advice="Correct the file.", param="rules") from None
    _refuse_unknown(table, _FILE_KEYS, "The file of rules")
    rows = table.get("rule")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_RULES:
        raise BadInput(f"The file must have 1 to {MAX_RULES} tables `[[rule]]`.", param="rules")
    rules = tuple(sorted((_parse_rule(row, number) for number, row in enumerate(rows, start=1)), key=lambda rule: rule.id))
    version = _read_integer(table, "version", "The file of rules", low=1)
    parsed = GateRules(version=version, rules=rules, sha256=hashlib.sha256(content).hexdigest(), canary=_parse_canary(table))
    _check_references(parsed)
    return parsed


def _check_references(parsed: GateRules) -> None:
    ids = [rule.id for rule in parsed.rules]
    if repeated := next((rule_id for rule_id in ids if ids.count(rule_id) > 1), ""):
        raise BadInput(f"Two rules have the id {repeated!r}.", advice="Give each rule an id of its own.", param="rules")
    for rule in parsed.rules:
        if dangling := sorted(set(rule.requires) - set(ids)):
            problem = f"The rule {rule.id!r} requires {dangling[0]!r}, which is no rule of this file."
            raise BadInput(problem, advice=f"Rules: {', '.join(ids)}.", param="rules")
    try:
        parsed.in_order()
    except CycleError as error:
        cycle = " → ".join(error.args[1])
        raise BadInput(f"The rules require each other in a circle: {cycle}.", advice="Break the circle.", param="rules") from None
    if all(rule.role != "target" for rule in parsed.rules):
        raise BadInput(
            "The rules have no target: something on which a challenger must be better.",
            advice='Give a rule of the kind "exam" or "preference" the role "target".',
            param="rules",
        )


def _parse_canary(table: Mapping[str, Any]) -> CanaryRules:
    row, place = table.get("canary", {}), "The table `[canary]`"
    if not isinstance(row, dict):
        raise BadInput("`canary` must be a table.", param="rules")
    _refuse_unknown(row, _CANARY_KEYS, place)
    default = CanaryRules()
    rates = row.get("seen_rates", list(default.seen_rates))
    champion_rate = _read_number(row, "champion_rate", place, default=default.champion_rate, low=0.0, high=0.5, exclusive=True)
    if not isinstance(rates, list) or len(rates) != len(default.seen_rates):
        raise BadInput(f"{place}: `seen_rates` must be a list of {len(default.seen_rates)} numbers.", param="rules")
    first, second, third = (
        _read_number({"seen_rates": rate}, "seen_rates", place, default=0.0, low=champion_rate, high=1.0, exclusive=True)
        for rate in rates
    )
    if not first >= second >= third:
        raise BadInput(f"{place}: `seen_rates` must not rise: each stage has to see more than the one before.", param="rules")
    alpha = _read_number(row, "alpha", place, default=default.alpha, low=0.0, high=0.5, exclusive=True)
    power = _read_number(row, "power", place, default=default.power, low=alpha, high=1.0, exclusive=True)
    return CanaryRules(alpha=alpha, power=power, champion_rate=champion_rate, seen_rates=(first, second, third))


def _parse_rule(row: object, number: int) -> GateRule:
    place = f"Rule {number}"
    if not isinstance(row, dict):
        raise BadInput(f"{place} is no table.", param="rules")
    rule_id = row.get("id")
    if not isinstance(rule_id, str) or not _ID.fullmatch(rule_id):
        raise BadInput(f"{place} needs an id of lower-case letters, digits and hyphens, at most 64.", param="rules")
    place = f"The rule {rule_id!r}"
    kind = row.get("kind")
    if isinstance(kind, str) and kind.lower() in _THUMBS:
        raise BadInput(
            f"{place} would let raw thumbs decide: they reward flattery, so they are never a gate.",
            advice='Use the kind "preference": blind comparisons on which both sides agree.',
            param="rules",
        )
    kind = _read_choice(row, "kind", place, get_args(GateRuleKind))
    _refuse_unknown(row, _COMMON_KEYS | _KIND_KEYS[kind], place)
    if missing := sorted(_REQUIRED_KEYS.get(kind, frozenset()) - set(row)):
        raise BadInput(f"{place} needs `{missing[0]}`.", param="rules")
    role = _read_choice(row, "role", place, get_args(GateRuleRole), default="guard")
    if role == "target" and kind not in _MAY_BE_TARGET:
        raise BadInput(f"{place} of the kind {kind!r} can be no target.", advice="Make it a guard.", param="rules")
    alpha = _read_number(row, "alpha", place, default=0.05, low=0.0, high=0.5, exclusive=True)
    return GateRule(
        id=rule_id,
        version=_read_integer(row, "version", place, low=1),
        kind=kind,
        role=role,
        requires=_read_requires(row, place),
        exam=_read_name(row, "exam", place),
        margin=_read_number(row, "margin", place, default=0.04, low=0.0, high=1.0, exclusive=True),
        budget=_read_number(row, "budget", place, default=0.04, low=0.0, high=1.0, exclusive=True),
        alpha=alpha,
        power=_read_number(row, "power", place, default=0.8, low=alpha, high=1.0, exclusive=True),
        min_cases=_read_integer(row, "min_cases", place, low=1, default=1),
        statistic=_read_choice(row, "statistic", place, get_args(FloorStatistic), default="mean"),
        min=_read_number(row, "min", place, default=0.0, low=-100.0, high=100.0),
        max=_read_number(row, "max", place, default=1.0, low=0.0, high=100.0, exclusive=True),
        min_tokens=_read_integer(row, "min_tokens", place, low=1, default=1),
        level=_read_choice(row, "level", place, ("bound", "default", "guideline"), default="bound"),
        known=_read_choice(row, "known", place, get_args(KnownBugs), default="forbid"),
        doubtful_bugs=_read_integer(row, "doubtful_bugs", place, low=0, default=0),
    )


def _refuse_unknown(row: Mapping[str, object], known: frozenset[str], place: str) -> None:
    if unknown := sorted(set(row) - known):
        advice = f"Known keys: {', '.join(sorted(known))}."
        raise BadInput(f"{place} has the unknown key {unknown[0][:80]!r}.", advice=advice, param="rules")


def _read_requires(row: Mapping[str, object], place: str) -> tuple[str, ...]:
    requires = row.get("requires", [])
    if (
        not isinstance(requires, list)
        or len(requires) > MAX_REQUIRED_RULES
        or not all(isinstance(name, str) and _ID.fullmatch(name) for name in requires)
    ):
        raise BadInput(f"{place}: `requires` must be a list of at most {MAX_REQUIRED_RULES} ids of rules.", param="rules")
    return tuple(sorted(set(requires)))


def _read_name(row: Mapping[str, object], key: str, place: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str) or (key in row and not 0 < len(value) <= MAX_NAME_CHARS):
        raise BadInput(f"{place}: `{key}` must be a text of 1 to {MAX_NAME_CHARS} characters.", param="rules")
    return value


def _read_choice(row: Mapping[str, object], key: str, place: str, choices: tuple[str, ...], *, default: str = "") -> Any:
    value = row.get(key, default)
    if value not in choices:
        raise BadInput(f"{place}: `{key}` must be one of {', '.join(choices)}.", param="rules")
    return value


def _read_integer(row: Mapping[str, object], key: str, place: str, *, low: int, default: int | None = None) -> int:
    value = row.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= 1_000_000_000:
        raise BadInput(f"{place}: `{key}` must be a whole number from {low}.", param="rules")
    return value


def _read_number(
    row: Mapping[str, object], key: str, place: str, *, default: float, low: float, high: float, exclusive: bool = False
) -> float:
    value = row.get(key, default)
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e9:
        number = float(value)
    if not (low < number < high if exclusive else low <= number <= high):
        bounds = f"between {low:g} and {high:g}" if exclusive else f"from {low:g} to {high:g}"
        raise BadInput(f"{place}: `{key}` must be a number {bounds}.", param="rules")
    return number
