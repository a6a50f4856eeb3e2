"""Training gives the same result on every device, and the device and number format are chosen and checked."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.networks import tiny_policy
from tests.training.offline_methods import OFFLINE_METHODS, make_method
from tests.training.rl_tasks import SMALL_RL_CONFIG, make_collector
from yearling.errors import BadInput
from yearling.training import choose_device, choose_dtype
from yearling.training.methods.grpo import Grpo, GrpoConfig
from yearling.training.methods.ppo import Ppo, PpoConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
ROUNDING = {"cpu": 1e-9, "cuda": 2e-4}
"""Largest difference of weights after a few steps. Sines differ in the last bits of float32, and Adam makes a complete step of
such a difference where a gradient is almost zero."""
SMALL: dict[str, Any] = {**SMALL_RL_CONFIG, "steps": 4}


def assert_learnt_the_same(policy: Policy, other: Policy, *, start: dict[str, Tensor]) -> None:
    """Both policies have the same weights, which differ from those at the start."""
    state, other_state = policy.state_dict(), other.state_dict()
    assert any(not torch.equal(state[name].cpu(), start[name].cpu()) for name in state), "nothing was learnt"
    for name, tensor in state.items():
        torch.testing.assert_close(tensor.cpu(), other_state[name].cpu(), rtol=1e-7, atol=ROUNDING[policy.device.type])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", OFFLINE_METHODS)
def test_offline_methods_learn_the_same_on_every_device(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fused, plain = make_method(name), make_method(name, device=device)
    # A GPU runs the decoder's own code, not the fused code for CPUs.
    monkeypatch.setattr(plain.policy, "_trunk", lambda: None)
    start = plain.policy.state_dict()
    for number in (1, 2, 3):
        expected, metrics = fused.step(number), plain.step(number)
        assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-7, abs=ROUNDING[device])
    assert (fused.policy.trunk_implementation, plain.policy.trunk_implementation) == ("fused", "plain")
    assert_learnt_the_same(plain.policy, fused.policy, start=start)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["grpo", "ppo"])
def test_online_methods_learn_the_same_on_every_device(kind: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rollouts are given: devices round differently, and one different token would change everything after it."""
    log = InMemoryRolloutLog()

    def make_online_method(method_device: str) -> Grpo | Ppo:
        policy = tiny_policy(device=method_device)
        if kind == "grpo":
            grpo_config = GrpoConfig(**SMALL, attempts=1)
            return Grpo(grpo_config, policy, make_collector(policy, grpo_config, log=log)[0])
        ppo_config = PpoConfig(**SMALL, value_warmup=1)
        return Ppo(ppo_config, policy, make_collector(policy, ppo_config, log=log)[0])

    fused, plain = make_online_method("cpu"), make_online_method(device)
    monkeypatch.setattr(plain.policy, "_trunk", lambda: None)
    start = plain.policy.state_dict()
    for number in (1, 2):
        expected, metrics = fused.step(number), plain.step(number)
        assert metrics["loss"] == pytest.approx(expected["loss"], rel=1e-6, abs=ROUNDING[device])
    assert_learnt_the_same(plain.policy, fused.policy, start=start)


@pytest.mark.parametrize("device", DEVICES)
def test_sampler_and_trainer_agree_on_every_device(device: str) -> None:
    policy = tiny_policy(device=device)
    config = GrpoConfig(**SMALL, attempts=1)
    metrics = Grpo(config, policy, make_collector(policy, config)[0]).step(1)
    assert metrics["engine_ratio"] == pytest.approx(1, abs=1e-6)


def test_choose_device_raises_bad_input_for_unknown_and_missing_devices() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == DEVICES[-1]
    with pytest.raises(BadInput, match="not a training device"):
        choose_device("tpu")
    if "cuda" not in DEVICES:
        with pytest.raises(BadInput, match="sees no GPU"):
            choose_device("cuda")


def test_choose_dtype_follows_the_device_and_raises_bad_input_for_unknown_formats() -> None:
    assert choose_dtype("float32", "cpu") == "float32"
    assert choose_dtype("auto", "cpu") in ("float32", "bfloat16")
    with pytest.raises(BadInput, match="not a number format"):
        choose_dtype("int4", "cpu")
