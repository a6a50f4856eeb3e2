from __future__ import annotations

import json
from typing import Any

import torch

from tests.training.networks import tiny_policy
from tests.training.rl_tasks import TwoTurnTask, letter_prompt_codec, make_collector
from yearling.training.rollouts.collector import ReinforcementConfig
from yearling.training.rollouts.runner import RenderedPromptCodec, Rollout, RolloutConfig, RolloutRunner
from yearling.training.rollouts.sampler import Sampler


def test_rollouts_survive_json_bit_for_bit() -> None:
    policy = tiny_policy(torch.float32)
    collector, _ = make_collector(policy, ReinforcementConfig(prompts=3, samples=4, max_tokens=6))
    rollouts = collector.collect(1).all_rollouts
    assert [Rollout.from_json(json.loads(json.dumps(rollout.to_json()))) for rollout in rollouts] == list(rollouts)


def test_json_of_a_rollout_has_the_keys_and_the_order_of_stored_runs() -> None:
    rollout = Rollout("task", "arm", 3, (5, 6), (False, True), (-0.5,), True, 0.25)
    stored = (
        '{"key": "task", "arm": "arm", "group": 3, "ids": [5, 6], "drawn": [0, 1], "logprobs": [-0.5], '
        '"truncated": true, "score": 0.25}'
    )
    assert json.dumps(rollout.to_json()) == stored
    assert Rollout.from_json(json.loads(stored)) == rollout


def test_replies_of_the_environment_follow_the_sampled_ids_and_are_no_targets() -> None:
    policy = tiny_policy()
    codec = letter_prompt_codec()
    environment = TwoTurnTask()
    task = environment.task(0)
    sampler = Sampler(policy.decoder, stop_ids=codec.stop_ids, frozen_base=True)
    runner = RolloutRunner(sampler, codec, lambda name: environment)
    rollouts = runner.run([("two", task)], RolloutConfig(samples=12, max_tokens=30), seed=0, step=1)
    finished = [rollout for rollout in rollouts if not rollout.truncated]
    assert finished
    prompt = codec.encode(task.messages)
    reply = codec.encode([{"role": "user", "content": "go on"}])[1:]
    for rollout in finished:
        assert list(rollout.ids[: len(prompt)]) == prompt
        after_prompt = zip(rollout.ids[len(prompt) :], rollout.sampled[len(prompt) :], strict=True)
        assert [token for token, sampled in after_prompt if not sampled] == reply
        num_sampled_ends = sum(
            token in codec.stop_ids and sampled for token, sampled in zip(rollout.ids, rollout.sampled, strict=True)
        )
        assert num_sampled_ends == 2
        assert sum(rollout.to_example().is_target) == rollout.num_sampled_tokens
        # The environment saw the text of exactly these ids.
        assert rollout.score == environment.reward(task, transcript_of(rollout, len(prompt), codec))


def transcript_of(rollout: Rollout, prompt_length: int, codec: RenderedPromptCodec) -> list[dict[str, Any]]:
    """The transcript that the environment must have seen, from the sampled ids."""
    answers: list[list[int]] = [[]]
    for token, sampled in zip(rollout.ids[prompt_length:], rollout.sampled[prompt_length:], strict=True):
        if sampled and token not in codec.stop_ids:
            answers[-1].append(token)
        elif sampled:
            answers.append([])
    first, second = (codec.decode(answer) for answer in answers[:2])
    return [
        {"role": "assistant", "content": first},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": second},
    ]
