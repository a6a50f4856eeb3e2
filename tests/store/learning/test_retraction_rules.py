"""The rules about which acts count: withdrawals, their errors, and the last judgement of each subject."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from yearling.store import (
    REPLACED_BY_LATER,
    judgement_subject,
    latest_judgements,
    retracts_another_persons_act,
    void_acts,
    withdrawal_error,
)


@dataclass(frozen=True)
class Act:
    id: str
    kind: str = "rating"
    actor: str = "ann"
    target: str = ""


def reasons(*acts: Act) -> dict[str, str]:
    return void_acts(acts, lambda act: act.target)


def test_retraction_by_the_actor_voids_an_act() -> None:
    assert reasons(Act("1"), Act("2", "retraction", target="1")) == {"1": "retracted"}


def test_removal_takes_precedence_over_a_retraction() -> None:
    retraction, removal = Act("2", "retraction", target="1"), Act("3", "removal", actor="admin", target="1")
    assert reasons(Act("1"), retraction, removal) == {"1": "removed_by_an_administrator"}
    assert reasons(Act("1"), removal, retraction) == {"1": "removed_by_an_administrator"}


@pytest.mark.parametrize(
    ("withdrawal", "reason"),
    [
        (Act("9", "retraction", target="later"), "names_no_earlier_event"),
        (Act("9", "retraction", target="9"), "names_no_earlier_event"),
        (Act("9", "retraction", actor="eve", target="1"), "retracts_an_act_of_somebody_else"),
        (Act("9", "retraction", target="2"), "a_retraction_cannot_be_taken_back"),
        (Act("9", "removal", target="3"), "a_removal_cannot_be_taken_back"),
        (Act("9", "removal", target="4"), "a_status_change_cannot_be_taken_back"),
    ],
)
def test_withdrawal_without_effect_is_void_itself(withdrawal: Act, reason: str) -> None:
    acts = [
        Act("0"),
        Act("1"),
        Act("2", "retraction", target="0"),
        Act("3", "removal", target="0"),
        Act("4", "status_change"),
        withdrawal,
        Act("later"),
    ]
    assert reasons(*acts) == {"0": "removed_by_an_administrator", "9": reason}


def test_only_retractions_are_limited_to_own_acts() -> None:
    assert retracts_another_persons_act(Act("2", "retraction", actor="eve"), Act("1"))
    assert not retracts_another_persons_act(Act("2", "removal", actor="admin"), Act("1"))
    assert withdrawal_error(Act("2", "removal", actor="admin"), Act("1")) == ""


def test_last_judgement_of_a_subject_counts() -> None:
    first, other, void, last = Act("1", target="x"), Act("2", target="y"), Act("3", target="x"), Act("4", target="x")
    latest, replaced = latest_judgements(
        [first, other, void, last, Act("5", "note")],
        {"3"},
        lambda act: judgement_subject(act.actor, act.target) if act.kind == "rating" else None,
    )
    assert latest == [last, other]
    assert replaced == [first]
    assert REPLACED_BY_LATER == "replaced_by_a_later_one"


def test_subject_of_a_comparison_does_not_depend_on_the_order() -> None:
    assert judgement_subject("ann", "x", "y") == judgement_subject("ann", "y", "x") != judgement_subject("bob", "x", "y")
    assert judgement_subject("ann", "x") != judgement_subject("ann", "x", "y")
