"""SFT, DPO, KTO and the reward model on a random two-layer network in float64."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.networks import tiny_policy, weights_equal
from tests.training.offline_methods import (
    OFFLINE_METHODS,
    AnyOfflineMethod,
    letter_encoder,
    make_dpo,
    make_method,
    random_lessons,
)
from yearling.errors import BadInput, Untrusted
from yearling.training.losses.preference import dpo_loss
from yearling.training.methods.dpo import Dpo, DpoConfig
from yearling.training.methods.reward import Reward

KL_LIMITED_METHODS = ("sft", "dpo", "kto")


def step_gradients(method: AnyOfflineMethod, step: int = 1) -> tuple[dict[str, float], list[Tensor]]:
    """The metrics of a step and the gradients that the optimiser would use. Nothing is updated."""
    parameters, gradients = method.optimiser.parameters, list[Tensor]()

    def record_gradients(number: int) -> dict[str, float]:
        gradients.extend(torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters)
        for parameter in parameters:
            parameter.grad = None
        return {}

    method.optimiser.step = record_gradients  # type: ignore[method-assign]
    if isinstance(method, Reward):
        with torch.no_grad():
            method.head.weight.copy_(torch.linspace(-1, 1, 32, dtype=torch.float64))
    return method.step(step), gradients


def check_micro_batch_invariance(name: str, **settings: Any) -> None:
    """Compare the gradients of several micro-batch sizes in float64."""
    metrics, expected = step_gradients(make_method(name, budget_tokens=100_000, **settings))
    assert max(gradient.abs().max() for gradient in expected) > 1e-4
    for budget in (1, 30, 60):
        split_metrics, gradients = step_gradients(make_method(name, budget_tokens=budget, **settings))
        assert split_metrics["loss"] == pytest.approx(metrics["loss"], rel=1e-12)
        for gradient, expected_gradient in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient, expected_gradient, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", OFFLINE_METHODS)
def test_micro_batches_never_change_a_gradient(name: str) -> None:
    check_micro_batch_invariance(name)


@pytest.mark.slow
def test_micro_batches_never_change_a_gradient_with_all_loss_terms_and_all_weights() -> None:
    check_micro_batch_invariance("dpo", nll_weight=0.5, kl_mode="penalise", kl_weight=0.3)
    check_micro_batch_invariance("sft", kl_mode="penalise", kl_weight=0.3, full=True)


def test_invariance_check_detects_a_mean_over_the_micro_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a mean over the pairs of the micro-batch instead of those of the step."""

    def loss_divided_by_the_batch(first: Tensor, second: Tensor, q: Tensor, *, beta: float) -> Tensor:
        return dpo_loss(first, second, q, beta=beta) / len(q)

    monkeypatch.setattr("yearling.training.methods.dpo.dpo_loss", loss_divided_by_the_batch)
    with pytest.raises(AssertionError):
        check_micro_batch_invariance("dpo")


def test_first_loss_of_dpo_and_reward_model_is_ln_2() -> None:
    assert make_method("dpo", trained=False).step(1)["loss"] == pytest.approx(math.log(2), abs=1e-12)
    assert make_method("reward", trained=False).step(1)["loss"] == pytest.approx(math.log(2), abs=1e-12)
    kto = make_method("kto", trained=False, weight_up=1.0, weight_down=1.0)
    assert kto.step(1)["loss"] == pytest.approx(0.5)


@pytest.mark.parametrize("name", OFFLINE_METHODS)
def test_loss_falls(name: str) -> None:
    method = make_method(name, trained=False, learning_rate=1e-2)
    losses = [method.step(number)["loss"] for number in range(1, method.total_steps + 1)]
    assert losses[-1] < losses[0] - 0.02
    assert method.total_steps == 8


@pytest.mark.parametrize("name", OFFLINE_METHODS)
def test_resumed_method_continues_bit_for_bit(name: str, tmp_path: Path) -> None:
    uninterrupted = make_method(name, validation=0.3)
    metrics = [uninterrupted.step(number) for number in range(1, 6)]
    first = make_method(name, validation=0.3, cache_folder=tmp_path)
    for number in range(1, 4):
        first.step(number)
    second = make_method(name, validation=0.3, cache_folder=tmp_path)
    # Old checkpoints name a head even if the method has none.
    second.load_state_dict({"head": None} | first.state_dict())
    assert [second.step(number) for number in range(4, 6)] == metrics[3:]
    assert second.validate() == uninterrupted.validate()
    with pytest.raises(Untrusted):
        second.load_state_dict({"policy": {}})


def test_reference_logprobs_are_computed_once_and_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dpo(cache_folder=tmp_path).step(1)
    files = sorted(tmp_path.iterdir())
    assert files
    cached = make_dpo(cache_folder=tmp_path)
    monkeypatch.setattr(cached.policy, "reference_logprobs", None)  # computing them again would fail
    metrics = cached.step(1)
    assert metrics["loss"] == pytest.approx(make_dpo().step(1)["loss"], abs=1e-12)
    files[0].write_bytes(files[0].read_bytes()[:-64])
    with_damaged_cache = make_dpo(cache_folder=tmp_path)
    assert with_damaged_cache.step(1)["loss"] == metrics["loss"]


