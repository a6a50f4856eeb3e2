from __future__ import annotations

import math

import pytest
import torch

from yearling.errors import BadInput
from yearling.training.policy.optimiser import Optimiser, OptimiserConfig


def run_steps(optimiser: Optimiser, parameter: torch.Tensor, steps: range) -> None:
    for number in steps:
        (parameter - number).square().sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step(number)


def test_learning_rate_follows_warmup_and_schedule() -> None:
    config = OptimiserConfig(learning_rate=1.0, warmup=0.2, final=0.1, schedule="linear")
    rates = [config.learning_rate_at(step, 10) for step in range(1, 11)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[-1] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    cosine = OptimiserConfig(learning_rate=1.0, warmup=0.0, final=0.0)
    assert cosine.learning_rate_at(5, 10) == pytest.approx(0.5)
    assert OptimiserConfig(learning_rate=1.0, warmup=0.0, schedule="constant").learning_rate_at(99, 100) == 1.0


def test_resumed_optimiser_continues_bit_for_bit() -> None:
    config = OptimiserConfig(learning_rate=0.1)
    uninterrupted = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    run_steps(Optimiser([uninterrupted], config, 8), uninterrupted, range(1, 9))
    resumed = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    first = Optimiser([resumed], config, 8)
    run_steps(first, resumed, range(1, 4))
    second = Optimiser([resumed], config, 8)
    second.load_state_dict(first.state_dict())
    run_steps(second, resumed, range(4, 9))
    assert torch.equal(uninterrupted, resumed)


def test_gradient_is_clipped_and_a_non_finite_gradient_changes_nothing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2, 2))
    optimiser = Optimiser([parameter], OptimiserConfig(learning_rate=0.1, warmup=0.0), 10)
    parameter.grad = torch.full((2, 2), 50.0)
    assert optimiser.step(1)["grad_norm"] == pytest.approx(100.0)
    before = parameter.detach().clone()
    parameter.grad = torch.full((2, 2), float("nan"))
    assert math.isnan(optimiser.step(2)["grad_norm"])
    assert torch.equal(parameter.detach(), before)


def test_raises_bad_input_for_settings_out_of_range() -> None:
    for changes in ({"learning_rate": 0.0}, {"warmup": 2.0}, {"schedule": "magic"}, {"clip_norm": -1.0}):
        with pytest.raises(BadInput):
            OptimiserConfig(**changes)
