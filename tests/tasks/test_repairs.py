"""Repairs of drafts: every trained kind of constraint has one that its own checker accepts, and held-out kinds have none."""

from __future__ import annotations

from collections import Counter

import pytest

from yearling.tasks import constraint_kinds, open_environment, plain_prose, repair_answer, train_seed
from yearling.tasks.environments.instructions.repairs import REPAIRS

DRAFT = (
    "**Rain** falls from heavy clouds in autumn, and 3 roads get wet. People carry umbrellas, which keep them dry on the way. "
    "Children like to jump in puddles, because it is fun.\n- Later the sun comes out again, warm and bright.\n"
    "An unfinished sentence"
)
CANNOT_BE_REPAIRED = {"other_language"}
"""A program cannot translate."""


def test_every_trained_kind_has_a_repair() -> None:
    kinds, held_out = constraint_kinds()
    assert REPAIRS.keys() == set(kinds) - set(held_out) - CANNOT_BE_REPAIRED


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(REPAIRS))
def test_repairs_satisfy_the_checkers(kind: str) -> None:
    environment = open_environment("instructions", kinds=[kind])
    tasks = [environment.task(train_seed(index)) for index in range(12)]
    answers = [repair_answer(task, DRAFT) for task in tasks]
    solved = [answer for answer in answers if answer]
    assert len(solved) >= 8, answers
    for task, answer in zip(tasks, answers, strict=True):
        if answer:
            assert environment.reward(task, [{"role": "assistant", "content": answer}]) == 1.0
            assert repair_answer(task, DRAFT) == answer


@pytest.mark.slow
def test_repairs_combine() -> None:
    environment = open_environment("instructions", level=0, fewest=2, most=3)
    tasks = [environment.task(train_seed(index)) for index in range(60)]
    solved = Counter(repair_answer(task, DRAFT) is not None for task in tasks)
    assert solved[True] > 30


def test_drafts_become_plain_prose() -> None:
    assert plain_prose(DRAFT).startswith("Rain falls from heavy clouds")
    assert plain_prose(DRAFT).endswith("Later the sun comes out again, warm and bright.")
    assert plain_prose("") == plain_prose("No end") == ""
    assert len(plain_prose("One two three. " * 10_000)) < 100


def test_chinese_and_hopeless_tasks_have_no_repair() -> None:
    chinese = open_environment("instructions", language="zh").task(train_seed(0))
    assert repair_answer(chinese, DRAFT) is None
    english = open_environment("instructions", kinds=["bullets"], level=3).task(train_seed(0))
    assert repair_answer(english, "") is None
