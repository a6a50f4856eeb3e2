from __future__ import annotations

import json
import logging

import pytest
import torch

from tests.training.networks import tiny_policy
from tests.training.rl_tasks import LetterTask, make_collector
from yearling.errors import BadInput
from yearling.training.rollouts.collector import ReinforcementConfig, group_rollouts
from yearling.training.rollouts.runner import Rollout


def make_rollout(score: float, *, length: int = 2) -> Rollout:
    return Rollout("k", "a", 0, (1, *[2] * length), (False, *[True] * length), (-1.0,) * length, False, score)


def test_partial_credit_earns_no_reward() -> None:
    config = ReinforcementConfig()
    assert [config.reward(make_rollout(score)) for score in (0.07, 0.99, 1.0)] == [0, 0, 1]


def test_groups_of_equal_rewards_are_replaced_a_bounded_number_of_times() -> None:
    policy = tiny_policy()
    config = ReinforcementConfig(prompts=6, samples=4, max_tokens=4, attempts=3)
    collector, log = make_collector(policy, config)
    collected = collector.collect(1)
    kept_groups = group_rollouts(collected.trainable_rollouts)
    assert all(len({rollout.is_solved for rollout in group}) == 2 for group in kept_groups)
    assert collected.metrics["teaching_groups"] == len(kept_groups) <= 6
    assert len(group_rollouts(collected.all_rollouts)) > len(kept_groups)
    num_sampled_groups = [
        len(group_rollouts([Rollout.from_json(value) for value in values])) for values in log.rollouts_by_attempt.values()
    ]
    assert num_sampled_groups[0] == 6
    assert len(num_sampled_groups) <= 3
    # The second attempt samples exactly as many groups as are missing.
    first_attempt = group_rollouts([rollout for rollout in collected.all_rollouts[:24] if not rollout.truncated])
    num_mixed = sum(len({rollout.is_solved for rollout in group}) == 2 for group in first_attempt)
    assert num_sampled_groups[1] == 6 - num_mixed

    unsolvable, _ = make_collector(policy, config, environment=LetterTask(solution="impossible"))
    assert unsolvable.collect(1).trainable_rollouts == ()
    assert unsolvable.collect(2).metrics["attempts"] == 3


def test_truncated_answers_are_masked_and_many_of_them_log_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    policy = tiny_policy()
    config = ReinforcementConfig(prompts=8, samples=8, max_tokens=3)
    collector, _ = make_collector(policy, config)
    with caplog.at_level(logging.WARNING):
        collected = collector.collect(1)
    assert collected.metrics["truncated"] > 0.1
    assert "were truncated" in caplog.text
    assert not any(rollout.truncated for rollout in collected.trainable_rollouts)
    scoring, _ = make_collector(policy, ReinforcementConfig(prompts=8, samples=8, max_tokens=3, truncated="score"))
    assert any(rollout.truncated for rollout in scoring.collect(1).trainable_rollouts)


def test_overlong_answers_are_penalised_and_need_truncated_answers_to_be_scored() -> None:
    config = ReinforcementConfig(max_tokens=10, truncated="score", overlong_tokens=4)
    assert [config.reward(make_rollout(1.0, length=length)) for length in (6, 8, 10)] == [1, 0.5, 0]
    with pytest.raises(BadInput, match="scored"):
        ReinforcementConfig(overlong_tokens=4)


def test_recorded_rollouts_are_read_instead_of_sampled() -> None:
    policy = tiny_policy()
    config = ReinforcementConfig(prompts=4, samples=4, max_tokens=6)
    first, log = make_collector(policy, config)
    collected = first.collect(1)
    with torch.no_grad():  # another network would sample other answers
        for parameter in policy.parameters():
            parameter.add_(1.0)
    resumed, _ = make_collector(policy, config, log=log)
    assert resumed.collect(1) == collected
    assert resumed.curriculum.state_dict() == first.curriculum.state_dict()
    without_log, _ = make_collector(policy, config)
    assert without_log.collect(1) != collected


def test_settings_survive_json_and_settings_out_of_range_raise_bad_input() -> None:
    for changes in ({"samples": 1}, {"kl_mode": "stop"}, {"hard": 0.9}, {"temperature": 0.0}, {"learning_rate": 0.0}):
        with pytest.raises(BadInput):
            ReinforcementConfig(**changes)
    with pytest.raises(BadInput, match="no setting"):
        ReinforcementConfig.from_dict({"typo": 1})
    config = ReinforcementConfig(prompts=3)
    assert ReinforcementConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
