from __future__ import annotations

import json

import pytest

from tests.training.rl_tasks import LetterTask
from yearling.errors import BadInput
from yearling.training.rollouts.curriculum import Arm, Curriculum, is_validation_task, prompt_arms
from yearling.training.rollouts.runner import Rollout


def make_rollout(arm: str, score: float) -> Rollout:
    return Rollout("k", arm, 0, (1, 2), (False, True), (-1.0,), False, score)


def test_training_and_validation_never_share_a_task() -> None:
    curriculum = Curriculum([Arm("guess", LetterTask().task)], seed=0)
    training_keys = {task.key for step in range(20) for _, task in curriculum.sample_tasks(10, step=step)}
    validation_keys = {task.key for _, task in curriculum.validation_tasks(10)}
    assert len(validation_keys) == 10
    assert not training_keys & validation_keys
    assert all(is_validation_task(key) for key in validation_keys)


def test_arms_that_are_sometimes_solved_are_sampled_most() -> None:
    arms = [Arm(name, LetterTask(name).task) for name in ("easy", "middling", "hard")]
    curriculum = Curriculum(arms, seed=0)
    solved_share = {"easy": 1.0, "middling": 0.5, "hard": 0.0}
    curriculum.update([make_rollout(name, float(i < 16 * share)) for name, share in solved_share.items() for i in range(16)])
    pass_rates = {name: round(curriculum.pass_rate(name) or 0, 2) for name in solved_share}
    assert pass_rates == {"easy": 0.97, "middling": 0.5, "hard": 0.03}
    counts = dict.fromkeys(solved_share, 0)
    for name, _ in curriculum.sample_tasks(600, step=1):
        counts[name] += 1
    assert counts["middling"] > 4 * (counts["easy"] + counts["hard"])
    assert min(counts.values()) > 0


def test_state_survives_json() -> None:
    arms = [Arm(name, LetterTask(name).task) for name in ("first", "second")]
    curriculum, restored = Curriculum(arms, seed=0), Curriculum(arms, seed=0)
    curriculum.update([make_rollout("first", 1.0), make_rollout("second", 0.0)])
    curriculum.sample_tasks(5, step=1)
    restored.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert restored.sample_tasks(20, step=7) == curriculum.sample_tasks(20, step=7)


def test_each_prompt_is_sampled_by_its_own_pass_rate() -> None:
    tasks = [LetterTask().task(index) for index in range(40)]
    curriculum = Curriculum(prompt_arms(tasks), seed=1)
    keys = [task.key for _, task in curriculum.sample_tasks(30, step=1)]
    assert len(set(keys)) == 30
    assert not any(is_validation_task(key) for key in keys)


def test_raises_bad_input_if_all_tasks_are_held_out() -> None:
    tasks = [LetterTask().task(index) for index in range(40)]
    with pytest.raises(BadInput, match="no tasks"):
        Curriculum(prompt_arms([task for task in tasks if is_validation_task(task.key)]), seed=1)
