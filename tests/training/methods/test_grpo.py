from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.networks import tiny_policy, weights_equal
from tests.training.rl_tasks import LetterTask, make_collector
from tests.training.tiny_method import reproducible_outcome
from yearling.training import RunFolder, TrainingProgress, train
from yearling.training.methods.grpo import Grpo, GrpoConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog

SMALL: dict[str, Any] = {"steps": 6, "prompts": 4, "samples": 6, "max_tokens": 6, "validation_tasks": 4, "warmup": 0.0}


def make_grpo(policy: Policy, *, log: InMemoryRolloutLog | None = None, **changes: Any) -> tuple[Grpo, InMemoryRolloutLog]:
    config = GrpoConfig(**{**SMALL, **changes})
    collector, memory_log = make_collector(policy, config, log=log)
    return Grpo(config, policy, collector), memory_log


def first_step_gradients(policy: Policy, method: Grpo, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The gradients of step 1 that the optimiser would use. Nothing is updated."""
    gradients: dict[str, Tensor] = {}

    def record_gradients(number: int) -> dict[str, float]:
        for name, parameter in policy.named_parameters().items():
            if parameter.grad is not None:
                gradients[name] = parameter.grad.clone()
        policy.decoder.zero_grad(set_to_none=True)
        return {"grad_norm": 0.0, "learning_rate": 0.0}

    monkeypatch.setattr(method._optimiser, "step", record_gradients)
    method.step(1)
    return gradients


@pytest.mark.parametrize("kl", [{}, {"kl_mode": "penalise", "kl_weight": 0.3}])
def test_micro_batches_never_change_a_gradient(kl: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny_policy()
    _, log = make_grpo(policy)
    expected = first_step_gradients(policy, make_grpo(policy, log=log, budget_tokens=10_000, **kl)[0], monkeypatch)
    assert max(float(gradient.abs().max()) for gradient in expected.values()) > 1e-3
    for budget in (1, 25, 60):
        method, _ = make_grpo(policy, log=log, budget_tokens=budget, **kl)
        for name, gradient in first_step_gradients(policy, method, monkeypatch).items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12)


def test_ratios_of_the_first_step_are_1() -> None:
    metrics = make_grpo(tiny_policy(trained=False))[0].step(1)
    assert metrics["ratio"] == pytest.approx(1)
    assert metrics["engine_ratio"] == pytest.approx(1, abs=1e-9)
    assert metrics["kl"] == pytest.approx(0, abs=1e-9)
    assert metrics["clipped"] == 0
    assert metrics["entropy"] > 1


def test_engine_ratio_reveals_rollouts_of_other_weights() -> None:
    """The rollouts come from other weights, as from an engine with a stale adapter."""
    stale = tiny_policy(trained=False)
    _, log = make_grpo(stale)
    collector, _ = make_collector(stale, GrpoConfig(**SMALL), log=log)
    collector.collect(1)
    method, _ = make_grpo(tiny_policy(), log=log)
    assert abs(method.step(1)["engine_ratio"] - 1) > 0.05


@pytest.mark.slow
def test_pass_rate_rises() -> None:
    method, _ = make_grpo(tiny_policy(), steps=7, learning_rate=0.03, prompts=6, max_tokens=4, truncated="score")
    rates = [method.step(number)["pass_rate"] for number in range(1, 8)]
    assert sum(rates[-2:]) / 2 > rates[0] + 0.2
    metrics = method.validate()
    assert metrics is not None
    assert 0 <= metrics["score"] <= 1


@pytest.mark.slow
def test_kl_penalty_keeps_the_policy_near_its_base() -> None:
    def final_kl(**kl: Any) -> float:
        method, _ = make_grpo(tiny_policy(trained=False), learning_rate=0.02, max_tokens=4, truncated="score", **kl)
        return [method.step(number)["kl"] for number in range(1, 7)][-1]

    assert final_kl(kl_mode="penalise", kl_weight=1.0) < 0.5 * final_kl()


def test_kl_limit_discards_the_update_that_exceeds_it_and_all_later_ones() -> None:
    policy = tiny_policy()  # it already differs from its base
    method, _ = make_grpo(policy, kl_mode="stop", kl_limit=0.01)
    before = policy.state_dict()
    metrics = method.step(1)
    assert metrics["kl"] > 0.01
    assert metrics["teaching_groups"] > 0  # there was something to learn
    assert method.kl_stopped_at_step == 1
    assert weights_equal(policy, before)
    assert all(parameter.grad is None for parameter in policy.parameters())
    assert method.step(2) == {"tokens": 0.0, "capped": 1.0}
    assert weights_equal(policy, before)


def test_training_continues_below_the_kl_limit() -> None:
    policy = tiny_policy()
    method, _ = make_grpo(policy, kl_mode="stop", kl_limit=100.0)
    before = policy.state_dict()
    assert 0 < method.step(1)["kl"] < 100.0
    assert method.kl_stopped_at_step == 0
    assert not weights_equal(policy, before)


@pytest.mark.slow
def test_kl_limit_is_reached_by_training() -> None:
    policy = tiny_policy(trained=False)
    method, _ = make_grpo(policy, learning_rate=0.02, kl_mode="stop", kl_limit=0.01)
    capped = [method.step(number).get("capped", 0.0) for number in range(1, 9)]
    assert capped[0] == 0
    assert capped[-1] == 1
    before = policy.state_dict()
    method.step(9)
    assert weights_equal(policy, before)


def test_groups_of_equal_rewards_change_nothing() -> None:
    policy = tiny_policy()
    config = GrpoConfig(**SMALL)
    collector, _ = make_collector(policy, config, environment=LetterTask(solution="never"))
    before = policy.state_dict()
    metrics = Grpo(config, policy, collector).step(1)
    assert metrics["teaching_groups"] == 0
    assert weights_equal(policy, before)


def train_run(folder: Path, make: Callable[[RunFolder], Grpo], *, stop_at: int = 0) -> RunFolder:
    """Create or resume a run, and ask it to stop after a step."""
    if folder.is_dir():
        run = RunFolder.open(folder)
    else:
        options = {"validate_every": 2}
        run = RunFolder.create(folder, {}, method="grpo", seed=0, total_steps=6, threads=1, options=options)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == stop_at:
            run.request_stop()

    train(make(run), run, on_progress=stop)
    return run


@pytest.mark.slow
def test_resumed_run_ends_bit_equal(tmp_path: Path) -> None:
    def make(run: RunFolder) -> Grpo:
        policy, config = tiny_policy(torch.float32), GrpoConfig(**SMALL)
        return Grpo(config, policy, make_collector(policy, config, log=run)[0])

    uninterrupted = train_run(tmp_path / "uninterrupted", make)
    resumed = train_run(tmp_path / "resumed", make, stop_at=3)
    assert resumed.read_status()["state"] == "stopped"
    # As if step 4 had been sampled, recorded and killed before its update: it must learn from the record.
    recorded = uninterrupted.read_rollouts(4)
    assert recorded is not None
    resumed.record_rollouts(4, recorded)
    train_run(tmp_path / "resumed", make)
    assert reproducible_outcome(uninterrupted) == reproducible_outcome(resumed)
