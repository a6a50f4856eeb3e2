from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.networks import tiny_policy, weights_equal
from tests.training.rl_tasks import SMALL_RL_CONFIG, LetterTask, TwoTurnTask, make_collector
from tests.training.tiny_method import reproducible_outcome
from yearling.training import RunFolder, train
from yearling.training.methods.ppo import Ppo, PpoConfig, gae_by_rollout
from yearling.training.methods.rejection import Rejection, RejectionConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog
from yearling.training.rollouts.runner import Rollout

SMALL: dict[str, Any] = {**SMALL_RL_CONFIG, "steps": 8}


def make_ppo(
    policy: Policy, *, log: InMemoryRolloutLog | None = None, environment: LetterTask | None = None, **changes: Any
) -> tuple[Ppo, InMemoryRolloutLog]:
    config = PpoConfig(**{**SMALL, **changes})
    collector, memory_log = make_collector(policy, config, log=log, environment=environment)
    return Ppo(config, policy, collector), memory_log


def test_value_head_is_trained_before_the_policy() -> None:
    policy = tiny_policy()
    method, _ = make_ppo(policy, value_warmup=3, value_rate=0.03, value_passes=12)
    before = policy.state_dict()
    metrics = [method.step(number) for number in (1, 2, 3)]
    assert all(step_metrics["warming"] == 1 for step_metrics in metrics)
    assert weights_equal(policy, before)
    assert metrics[0]["value"] == 0
    assert abs(metrics[2]["value"] - metrics[2]["reward"]) < 0.3
    assert "warming" not in method.step(4)
    assert not weights_equal(policy, before)


def test_micro_batches_never_change_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny_policy()
    _, log = make_ppo(policy)

    def first_step_gradients(budget: int) -> dict[str, Tensor]:
        method, _ = make_ppo(policy, log=log, budget_tokens=budget, value_warmup=0)
        torch.nn.init.normal_(method.head.out.weight, generator=torch.Generator().manual_seed(2))
        gradients: dict[str, Tensor] = {}

        def record_gradients(number: int) -> dict[str, float]:
            for name, parameter in {**policy.named_parameters(), **dict(method.head.named_parameters())}.items():
                if parameter.grad is not None:
                    gradients[name] = parameter.grad.clone()
            policy.decoder.zero_grad(set_to_none=True)
            return {"grad_norm": 0.0, "learning_rate": 0.0}

        monkeypatch.setattr(method._optimiser, "step", record_gradients)
        monkeypatch.setattr(method._head_optimiser, "step", lambda number: {})
        method.step(1)
        return gradients

    expected = first_step_gradients(10_000)
    assert "out.weight" in expected
    for budget in (1, 40):
        for name, gradient in first_step_gradients(budget).items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_pass_rate_rises() -> None:
    method, _ = make_ppo(tiny_policy(), learning_rate=0.03, value_warmup=1, prompts=8, samples=8, updates=2)
    rates = [method.step(number)["pass_rate"] for number in range(1, 7)]
    assert rates[-1] > rates[0] + 0.3


@pytest.mark.slow
def test_replies_of_the_environment_have_no_value_and_no_advantage() -> None:
    """There is one value for each sampled token and none for a reply."""
    method, log = make_ppo(tiny_policy(), environment=TwoTurnTask(), max_tokens=30, value_warmup=0, samples=8)
    metrics = method.step(1)
    rollouts = [Rollout.from_json(value) for values in log.rollouts_by_attempt.values() for value in values]
    assert any(sum(rollout.sampled) < len(rollout.sampled) - 15 for rollout in rollouts)
    assert metrics["ratio"] == pytest.approx(1)
    assert metrics["engine_ratio"] == pytest.approx(1, abs=1e-9)


def test_gae_of_padded_rollouts_equals_gae_of_each_alone() -> None:
    rewards = [torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0, 0.5])]
    values = [torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.3, 0.2])]
    together, _ = gae_by_rollout(rewards, values, discount=1.0, gae_lambda=0.9)
    for index in (0, 1):
        rollout = slice(index, index + 1)
        alone, _ = gae_by_rollout(rewards[rollout], values[rollout], discount=1.0, gae_lambda=0.9)
        torch.testing.assert_close(together[index], alone[0])
    torch.testing.assert_close(together[0], torch.tensor([0.2 + 0.9 * 0.6, 0.6]))


def test_kl_penalty_is_subtracted_from_the_reward() -> None:
    policy = tiny_policy()
    unpenalised, log = make_ppo(policy, value_warmup=99)
    penalised, _ = make_ppo(policy, log=log, value_warmup=99, kl_mode="penalise", kl_weight=1.0)
    first, second = unpenalised.step(1), penalised.step(1)
    assert second["kl"] > 0
    assert second["loss"] != first["loss"]


def test_kl_limit_stops_all_later_changes_of_weights() -> None:
    policy = tiny_policy()  # it already differs from its base
    method, _ = make_ppo(policy, value_warmup=0, kl_mode="stop", kl_limit=0.01)
    before = policy.state_dict()
    assert method.step(1)["kl"] > 0.01
    assert method.kl_stopped_at_step == 1
    assert method.step(2) == {"tokens": 0.0, "capped": 1.0}
    assert weights_equal(policy, before)
    unlimited, _ = make_ppo(policy, value_warmup=0, kl_mode="stop", kl_limit=100.0)
    unlimited.step(1)
    assert not weights_equal(policy, before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ppo", "rejection"])
def test_resumed_run_ends_bit_equal(tmp_path: Path, kind: str) -> None:
    def make(run: RunFolder) -> Ppo | Rejection:
        policy = tiny_policy(torch.float32)
        if kind == "ppo":
            ppo_config = PpoConfig(**{**SMALL, "steps": 4, "value_warmup": 1})
            return Ppo(ppo_config, policy, make_collector(policy, ppo_config, log=run)[0])
        config = RejectionConfig(**{**SMALL, "steps": 4, "truncated": "mask", "max_tokens": 20})
        return Rejection(config, policy, make_collector(policy, config, log=run)[0])

    options = {"validate_every": 2}
    uninterrupted = RunFolder.create(tmp_path / "uninterrupted", {}, method=kind, seed=0, threads=1, options=options)
    train(make(uninterrupted), uninterrupted)
    resumed = RunFolder.create(tmp_path / "resumed", {}, method=kind, seed=0, threads=1, options=options)
    train(make(resumed), resumed, on_progress=lambda progress: resumed.request_stop() if progress.step == 2 else None)
    train(make(resumed), resumed)
    assert reproducible_outcome(uninterrupted) == reproducible_outcome(resumed)
