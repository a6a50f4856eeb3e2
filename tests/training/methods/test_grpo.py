from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.networks import tiny_policy
from tests.training.rl_tasks import Guess, collector
from tests.training.tiny import outcome_bytes
from yearling.training import RunFolder, train
from yearling.training.methods.grpo import Grpo, GrpoConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog

SMALL: dict[str, Any] = {"steps": 6, "prompts": 4, "samples": 6, "max_tokens": 6, "validation_tasks": 4, "warmup": 0.0}


def grpo(policy: Policy, *, log: InMemoryRolloutLog | None = None, **changes: Any) -> tuple[Grpo, InMemoryRolloutLog]:
    config = GrpoConfig(**{**SMALL, **changes})
    one, record = collector(policy, config, log=log)
    return Grpo(config, policy, one), record


def gradients_of(policy: Policy, method: Grpo, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """The gradient of step 1, caught where the optimiser would use it."""
    caught: dict[str, Tensor] = {}

    def catch(number: int) -> dict[str, float]:
        caught.update({name: one.grad.clone() for name, one in policy.named_parameters().items() if one.grad is not None})
        policy.decoder.zero_grad(set_to_none=True)
        return {"grad_norm": 0.0, "learning_rate": 0.0}

    monkeypatch.setattr(method._optimiser, "step", catch)
    method.step(1)
    return caught


@pytest.mark.parametrize("kl", [{}, {"kl_mode": "penalise", "kl_weight": 0.3}])
def test_micro_batches_never_change_a_gradient(kl: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny_policy()
    _, log = grpo(policy)
    whole = gradients_of(policy, grpo(policy, log=log, budget_tokens=10_000, **kl)[0], monkeypatch)
    assert max(float(one.abs().max()) for one in whole.values()) > 1e-3
    for budget in (1, 25, 60):
        method, _ = grpo(policy, log=log, budget_tokens=budget, **kl)
        for name, gradient in gradients_of(policy, method, monkeypatch).items():
            torch.testing.assert_close(gradient, whole[name], rtol=1e-9, atol=1e-12)


def test_the_first_ratio_is_1_and_the_figures_say_so() -> None:
    policy = tiny_policy(trained=False)
    figures = grpo(policy)[0].step(1)
    assert figures["ratio"] == pytest.approx(1)
    assert figures["engine_ratio"] == pytest.approx(1, abs=1e-9)
    assert figures["kl"] == pytest.approx(0, abs=1e-9)
    assert figures["clipped"] == 0
    assert figures["entropy"] > 1


def test_an_engine_that_draws_otherwise_is_told_by_the_ratio() -> None:
    """Rollouts of other weights, as an engine with a stale adapter would draw them."""
    stale = tiny_policy(trained=False)
    _, log = grpo(stale)
    one, _ = collector(stale, GrpoConfig(**SMALL), log=log)
    one.collect(1)
    policy = tiny_policy()
    method, _ = grpo(policy, log=log)
    assert abs(method.step(1)["engine_ratio"] - 1) > 0.05


@pytest.mark.slow
def test_it_learns() -> None:
    policy = tiny_policy()
    method, _ = grpo(policy, steps=7, learning_rate=0.03, prompts=6, max_tokens=4, truncated="score")
    rates = [method.step(number)["pass_rate"] for number in range(1, 8)]
    assert sum(rates[-2:]) / 2 > rates[0] + 0.2
    figures = method.validate()
    assert figures is not None
    assert 0 <= figures["score"] <= 1


@pytest.mark.slow
def test_a_penalty_keeps_it_near_its_base() -> None:
    def distance(**kl: Any) -> float:
        policy = tiny_policy(trained=False)
        method, _ = grpo(policy, learning_rate=0.02, max_tokens=4, truncated="score", **kl)
        return [method.step(number)["kl"] for number in range(1, 7)][-1]

    assert distance(kl_mode="penalise", kl_weight=1.0) < 0.5 * distance()


@pytest.mark.slow
def test_at_the_kl_limit_the_weights_stay() -> None:
    policy = tiny_policy(trained=False)
    method, _ = grpo(policy, learning_rate=0.02, kl_mode="stop", kl_limit=0.01)
    capped = [method.step(number).get("capped", 0.0) for number in range(1, 9)]
    assert capped[0] == 0
    assert capped[-1] == 1
    before = policy.state_dict()
    method.step(9)
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())


def test_groups_of_one_reward_change_nothing() -> None:
    policy = tiny_policy()
    config = GrpoConfig(**SMALL)
    one, _ = collector(policy, config, environment=Guess(wanted="never"))
    before = policy.state_dict()
    figures = Grpo(config, policy, one).step(1)
    assert figures["teaching_groups"] == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in policy.state_dict().items())


def run_of(folder: Path, make: Callable[[RunFolder], Grpo], *, stop_at: int = 0) -> RunFolder:
    run = (
        RunFolder.open(folder)
        if folder.is_dir()
        else RunFolder.create(folder, {}, method="grpo", seed=0, total_steps=6, threads=1, options={"validate_every": 2})
    )

    def stop(progress: Any) -> None:
        if progress.step == stop_at:
            run.request_stop()

    train(make(run), run, on_progress=stop)
    return run


@pytest.mark.slow
def test_a_resumed_run_ends_bit_equal(tmp_path: Path) -> None:
    def make(run: RunFolder) -> Grpo:
        policy, config = tiny_policy(torch.float32), GrpoConfig(**SMALL)
        return Grpo(config, policy, collector(policy, config, log=run)[0])  # type: ignore[arg-type]

    whole = run_of(tmp_path / "whole", make)
    parts = run_of(tmp_path / "parts", make, stop_at=3)
    assert parts.read_status()["state"] == "stopped"
    # Step 4 was drawn, recorded and killed before its update: it must be learnt from as recorded.
    recorded = whole.read_rollouts(4)
    assert recorded is not None
    parts.record_rollouts(4, recorded)
    run_of(tmp_path / "parts", make)
    assert outcome_bytes(whole) == outcome_bytes(parts)
