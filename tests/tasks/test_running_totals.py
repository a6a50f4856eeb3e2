"""`running_totals`: the reward needs every total."""

from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.tasks import exam_seed, open_environment, train_seed


def assistant_turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_reward_needs_the_complete_chain() -> None:
    environment = open_environment("running_totals", terms=5)
    task = environment.task(train_seed(0))
    numbers = task.messages[-1]["content"].split()
    totals = [sum(map(int, numbers[: end + 1])) for end in range(5)]
    right = " ".join(map(str, totals))
    for answer in (right, f" {right}.\n\nNumbers: 1 2", ", ".join(map(str, totals))):
        assert environment.reward(task, assistant_turn(answer)) == 1.0
    wrong_totals = [*totals[:-1], totals[-1] + 1]
    for answer in (
        "",
        " ".join(map(str, wrong_totals)),
        " ".join(map(str, totals[:-1])),
        f"{right} {totals[-1]}",
        f"{right} or so",
        "9" * 9999,
    ):
        assert environment.reward(task, assistant_turn(answer)) == 0.0
    assert environment.reward(task, []) == 0.0


def test_examples_are_solved_and_the_same_in_every_prompt() -> None:
    environment = open_environment("running_totals", terms=4, shots=3)
    examples = {tuple(turn["content"] for turn in environment.task(seed).messages[:-1]) for seed in (train_seed(1), exam_seed(9))}
    assert len(examples) == 1
    numbers, totals = examples.pop()[2:4]
    assert totals.split()[-1] == str(sum(map(int, numbers.split())))
    assert len(open_environment("running_totals", shots=0).task(train_seed(0)).messages) == 1


def test_settings_out_of_range_are_rejected() -> None:
    with pytest.raises(BadInput):
        open_environment("running_totals", terms=1)
