"""AdamW (1711.05101) with warm-up, a schedule and gradient clipping; the only place that changes weights.

The learning rate follows from the step's number alone, so a resumed run needs nothing but the moments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.training.policy.dtensors import gather_full, shard_like

Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig:
    """`learning_rate` is the peak, reached after the first `warmup` part of all steps and then kept or lowered to `final` times
    the peak by the schedule. `clip_norm` bounds the norm of the whole gradient; 0 leaves it alone."""

    learning_rate: float = 1e-4
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    final: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        shares = (self.warmup, self.final, self.beta1, self.beta2)
        usable = self.learning_rate > 0 and all(0 <= share <= 1 for share in shares)
        if not usable or self.schedule not in ("constant", "linear", "cosine") or self.clip_norm < 0 or self.weight_decay < 0:
            raise BadInput("The optimiser's settings make no sense.", advice="Rates must be positive, shares between 0 and 1.")

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """The learning rate of step `step`; the first is 1."""
        warm = math.ceil(self.warmup * total_steps)
        if step <= warm:
            return self.learning_rate * step / warm
        if self.schedule == "constant":
            return self.learning_rate
        done = min(1.0, (step - warm) / max(1, total_steps - warm))
        share = (1 + math.cos(math.pi * done)) / 2 if self.schedule == "cosine" else 1 - done
        return self.learning_rate * (self.final + (1 - self.final) * share)


class Optimiser:
    """Call `step` after the gradients of a whole optimiser step stand in the parameters; it clears them."""

    def __init__(self, parameters: Iterable[Tensor], config: OptimiserConfig, total_steps: int) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self.parameters:
            raise ValueError("nothing is to be trained")
        self.config, self.total_steps = config, total_steps
        # Biases and norms, which have one dimension, are not decayed.
        matrices = [parameter for parameter in self.parameters if parameter.dim() > 1]
        others = [parameter for parameter in self.parameters if parameter.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        self._adamw = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
        )

    def step(self, number: int) -> dict[str, float]:
        """One update, as step `number` the first being 1. Gives `grad_norm` before clipping, and `learning_rate`.

        With a gradient that is not finite nothing is changed and `grad_norm` says so: the run stops on it."""
        rate = self.config.learning_rate_at(number, self.total_steps)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        length = float(gather_full(norm))
        if math.isfinite(length):
            if self.config.clip_norm:
                torch.nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip_norm, norm)
            for group in self._adamw.param_groups:
                group["lr"] = rate
            self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        return {"grad_norm": length, "learning_rate": rate}

    def state_dict(self) -> dict[str, Any]:
        """As AdamW's own, with whole tensors where each process holds a part."""
        state = self._adamw.state_dict()
        moments = {
            number: {name: gather_full(value) if isinstance(value, Tensor) else value for name, value in of_one.items()}
            for number, of_one in state["state"].items()
        }
        return state | {"state": moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        order = [parameter for group in self._adamw.param_groups for parameter in group["params"]]
        moments = {
            number: {
                name: shard_like(value.to(order[number].device), order[number]) if is_moment(value, order[number]) else value
                for name, value in of_one.items()
            }
            for number, of_one in state["state"].items()
        }
        self._adamw.load_state_dict(state | {"state": moments})


def is_moment(value: Any, parameter: Tensor) -> bool:
    """Whether a value is laid out as the parameter is; AdamW's count of steps is not."""
    return isinstance(value, Tensor) and value.shape == parameter.shape
