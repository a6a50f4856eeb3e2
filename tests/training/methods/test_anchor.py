"""The KL mode `anchor`: KL to the base on generic prompts, minimised, the same whatever the micro-batches and after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.networks import weights_equal
from tests.training.offline_methods import letter_encoder, make_method
from yearling.errors import BadInput
from yearling.training.methods.anchor import GenericAnchor, read_generic_prompts
from yearling.training.methods.dpo import DpoConfig
from yearling.training.methods.reward import RewardConfig
from yearling.training.methods.sft import SftConfig
from yearling.training.rollouts.collector import ReinforcementConfig

ANCHORED: dict[str, Any] = {"kl_mode": "anchor", "kl_weight": 2.0, "anchor_prompts": 3, "validation": 0.0}
METHODS = ("sft", "dpo", "kto")

pytestmark = pytest.mark.slow


def test_the_prompts_are_many_and_different() -> None:
    assert len(set(read_generic_prompts())) == len(read_generic_prompts()) >= 60


@pytest.mark.parametrize("full", [False, True])
def test_gradient_equals_finite_differences_and_lowers_the_divergence(full: bool) -> None:
    method = make_method("sft", full=full, trained=False, **ANCHORED)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in method.policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.05)
    anchor = method._anchor
    assert isinstance(anchor, GenericAnchor)

    before = anchor.accumulate(1, 2.0)
    parameter = max(method.policy.parameters(), key=lambda each: float(each.grad.abs().max()) if each.grad is not None else 0.0)
    assert parameter.grad is not None
    gradient, index = parameter.grad.clone(), int(parameter.grad.abs().argmax())
    epsilon = 1e-6
    with torch.no_grad():
        parameter.view(-1)[index] += epsilon
    after = anchor.accumulate(1, 0.0)
    assert 2.0 * (after - before) / epsilon == pytest.approx(float(gradient.view(-1)[index]), rel=1e-3)
    with torch.no_grad():
        parameter.view(-1)[index] -= epsilon
        parameter.sub_(1e-3 * gradient / gradient.norm())
    assert 0 < anchor.accumulate(1, 0.0) < before


@pytest.mark.parametrize("name", METHODS)
def test_trajectories_are_equal_whatever_the_micro_batches(name: str) -> None:
    one, many = (make_method(name, budget_tokens=budget, **ANCHORED) for budget in (100_000, 1))
    for step in (1, 2):
        metrics, others = one.step(step), many.step(step)
        assert metrics["anchor_kl"] == pytest.approx(others["anchor_kl"], rel=1e-9)
        assert metrics["anchor_kl"] > 0
    for a, b in zip(one.policy.parameters(), many.policy.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_a_policy_that_is_held_to_its_base_departs_less(name: str) -> None:
    free, held = (
        make_method(name, trained=False, learning_rate=0.02, **ANCHORED | {"kl_weight": weight}) for weight in (1e-9, 50.0)
    )
    for step in range(1, 7):
        free_kl, held_kl = free.step(step)["anchor_kl"], held.step(step)["anchor_kl"]
    assert held_kl < free_kl / 2


@pytest.mark.parametrize("name", METHODS)
def test_a_limit_stops_what_departs_too_far_on_the_generic_prompts(name: str) -> None:
    method = make_method(name, **ANCHORED | {"kl_limit": 1e-9})
    assert method.step(1)["anchor_kl"] > 1e-9  # the policy already differs from its base
    assert method.kl_stopped_at_step == 1
    stopped = method.policy.state_dict()
    assert method.step(2) == {"tokens": 0.0, "capped": 1.0}
    assert weights_equal(method.policy, stopped)
    free = make_method(name, **ANCHORED | {"kl_limit": 1e6})
    free.step(1)
    assert free.kl_stopped_at_step == 0


def test_a_resumed_run_uses_the_stored_answers_and_ends_the_same(tmp_path: Path) -> None:
    def method() -> Any:
        return make_method("sft", cache_folder=tmp_path, **ANCHORED)

    whole, first = method(), method()
    for step in (1, 2, 3):
        whole.step(step)
    first.step(1)
    resumed = method()
    resumed.load_state_dict(first.state_dict())
    for step in (2, 3):
        resumed.step(step)
    assert weights_equal(whole.policy, resumed.policy.state_dict())
    assert (tmp_path / "base_answers.json").is_file()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadInput, match="no limit or weight"):
        SftConfig(kl_mode="anchor")
    with pytest.raises(BadInput, match="at least one prompt"):
        DpoConfig(kl_mode="anchor", kl_weight=1.0, anchor_prompts=0)
    for config in (RewardConfig, ReinforcementConfig):
        with pytest.raises(BadInput):
            config(kl_mode="anchor", kl_weight=1.0)
    assert letter_encoder(100).tokenizer.stop_ids, "the base's answers need an end"
