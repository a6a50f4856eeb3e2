"""One code for every device: where it computes, and that each device learns the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.training.networks import tiny_policy
from tests.training.rl_tasks import collector
from tests.training.test_methods import METHODS, method
from yearling.errors import BadInput
from yearling.training import choose_device, choose_dtype
from yearling.training.methods.grpo import Grpo, GrpoConfig
from yearling.training.methods.ppo import Ppo, PpoConfig
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import InMemoryRolloutLog

HERE = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
ROUNDING = {"cpu": 1e-9, "cuda": 2e-4}
"""How far weights may lie apart after a few steps: sines differ in the last bits of float32, and Adam makes a whole step of them
where a gradient is nearly zero."""
SMALL: dict[str, Any] = {
    "steps": 4, "prompts": 4, "samples": 4, "max_tokens": 4, "validation_tasks": 4, "truncated": "score", "warmup": 0.0,
}  # fmt: skip


def same(policy: Policy, other: Policy, *, moved_from: dict[str, torch.Tensor]) -> None:
    mine, theirs = policy.state_dict(), other.state_dict()
    assert any(not torch.equal(mine[name].cpu(), moved_from[name].cpu()) for name in mine), "nothing was learnt"
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor.cpu(), theirs[name].cpu(), rtol=1e-7, atol=ROUNDING[policy.device.type])


@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("name", METHODS)
def test_learning_from_lessons_is_the_same_on_every_device(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fused, elsewhere = method(name), method(name, device=device)
    # The decoder's own code, which is what a GPU runs, and not the one for CPUs.
    monkeypatch.setattr(elsewhere.policy, "_trunk", lambda: None)
    start = elsewhere.policy.state_dict()
    for number in (1, 2, 3):
        first, second = fused.step(number), elsewhere.step(number)
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-7, abs=ROUNDING[device])
    assert (fused.policy.trunk_implementation, elsewhere.policy.trunk_implementation) == ("fused", "plain")
    same(elsewhere.policy, fused.policy, moved_from=start)


@pytest.mark.parametrize("device", HERE)
@pytest.mark.parametrize("kind", ["grpo", "ppo"])
def test_reinforcement_is_the_same_on_every_device(kind: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was drawn is given: two devices round differently, and one different token would change everything after it."""
    log = InMemoryRolloutLog()

    def learner(place: str) -> Grpo | Ppo:
        policy = tiny_policy(device=place)
        if kind == "grpo":
            config = GrpoConfig(**SMALL, attempts=1)
            return Grpo(config, policy, collector(policy, config, log=log)[0])
        settings = PpoConfig(**SMALL, value_warmup=1)
        return Ppo(settings, policy, collector(policy, settings, log=log)[0])

    fused, elsewhere = learner("cpu"), learner(device)
    monkeypatch.setattr(elsewhere.policy, "_trunk", lambda: None)
    start = elsewhere.policy.state_dict()
    for number in (1, 2):
        first, second = fused.step(number), elsewhere.step(number)
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-6, abs=ROUNDING[device])
    same(elsewhere.policy, fused.policy, moved_from=start)


@pytest.mark.parametrize("device", HERE)
def test_every_device_draws_what_it_computes(device: str) -> None:
    policy = tiny_policy(device=device)
    config = GrpoConfig(**SMALL, attempts=1)
    figures = Grpo(config, policy, collector(policy, config)[0]).step(1)
    assert figures["engine_ratio"] == pytest.approx(1, abs=1e-6)


def test_a_device_that_is_not_there_is_refused_in_words() -> None:
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == HERE[-1]
    with pytest.raises(BadInput, match="not a training device"):
        choose_device("tpu")
    if "cuda" not in HERE:
        with pytest.raises(BadInput, match="sees no GPU"):
            choose_device("cuda")


def test_the_type_of_the_weights_follows_the_device() -> None:
    assert choose_dtype("float32", "cpu") == "float32"
    assert choose_dtype("auto", "cpu") in ("float32", "bfloat16")
    with pytest.raises(BadInput, match="not a number format"):
        choose_dtype("int4", "cpu")