@pytest.mark.parametrize("name", KL_LIMITED_METHODS)
def test_kl_limit_stops_all_later_changes_of_weights(name: str) -> None:
    method = make_method(name, kl_mode="stop", kl_limit=1e-6)
    before = method.policy.state_dict()
    metrics = method.step(1)
    assert metrics["kl"] > 1e-6  # the policy already differs from its base
    assert not weights_equal(method.policy, before)  # the step that exceeds the limit is the last to count
    assert method.kl_stopped_at_step == 1
    stopped = method.policy.state_dict()
    assert method.step(2) == {"tokens": 0.0, "capped": 1.0}
    assert weights_equal(method.policy, stopped)


@pytest.mark.parametrize("name", KL_LIMITED_METHODS)
def test_training_continues_below_the_kl_limit(name: str) -> None:
    method = make_method(name, kl_mode="stop", kl_limit=1e6)
    method.step(1)
    before = method.policy.state_dict()
    assert "capped" not in method.step(2)
    assert method.kl_stopped_at_step == 0
    assert not weights_equal(method.policy, before)


@pytest.mark.parametrize("name", KL_LIMITED_METHODS)
def test_kl_penalty_adds_its_gradient_in_proportion_to_its_weight_and_lowers_the_kl(name: str) -> None:
    def gradients(kl_weight: float) -> list[Tensor]:
        settings: dict[str, Any] = {"kl_mode": "penalise", "kl_weight": kl_weight} if kl_weight else {}
        return step_gradients(make_method(name, **settings))[1]

    free, single, double = gradients(0.0), gradients(0.5), gradients(1.0)
    penalty = [with_penalty - without for with_penalty, without in zip(single, free, strict=True)]
    assert max(gradient.abs().max() for gradient in penalty) > 1e-5
    for twice, without, once in zip(double, free, penalty, strict=True):
        torch.testing.assert_close(twice - without, 2 * once, rtol=1e-9, atol=1e-13)

    method = make_method(name, kl_mode="penalise", kl_weight=0.5)
    kl = step_gradients(method)[0]["kl"]
    with torch.no_grad():
        for parameter, gradient in zip(method.optimiser.parameters, penalty, strict=True):
            parameter -= 1e-3 * gradient
    assert step_gradients(method)[0]["kl"] < kl


@pytest.mark.slow
def test_kl_limit_and_kl_penalty_hold_over_many_steps() -> None:
    unlimited = make_dpo(trained=False, learning_rate=3e-2)
    kls = [unlimited.step(number)["kl"] for number in range(1, 9)]
    assert kls[0] < 1e-20 < kls[-1]
    limited = make_dpo(trained=False, learning_rate=3e-2, kl_mode="stop", kl_limit=kls[3])
    metrics = [limited.step(number) for number in range(1, 9)]
    assert limited.kl_stopped_at_step == next(step for step, kl in enumerate(kls, 1) if kl > kls[3])
    state = limited.policy.state_dict()
    assert metrics[-1] == {"tokens": 0.0, "capped": 1.0}
    limited.step(8)
    assert weights_equal(limited.policy, state)
    penalised = make_dpo(trained=False, learning_rate=3e-2, kl_mode="penalise", kl_weight=3.0)
    assert [penalised.step(number)["kl"] for number in range(1, 9)][-1] < kls[-1] / 2


def test_replay_mixes_in_earlier_lessons() -> None:
    method = make_dpo(num_earlier=5, replay=0.5)
    new, earlier = set(method.split.train_indices), set(method.split.replay_indices)
    pairs = set(method.lesson_indices(1))
    assert (len(new & pairs), len(earlier & pairs)) == (3, 3)
    assert not earlier & set(method.split.validation_indices)


def test_settings_survive_json_and_unknown_settings_raise_bad_input() -> None:
    config = DpoConfig(beta=0.3, kl_mode="stop", kl_limit=0.5)
    assert DpoConfig.from_dict(config.to_dict()) == config
    with pytest.raises(BadInput, match="'bete'"):
        DpoConfig.from_dict({"bete": 0.3})
    for wrong in ({"kl_mode": "stop"}, {"beta": 0.0}, {"passes": 0}, {"validation": 1.0}, {"learning_rate": -1.0}):
        with pytest.raises(BadInput):
            DpoConfig.from_dict(wrong)


def test_raises_bad_input_without_a_usable_lesson() -> None:
    equal_answers = [replace(pair, second=pair.first) for pair in random_lessons("dpo", 3)]
    with pytest.raises(BadInput, match="equal answers"):
        Dpo(DpoConfig(), tiny_policy(), equal_answers, letter_encoder(100))
    for name in OFFLINE_METHODS:
        with pytest.raises(BadInput):
            make_method(name, count=0)
