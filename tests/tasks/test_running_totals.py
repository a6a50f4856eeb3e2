"""A chain of sums is rewarded when every link is right."""

from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.tasks import exam_seed, open_environment, train_seed


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_only_the_whole_chain_is_rewarded() -> None:
    environment = open_environment("running_totals", terms=5)
    task = environment.task(train_seed(0))
    numbers = task.messages[0]["content"].rpartition("Numbers: ")[2].partition("\n")[0].split()
    totals = [sum(map(int, numbers[: end + 1])) for end in range(5)]
    right = " ".join(map(str, totals))
    for answer in (right, f"Totals: {right}", f" {right}.\n\nNumbers: 1 2", ", ".join(map(str, totals))):
        assert environment.reward(task, said(answer)) == 1.0
    slipped = [*totals[:-1], totals[-1] + 1]
    for answer in (
        "",
        " ".join(map(str, slipped)),
        " ".join(map(str, totals[:-1])),
        f"{right} {totals[-1]}",
        f"{right} or so",
        "9" * 9999,
    ):
        assert environment.reward(task, said(answer)) == 0.0
    assert environment.reward(task, []) == 0.0


def test_examples_are_solved_and_the_same_in_every_prompt() -> None:
    environment = open_environment("running_totals", terms=4, shots=3)
    heads = {environment.task(seed).messages[0]["content"].rpartition("Numbers:")[0] for seed in (train_seed(1), exam_seed(9))}
    assert len(heads) == 1
    assert heads.pop().count("Totals: ") == 3


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(BadInput):
        open_environment("running_totals", terms=1)
