"""The state that every method carries from step to step and saves in checkpoints: its parts, and whether the KL limit was
reached.

Holds no loss and no step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from yearling.errors import Untrusted


class Stateful(Protocol):
    """Anything with a state of its own: policy, optimiser, curriculum."""

    def state_dict(self) -> Mapping[str, object]:
        """The state as tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object:
        """Restore what `state_dict` returned."""
        ...


class BaseMethod:
    """State handling of all methods. The keyword names of `parts` are the keys of the parts in a checkpoint."""

    name: str

    def __init__(self, **parts: Stateful) -> None:
        self._parts = parts
        self.kl_stopped_at_step = 0
        """The step whose KL divergence exceeded the limit, 0 if none has. Later steps change no weights."""

    def stopped_metrics(self) -> dict[str, float]:
        """The metrics of a step after the KL limit was exceeded, in which nothing is computed or changed."""
        return {"tokens": 0.0, "capped": 1.0}

    def state_dict(self) -> dict[str, object]:
        """The state of all parts by name, and the step that exceeded the KL limit."""
        return {name: _copied_state(part) for name, part in self._parts.items()} | {"capped_at": self.kl_stopped_at_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. Raises Untrusted for the state of another method or policy."""
        state = {name: value for name, value in state.items() if value is not None}  # old checkpoints name an absent head
        if state.keys() != {*self._parts, "capped_at"}:
            raise Untrusted("The checkpoint belongs to another method.", advice="Resume with the run's own settings.")
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.kl_stopped_at_step = int(state["capped_at"])


def _copied_state(part: Stateful) -> Mapping[str, object]:
    """The state of a part. A module returns its own tensors, which later steps change, so those are copied."""
    if isinstance(part, nn.Module):
        return {name: value.clone() for name, value in part.state_dict().items()}
    return part.state_dict()
