"""What every method carries from step to step, and a checkpoint keeps: its parts, and whether the KL cap was reached.

Holds no loss and no step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from torch import nn

from yearling.errors import Untrusted


class Stateful(Protocol):
    """Policy, optimiser, curriculum: whatever has a state of its own."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Any) -> Any: ...


class BaseMethod:
    """`parts` by the name that a checkpoint gives each of them."""

    name: ClassVar[str]

    def __init__(self, **parts: Stateful) -> None:
        self._parts = parts
        self.kl_stopped_at_step = 0
        """The step whose KL reached the cap, 0 before: no later step changes the weights."""

    def stopped_metrics(self) -> dict[str, float]:
        """The metrics of a step after the cap was reached: nothing is computed or changed."""
        return {"tokens": 0.0, "capped": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {name: _copied_state(part) for name, part in self._parts.items()} | {"capped_at": self.kl_stopped_at_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises Untrusted when the state is that of another method or policy."""
        state = {name: value for name, value in state.items() if value is not None}  # older ones name a head that is not there
        if state.keys() != {*self._parts, "capped_at"}:
            raise Untrusted("The checkpoint is not one of this method.", advice="Resume with the run's own settings.")
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.kl_stopped_at_step = int(state["capped_at"])


def _copied_state(part: Stateful) -> dict[str, Any]:
    """A module's tensors are copied: it gives out its own, which later steps change."""
    state = part.state_dict()
    return {name: value.clone() for name, value in state.items()} if isinstance(part, nn.Module) else state
