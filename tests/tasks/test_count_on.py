"""`count_on`: the reward needs every number."""

from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.tasks import exam_seed, open_environment, train_seed


def assistant_turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_reward_needs_the_complete_chain() -> None:
    environment = open_environment("count_on", terms=4, step=3)
    task = environment.task(train_seed(0))
    start = int(task.messages[-1]["content"].split()[-1].rstrip("."))
    right = [start + 3, start + 6, start + 9, start + 12]
    for answer in (" ".join(map(str, right)), ", ".join(map(str, right)) + ".\nDone"):
        assert environment.reward(task, assistant_turn(answer)) == 1.0
    for wrong in (right[:-1], [*right, start + 15], [start, *right[:-1]], [*right[:-1], right[-1] + 1], []):
        assert environment.reward(task, assistant_turn(" ".join(map(str, wrong)))) == 0.0


@pytest.mark.slow
def test_parts_share_no_start_and_examples_are_fixed() -> None:
    environment = open_environment("count_on")
    train_tasks, exam_tasks = ([environment.task(seed(index)) for index in range(400)] for seed in (train_seed, exam_seed))
    assert {task.key for task in train_tasks}.isdisjoint(task.key for task in exam_tasks)
    assert len({str(task.messages[:-1]) for task in [*train_tasks, *exam_tasks]}) == 1
    assert len(train_tasks[0].messages) == 5


@pytest.mark.parametrize("settings", [{"terms": 0}, {"step": 0}, {"largest_start": 0}, {"shots": 21}])
def test_settings_out_of_range_are_rejected(settings: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        open_environment("count_on", **settings)
