"""A method small enough to be killed a hundred times: a two-layer network that learns from random rewards.

The rewards differ each time they are drawn, as those of a real engine may. A repeated step must therefore use the recorded
rollouts, or the run ends differently.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from yearling.errors import Unsupported
from yearling.models import Adapter
from yearling.training import RunFolder, step_generator

WIDTH = 32


class TinyPolicy:
    """What the loop needs of a policy."""

    base_sha256 = "0" * 64

    def __init__(self, seed: int) -> None:
        generator = step_generator(seed, 0)
        shapes = ((WIDTH, WIDTH), (WIDTH, 1))
        self.weights = [nn.Parameter(torch.randn(shape, generator=generator) / WIDTH**0.5) for shape in shapes]

    def value(self, x: Tensor) -> Tensor:
        return torch.tanh(x @ self.weights[0]) @ self.weights[1]

    def state_dict(self) -> dict[str, Any]:
        return {str(index): weight.detach() for index, weight in enumerate(self.weights)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            for index, weight in enumerate(self.weights):
                weight.copy_(state[str(index)])

    def adapter(self) -> Adapter:
        raise Unsupported("The tiny network has no adapter.")


class TinyMethod:
    """Regression towards random rewards, with AdamW and a running baseline: state of every kind that must survive a kill.

    `ballast` further numbers in the state make a checkpoint slow enough to be hit by a kill. The loss of step `nan_at` is not a
    number."""

    name = "tiny"

    def __init__(
        self, run: RunFolder, *, total_steps: int = 12, seed: int = 1, pause_s: float = 0.0, ballast: int = 0, nan_at: int = 0
    ) -> None:
        self.total_steps = total_steps
        self._run, self._seed, self._pause_s, self._nan_at = run, seed, pause_s, nan_at
        self.policy = TinyPolicy(seed)
        self._optimiser = torch.optim.AdamW(self.policy.weights, lr=1e-2)
        self._baseline = 0.0
        self._ballast = torch.zeros(ballast)

    def step(self, number: int) -> dict[str, float]:
        time.sleep(self._pause_s)
        rollouts = self._run.read_rollouts(number)
        if rollouts is None:
            rollouts = [{"reward": int.from_bytes(os.urandom(4)) / 2**32} for _ in range(8)]
            self._run.record_rollouts(number, rollouts)
        x = torch.randn(8, WIDTH, generator=step_generator(self._seed, number))
        rewards = torch.tensor([rollout["reward"] for rollout in rollouts])[:, None]
        self._baseline += 0.1 * (float(rewards.mean()) - self._baseline)
        loss = ((self.policy.value(x) - (rewards - self._baseline)) ** 2).mean()
        if number == self._nan_at:
            loss = loss * float("nan")
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return {"loss": loss.item(), "reward": float(rewards.mean()), "tokens": 8.0, "pause_s": self._pause_s}

    def validate(self) -> dict[str, float] | None:
        with torch.no_grad():
            x = torch.randn(64, WIDTH, generator=step_generator(self._seed, 0, purpose=1))
            return {"score": -float(self.policy.value(x).square().mean())}

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "baseline": self._baseline,
            "ballast": self._ballast,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._baseline = state["baseline"]


def reproducible_outcome(run: RunFolder) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """What equal runs have in common: the step and hashes of the last checkpoint, and the metrics without times."""
    last = run.checkpoints.all()[-1]
    lines = [{name: value for name, value in line.items() if not name.endswith(("_s", "_utc"))} for line in run.read_metrics()]
    return {"step": str(last.step), **last.hashes}, lines
