"""AdamW (1711.05101) with warm-up, a learning-rate schedule and gradient clipping. The only code that changes weights.

The learning rate depends on the step number alone, so a resumed run needs the moments only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.training.policy.dtensors import gather_full, shard_like

Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig:
    """Settings of the optimiser. Raises BadInput if one is out of range.

    The learning rate rises to `learning_rate` during the first `warmup` share of the steps. The schedule then keeps it constant,
    or lowers it to `final` times the peak. `clip_norm` bounds the norm of the gradient over all parameters; 0 turns clipping
    off."""

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
        in_range = self.learning_rate > 0 and all(0 <= share <= 1 for share in shares)
        if not in_range or self.schedule not in ("constant", "linear", "cosine") or self.clip_norm < 0 or self.weight_decay < 0:
            raise BadInput(
                "An optimiser setting is out of range.",
                advice="The learning rate must be positive, shares between 0 and 1, and the schedule constant, linear or cosine.",
            )

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """The learning rate of a step; the first step is 1."""
        warmup_steps = math.ceil(self.warmup * total_steps)
        if step <= warmup_steps:
            return self.learning_rate * step / warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        share = (1 + math.cos(math.pi * progress)) / 2 if self.schedule == "cosine" else 1 - progress
        return self.learning_rate * (self.final + (1 - self.final) * share)


class Optimiser:
    """AdamW over the parameters that require a gradient. Raises ValueError if there are none.

    Call `step` once the gradients of a whole optimiser step are accumulated; it clears them."""

    def __init__(self, parameters: Iterable[Tensor], config: OptimiserConfig, total_steps: int) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        if not self.parameters:
            raise ValueError("there are no parameters to train")
        self.config, self.total_steps = config, total_steps
        # Biases and norm weights, which have one dimension, are not decayed.
        matrices = [parameter for parameter in self.parameters if parameter.dim() > 1]
        undecayed = [parameter for parameter in self.parameters if parameter.dim() <= 1]
        groups: list[dict[str, object]] = [{"params": matrices}, {"params": undecayed, "weight_decay": 0.0}]
        self._adamw = torch.optim.AdamW(
            groups,
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay,
        )

    def step(self, number: int) -> dict[str, float]:
        """Make update `number` (the first is 1). Returns `grad_norm`, the norm before clipping, and `learning_rate`.

        If the gradient is not finite, nothing changes, and `grad_norm` reports it so that the loop stops the run."""
        learning_rate = self.config.learning_rate_at(number, self.total_steps)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        grad_norm = float(gather_full(norm))
        if math.isfinite(grad_norm):
            if self.config.clip_norm:
                torch.nn.utils.clip_grads_with_norm_(self.parameters, self.config.clip_norm, norm)
            for group in self._adamw.param_groups:
                group["lr"] = learning_rate
            self._adamw.step()
        self._adamw.zero_grad(set_to_none=True)
        return {"grad_norm": grad_norm, "learning_rate": learning_rate}

    def state_dict(self) -> dict[str, object]:
        """The state of AdamW. Sharded moments are gathered into complete tensors."""
        state = self._adamw.state_dict()
        moments = {
            index: {name: gather_full(value) if isinstance(value, Tensor) else value for name, value in entry.items()}
            for index, entry in state["state"].items()
        }
        return state | {"state": moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. Complete moments are sharded as their parameters are."""
        parameters = [parameter for group in self._adamw.param_groups for parameter in group["params"]]
        moments = {
            index: {name: _restore_moment(value, parameters[index]) for name, value in entry.items()}
            for index, entry in state["state"].items()
        }
        self._adamw.load_state_dict({**state, "state": moments})


def _restore_moment(value: object, parameter: Tensor) -> object:
    """A value of AdamW's state for one parameter: moments are laid out as the parameter, the step count is returned unchanged."""
    if isinstance(value, Tensor) and value.shape == parameter.shape:
        return shard_like(value.to(parameter.device), parameter)
    return value
