"""The file of rules: what it may contain, and the ceilings on what strangers may write into it."""

from __future__ import annotations

import random

import pytest

from yearling.errors import BadInput
from yearling.release import default_rules_text, parse_rules
from yearling.release.gate_rules import MAX_RULES, MAX_RULES_BYTES

TARGET = '[[rule]]\nid = "gain"\nversion = 1\nkind = "preference"\nrole = "target"\n'
GUARD = '[[rule]]\nid = "{id}"\nversion = 2\nkind = "exam"\nexam = "ifeval"\n{more}\n'


def file_of(*rules: str) -> str:
    return "version = 3\n" + "".join((TARGET, *rules))


def test_rules_are_read_with_their_defaults_and_sorted_by_id() -> None:
    rules = parse_rules(file_of(GUARD.format(id="b", more="margin = 0.1"), GUARD.format(id="a", more='requires = ["gain", "b"]')))
    assert rules.version == 3
    assert [rule.id for rule in rules.rules] == ["a", "b", "gain"]
    a, b, gain = rules.rules
    assert (a.margin, b.margin, a.alpha, a.power, a.role, gain.role) == (0.04, 0.1, 0.05, 0.8, "guard", "target")
    assert a.requires == ("b", "gain")
    order = [rule.id for rule in rules.in_order()]
    assert order.index("a") > max(order.index("b"), order.index("gain"))
    assert len(rules.sha256) == 64


def test_default_rules_have_targets_and_every_kind_that_is_never_overridden() -> None:
    rules = parse_rules(default_rules_text())
    assert {rule.id for rule in rules.rules if rule.role == "target"} == {"instructions", "preference"}
    assert {rule.kind for rule in rules.rules if rule.never_overridden and rule.role == "guard"} == {
        "bounds",
        "floor",
        "forgetting",
        "incidents",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version = 1", r"1 to 100 tables"),
        ("version = 1\nrule = 3", r"1 to 100 tables"),
        ("version = 1\nrule = [3]", "Rule 1 is no table"),
        ("not toml at all", "no valid TOML"),
        ("x = " + "[" * 5000, "no valid TOML"),
        (TARGET, "`version` must be a whole number"),
        (file_of().replace("version = 3", "version = true"), "`version` must be a whole number"),
        ("extra = 1\n" + file_of(), "unknown key 'extra'"),
        (file_of(GUARD.format(id="a", more="margins = 0.1")), "unknown key 'margins'"),
        (file_of(GUARD.format(id="a", more="min_tokens = 5")), "unknown key 'min_tokens'"),
        (file_of(GUARD.format(id="A b", more="")), "needs an id of lower-case"),
        (file_of(GUARD.format(id="gain", more="")), "Two rules have the id 'gain'"),
        (file_of(GUARD.format(id="a", more='requires = ["nobody"]')), "requires 'nobody', which is no rule"),
        (file_of(GUARD.format(id="a", more='requires = "gain"')), "must be a list"),
        (file_of(GUARD.format(id="a", more='requires = ["a"]')), "in a circle: a → a"),
        (
            file_of(GUARD.format(id="a", more='requires = ["b"]'), GUARD.format(id="b", more='requires = ["a"]')),
            "in a circle",
        ),
        ("version = 1\n" + GUARD.format(id="a", more=""), "have no target"),
        (file_of(GUARD.format(id="a", more="alpha = nan")), "`alpha` must be a number"),
        (file_of(GUARD.format(id="a", more="alpha = 0.5")), "`alpha` must be a number"),
        (file_of(GUARD.format(id="a", more="margin = inf")), "`margin` must be a number"),
        (file_of(GUARD.format(id="a", more="margin = 0")), "`margin` must be a number"),
        (file_of(GUARD.format(id="a", more="margin = true")), "`margin` must be a number"),
        (file_of(GUARD.format(id="a", more="margin = " + "9" * 400)), "`margin` must be a number"),
        (file_of(GUARD.format(id="a", more="power = 0.01")), "`power` must be a number"),
        (file_of(GUARD.format(id="a", more='role = "target"\nmin_cases = 0')), "`min_cases`"),
        (file_of(GUARD.format(id="a", more='role = "boss"')), "`role` must be one of"),
        (file_of('[[rule]]\nid = "a"\nversion = 1\nkind = "exam"\n'), "needs `exam`"),
        (file_of('[[rule]]\nid = "a"\nversion = 1\nkind = "kl"\n'), "needs `max`"),
        (file_of('[[rule]]\nid = "a"\nversion = 1\nkind = "kl"\nmax = 1\nrole = "target"\n'), "can be no target"),
        (file_of('[[rule]]\nid = "a"\nversion = 1\nkind = "mood"\n'), "`kind` must be one of"),
        (file_of(GUARD.format(id="a", more="").replace('"ifeval"', f'"{"x" * 300}"')), "1 to 200 characters"),
    ],
)
def test_invalid_files_are_refused_with_a_reason(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        parse_rules(text)


@pytest.mark.parametrize("kind", ["thumbs", "Ratings", "likes"])
def test_raw_thumbs_are_never_a_gate(kind: str) -> None:
    with pytest.raises(BadInput, match="raw thumbs") as raised:
        parse_rules(file_of(f'[[rule]]\nid = "a"\nversion = 1\nkind = "{kind}"\n'))
    assert "blind comparisons" in raised.value.advice


def test_the_file_and_its_rules_have_ceilings() -> None:
    with pytest.raises(BadInput, match="bytes"):
        parse_rules(file_of() + "#" * MAX_RULES_BYTES)
    many = [GUARD.format(id=f"a{number}", more="") for number in range(MAX_RULES)]
    with pytest.raises(BadInput, match=f"1 to {MAX_RULES}"):
        parse_rules(file_of(*many))
    assert len(parse_rules(file_of(*many[1:])).rules) == MAX_RULES


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("canary = 3", "must be a table"),
        ("canary = {speed = 1}", "unknown key 'speed'"),
        ("canary = {alpha = 0.9}", "`alpha` must be a number"),
        ("canary = {seen_rates = [0.1, 0.05]}", "list of 3 numbers"),
        ("canary = {seen_rates = [0.03, 0.06, 0.1]}", "must not rise"),
        ("canary = {seen_rates = [0.1, 0.06, 0.01]}", "`seen_rates` must be a number"),
        ("canary = {seen_rates = [0.1, nan, 0.03]}", "`seen_rates` must be a number"),
    ],
)
def test_invalid_canary_rules_are_refused(line: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        parse_rules(f"{line}\n{file_of()}")
    assert parse_rules(f"canary = {{alpha = 0.01}}\n{file_of()}").canary.alpha == 0.01


def test_damaged_files_are_read_or_refused_but_never_crash() -> None:
    rng = random.Random(1)
    text = default_rules_text()
    refused = 0
    for _ in range(150):
        place = rng.randrange(len(text))
        damaged = text[:place] + chr(rng.choice([0, 10, 34, 48, 91, 0xD800, 0x10FFFF])) + text[place + rng.randrange(40) :]
        try:
            parse_rules(damaged)
        except BadInput:
            refused += 1
    assert 50 < refused < 150
