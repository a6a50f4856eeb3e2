from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import torch

from tests.training.letter_codec import Letters, Turns
from tests.training.networks import tiny_policy
from tests.training.rl_tasks import Guess, TwoTurns, collector
from yearling.errors import BadInput
from yearling.training.rollouts.collector import ReinforcementConfig, group_rollouts
from yearling.training.rollouts.curriculum import Arm, Curriculum, is_validation_task, prompt_arms
from yearling.training.rollouts.runner import Rollout, RolloutConfig, RolloutRunner, TemplatePromptCodec
from yearling.training.rollouts.sampler import Sampler


def rollout(score: float, *, truncated: bool = False, group: int = 0, arm: str = "a", length: int = 2) -> Rollout:
    return Rollout("k", arm, group, (1, *[2] * length), (False, *[True] * length), (-1.0,) * length, truncated, score)


def test_partial_credit_is_no_reward() -> None:
    config = ReinforcementConfig()
    assert [config.reward(rollout(score)) for score in (0.07, 0.99, 1.0)] == [0, 0, 1]


def test_rollouts_survive_json_bit_for_bit() -> None:
    policy = tiny_policy(torch.float32)
    one, _ = collector(policy, ReinforcementConfig(prompts=3, samples=4, max_tokens=6))
    drawn = one.collect(1).all_rollouts
    assert [Rollout.from_json(json.loads(json.dumps(item.to_json()))) for item in drawn] == list(drawn)


def test_groups_of_one_reward_are_replaced_a_bounded_number_of_times() -> None:
    policy = tiny_policy()
    config = ReinforcementConfig(prompts=6, samples=4, max_tokens=4, attempts=3)
    one, log = collector(policy, config)
    found = one.collect(1)
    assert all(len({item.is_solved for item in members}) == 2 for members in group_rollouts(found.trainable_rollouts))
    assert found.metrics["teaching_groups"] == len(group_rollouts(found.trainable_rollouts)) <= 6
    assert len(group_rollouts(found.all_rollouts)) > len(group_rollouts(found.trainable_rollouts))
    drawn_groups = [len(group_rollouts([Rollout.from_json(item) for item in part])) for part in log.rollouts_by_attempt.values()]
    assert drawn_groups[0] == 6
    assert len(drawn_groups) <= 3
    # Each further draw asks for exactly what is missing.
    first = group_rollouts([item for item in found.all_rollouts[:24] if not item.truncated])
    assert drawn_groups[1] == 6 - sum(len({item.is_solved for item in members}) == 2 for members in first)

    never, _ = collector(policy, config, environment=Guess(wanted="impossible"))
    assert never.collect(1).trainable_rollouts == ()
    assert never.collect(2).metrics["attempts"] == 3


def test_truncated_answers_are_masked_and_many_of_them_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    policy = tiny_policy()
    config = ReinforcementConfig(prompts=8, samples=8, max_tokens=3)
    one, _ = collector(policy, config)
    with caplog.at_level(logging.WARNING):
        found = one.collect(1)
    assert found.metrics["truncated"] > 0.1
    assert "were truncated" in caplog.text
    assert not any(item.truncated for item in found.trainable_rollouts)
    scored, _ = collector(policy, ReinforcementConfig(prompts=8, samples=8, max_tokens=3, truncated="score"))
    assert any(item.truncated for item in scored.collect(1).trainable_rollouts)


def test_long_answers_are_punished_when_asked() -> None:
    config = ReinforcementConfig(max_tokens=10, truncated="score", overlong_tokens=4)
    assert [config.reward(rollout(1.0, length=length)) for length in (6, 8, 10)] == [1, 0.5, 0]
    with pytest.raises(BadInput, match="scored"):
        ReinforcementConfig(overlong_tokens=4)


def test_a_recorded_step_is_read_and_not_drawn() -> None:
    policy = tiny_policy()
    config = ReinforcementConfig(prompts=4, samples=4, max_tokens=6)
    first, log = collector(policy, config)
    drawn = first.collect(1)
    with torch.no_grad():  # another network would draw something else
        for parameter in policy.parameters():
            parameter.add_(1.0)
    again, _ = collector(policy, config, log=log)
    replayed = again.collect(1)
    assert replayed == drawn
    assert again.curriculum.state_dict() == first.curriculum.state_dict()
    fresh, _ = collector(policy, config)
    assert fresh.collect(1) != drawn


