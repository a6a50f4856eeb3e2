from __future__ import annotations

from typing import Any

import pytest

from tests.training.networks import tiny_policy, weights_equal
from tests.training.rl_tasks import LetterTask, make_collector
from yearling.training.methods.rejection import Rejection, RejectionConfig, shortest_solved
from yearling.training.rollouts.runner import Rollout

SMALL: dict[str, Any] = {"steps": 8, "prompts": 4, "samples": 8, "max_tokens": 24, "validation_tasks": 4, "warmup": 0.0}


def test_shortest_solved_returns_the_shortest_different_solutions() -> None:
    def rollout(group: int, ids: tuple[int, ...], score: float, *, truncated: bool = False) -> Rollout:
        return Rollout("k", "a", group, (9, *ids), (False, *[True] * len(ids)), (-1.0,) * len(ids), truncated, score)

    rollouts = [
        rollout(0, (1, 2, 3), 1.0),
        rollout(0, (1, 2), 1.0),
        rollout(0, (1, 2), 1.0),
        rollout(0, (4,), 0.5),
        rollout(0, (5, 5, 5, 5), 1.0),
        rollout(1, (1,), 0.0),
        rollout(2, (7,), 1.0, truncated=True),
    ]
    assert [chosen.ids[1:] for chosen in shortest_solved(rollouts, 2)] == [(1, 2), (1, 2, 3)]


def test_kl_limit_discards_the_update_that_exceeds_it() -> None:
    policy = tiny_policy()  # it already differs from its base
    config = RejectionConfig(**SMALL, kl_mode="stop", kl_limit=1e-6)
    method = Rejection(config, policy, make_collector(policy, config)[0])
    before = policy.state_dict()
    metrics = method.step(1)
    assert metrics["kept"] > 0
    assert metrics["kl"] > 1e-6
    assert method.kl_stopped_at_step == 1
    assert weights_equal(policy, before)
    assert method.step(2) == {"tokens": 0.0, "capped": 1.0}


@pytest.mark.slow
def test_solved_answers_become_likelier() -> None:
    policy = tiny_policy()
    config = RejectionConfig(**SMALL, learning_rate=0.02)
    method = Rejection(config, policy, make_collector(policy, config)[0])
    metrics = [method.step(number) for number in range(1, 9)]
    nlls = [step_metrics["nll"] for step_metrics in metrics if "nll" in step_metrics]
    assert nlls[-1] < nlls[0]
    unsolvable = Rejection(config, policy, make_collector(policy, config, environment=LetterTask(solution="never"))[0])
    assert unsolvable.step(1)["kept"] == 0
