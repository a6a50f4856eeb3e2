from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.networks import tiny_policy
from tests.training.rl_tasks import Guess, TwoTurns, collector
from tests.training.tiny import outcome_bytes
from yearling.training import RunFolder, train
from yearling.training.methods.ppo import Ppo, PpoConfig, gae_by_rollout
from yearling.training.methods.rejection import Rejection, RejectionConfig, shortest_solved
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog
from yearling.training.rollouts.runner import Rollout

SMALL: dict[str, Any] = {
    "steps": 8, "prompts": 4, "samples": 4, "max_tokens": 4, "validation_tasks": 4, "truncated": "score", "warmup": 0.0,
}  # fmt: skip


def ppo(
    policy: Policy, *, log: InMemoryRolloutLog | None = None, environment: Guess | None = None, **changes: Any
) -> tuple[Ppo, InMemoryRolloutLog]:
    config = PpoConfig(**{**SMALL, **changes})
    one, record = collector(policy, config, log=log, environment=environment)
    return Ppo(config, policy, one), record


def test_the_value_head_is_trained_before_anything_else() -> None:
    policy = tiny_policy()
    method, _ = ppo(policy, value_warmup=3, value_rate=0.03, value_passes=12)
    before = policy.state_dict()
    figures = [method.step(number) for number in (1, 2, 3)]
    assert all(one["warming"] == 1 for one in figures)
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())
    assert figures[0]["value"] == 0
    assert abs(figures[2]["value"] - figures[2]["reward"]) < 0.3
    assert "warming" not in method.step(4)
    assert any(not torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())


def test_micro_batches_never_change_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny_policy()
    _, log = ppo(policy)

    def gradients(budget: int) -> dict[str, Tensor]:
        method, _ = ppo(policy, log=log, budget_tokens=budget, value_warmup=0)
        torch.nn.init.normal_(method.head.out.weight, generator=torch.Generator().manual_seed(2))
        caught: dict[str, Tensor] = {}

        def catch(number: int) -> dict[str, float]:
            for name, one in {**policy.named_parameters(), **dict(method.head.named_parameters())}.items():
                if one.grad is not None:
                    caught[name] = one.grad.clone()
            policy.decoder.zero_grad(set_to_none=True)
            return {"grad_norm": 0.0, "learning_rate": 0.0}

        monkeypatch.setattr(method._optimiser, "step", catch)
        monkeypatch.setattr(method._head_optimiser, "step", lambda number: {})
        method.step(1)
        return caught

    whole = gradients(10_000)
    assert "out.weight" in whole
    for budget in (1, 40):
        for name, gradient in gradients(budget).items():
            torch.testing.assert_close(gradient, whole[name], rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_it_learns() -> None:
    policy = tiny_policy()
    method, _ = ppo(policy, learning_rate=0.03, value_warmup=1, prompts=8, samples=8, updates=2)
    rates = [method.step(number)["pass_rate"] for number in range(1, 7)]
    assert rates[-1] > rates[0] + 0.3


@pytest.mark.slow
def test_what_an_environment_says_has_no_value_and_no_advantage() -> None:
    """Episodes are traced over drawn tokens alone: there is one value for each of them and none for a reply."""
    policy = tiny_policy()
    method, log = ppo(policy, environment=TwoTurns(), max_tokens=30, value_warmup=0, samples=8)
    figures = method.step(1)
    rollouts = [Rollout.from_json(item) for part in log.rollouts_by_attempt.values() for item in part]
    assert any(sum(one.sampled) < len(one.sampled) - 15 for one in rollouts)
    assert figures["ratio"] == pytest.approx(1)
    assert figures["engine_ratio"] == pytest.approx(1, abs=1e-9)


def test_traces_of_different_lengths_are_those_of_each_alone() -> None:
    rewards = [torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0, 0.5])]
    values = [torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.3, 0.2])]
    together, _ = gae_by_rollout(rewards, values, discount=1.0, gae_lambda=0.9)
    for index in (0, 1):
        alone, _ = gae_by_rollout(rewards[index : index + 1], values[index : index + 1], discount=1.0, gae_lambda=0.9)
        torch.testing.assert_close(together[index], alone[0])
    torch.testing.assert_close(together[0], torch.tensor([0.2 + 0.9 * 0.6, 0.6]))


def test_a_kl_penalty_is_taken_off_the_reward() -> None:
    policy = tiny_policy()
    plain, log = ppo(policy, value_warmup=99)
    held, _ = ppo(policy, log=log, value_warmup=99, kl_mode="penalise", kl_weight=1.0)
    first, second = plain.step(1), held.step(1)
    assert second["kl"] > 0
    assert second["loss"] != first["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ppo", "rejection"])
def test_a_resumed_run_ends_bit_equal(tmp_path: Path, kind: str) -> None:
    def make(run: RunFolder) -> Ppo | Rejection:
        policy = tiny_policy(torch.float32)
        if kind == "ppo":
            config = PpoConfig(**{**SMALL, "steps": 4, "value_warmup": 1})
            return Ppo(config, policy, collector(policy, config, log=run)[0])  # type: ignore[arg-type]
        settings = RejectionConfig(**{**SMALL, "steps": 4, "truncated": "mask", "max_tokens": 20})
        return Rejection(settings, policy, collector(policy, settings, log=run)[0])  # type: ignore[arg-type]

    options = {"validate_every": 2}
    whole = RunFolder.create(tmp_path / "whole", {}, method=kind, seed=0, threads=1, options=options)
    train(make(whole), whole)
    parts = RunFolder.create(tmp_path / "parts", {}, method=kind, seed=0, threads=1, options=options)
    train(make(parts), parts, on_progress=lambda progress: parts.request_stop() if progress.step == 2 else None)
    train(make(parts), parts)
    assert outcome_bytes(whole) == outcome_bytes(parts)


def test_rejection_learns_the_shortest_different_solutions() -> None:
    def one(group: int, ids: tuple[int, ...], score: float, *, truncated: bool = False) -> Rollout:
        return Rollout("k", "a", group, (9, *ids), (False, *[True] * len(ids)), (-1.0,) * len(ids), truncated, score)

    rollouts = [
        one(0, (1, 2, 3), 1.0), one(0, (1, 2), 1.0), one(0, (1, 2), 1.0), one(0, (4,), 0.5), one(0, (5, 5, 5, 5), 1.0),
        one(1, (1,), 0.0), one(2, (7,), 1.0, truncated=True),
    ]  # fmt: skip
    assert [item.ids[1:] for item in shortest_solved(rollouts, 2)] == [(1, 2), (1, 2, 3)]


@pytest.mark.slow
def test_rejection_raises_what_was_solved() -> None:
    policy = tiny_policy()
    config = RejectionConfig(**{**SMALL, "max_tokens": 24, "truncated": "mask", "learning_rate": 0.02, "samples": 8})
    method = Rejection(config, policy, collector(policy, config)[0])
    figures = [method.step(number) for number in range(1, 9)]
    learnt = [one["nll"] for one in figures if "nll" in one]
    assert learnt[-1] < learnt[0]
    never = Rejection(config, policy, collector(policy, config, environment=Guess(wanted="never"))[0])
    assert never.step(1)["kept"] == 0