def test_training_and_validation_never_share_a_task() -> None:
    environment = Guess()
    curriculum = Curriculum([Arm("guess", environment.task)], seed=0)
    trained = {task.key for step in range(20) for _, task in curriculum.sample_tasks(10, step=step)}
    validated = {task.key for _, task in curriculum.validation_tasks(10)}
    assert len(validated) == 10
    assert not trained & validated
    assert all(is_validation_task(key) for key in validated)


def test_the_curriculum_prefers_what_is_sometimes_solved() -> None:
    arms = [Arm(name, Guess(name).task) for name in ("easy", "middling", "hard")]
    curriculum = Curriculum(arms, seed=0)
    passed = {"easy": 1.0, "middling": 0.5, "hard": 0.0}
    curriculum.update([rollout(float(i < 16 * passed[name]), arm=name) for name in passed for i in range(16)])
    assert {name: round(curriculum.pass_rate(name) or 0, 2) for name in passed} == {"easy": 0.97, "middling": 0.5, "hard": 0.03}
    counts = dict.fromkeys(passed, 0)
    for name, _ in curriculum.sample_tasks(600, step=1):
        counts[name] += 1
    assert counts["middling"] > 4 * (counts["easy"] + counts["hard"])
    assert min(counts.values()) > 0
    state = curriculum.state_dict()
    other = Curriculum(arms, seed=0)
    other.load_state_dict(json.loads(json.dumps(state)))
    assert other.sample_tasks(20, step=7) == curriculum.sample_tasks(20, step=7)


def test_single_prompts_are_tried_by_their_own_pass_rates() -> None:
    environment = Guess()
    tasks = [environment.task(index) for index in range(40)]
    curriculum = Curriculum(prompt_arms(tasks), seed=1)
    drawn = [task.key for _, task in curriculum.sample_tasks(30, step=1)]
    assert len(set(drawn)) == 30
    assert not any(is_validation_task(key) for key in drawn)
    with pytest.raises(BadInput, match="no tasks"):
        Curriculum(prompt_arms([task for task in tasks if is_validation_task(task.key)]), seed=1)


def test_environment_tokens_follow_the_drawn_ids_and_are_not_targets() -> None:
    policy = tiny_policy()
    speech = TemplatePromptCodec(Letters(), Turns())
    environment = TwoTurns()
    sampler = Sampler(policy.decoder, stop_ids=speech.stop_ids, frozen_base=True)
    player = RolloutRunner(sampler, speech, lambda name: environment)
    config = RolloutConfig(samples=12, max_tokens=30)
    rollouts = player.run([("two", environment.task(0))], config, seed=0, step=1)
    finished = [one for one in rollouts if not one.truncated]
    assert finished
    prompt = speech.encode(environment.task(0).messages)
    reply = speech.encode([{"role": "user", "content": "go on"}])[1:]
    for one in finished:
        assert list(one.ids[: len(prompt)]) == prompt
        gaps = [token for token, drawn in zip(one.ids[len(prompt) :], one.sampled[len(prompt) :], strict=True) if not drawn]
        assert gaps == reply
        ends = [place for place, token in enumerate(one.ids) if token in speech.stop_ids and one.sampled[place]]
        assert len(ends) == 2
        assert sum(one.to_example().is_target) == one.num_sampled_tokens
        # The environment saw the text of exactly these ids.
        assert one.score == environment.reward(environment.task(0), transcript_of(one, len(prompt), speech))


def transcript_of(one: Rollout, start: int, speech: TemplatePromptCodec) -> list[dict[str, Any]]:
    answers: list[list[int]] = [[]]
    for token, drawn in zip(one.ids[start:], one.sampled[start:], strict=True):
        if drawn and token not in speech.stop_ids:
            answers[-1].append(token)
        elif drawn:
            answers.append([])
    first, second = (speech.decode(answer) for answer in answers[:2])
    return [
        {"role": "assistant", "content": first},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": second},
    ]


def test_settings_that_make_no_sense_are_refused() -> None:
    for changes in ({"samples": 1}, {"kl_mode": "stop"}, {"hard": 0.9}, {"temperature": 0.0}, {"learning_rate": 0.0}):
        with pytest.raises(BadInput):
            ReinforcementConfig(**changes)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no setting"):
        ReinforcementConfig.from_dict({"typo": 1})
    config = ReinforcementConfig(prompts=3)
    assert ReinforcementConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
