"""What a training method is to the loop that runs it (`loop.py`): steps with metrics, and a state that can be saved.

The loop knows nothing of losses; a method knows nothing of files, of checkpoints or of being interrupted. The bargain that makes
a resumed run equal to an undisturbed one, bit for bit on a CPU: everything random in a step comes from the run's seed and the
step's number, and everything else that a step depends on is in `state_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from yearling.models import Adapter

if TYPE_CHECKING:
    import torch


class TrainedPolicy(Protocol):
    """What the loop and the export need of a policy; the rest of it is the method's business."""

    base_sha256: str
    """Hash of the weights that training started from."""

    def state_dict(self) -> dict[str, Any]:
        """The trained tensors, and nothing of the frozen base."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

    def adapter(self) -> Adapter:
        """The trained adapter. Raises Unsupported where all weights are trained."""
        ...


class Method(Protocol):
    """One way to train: SFT, DPO, GRPO and so on, over its own data."""

    name: str
    total_steps: int

    @property
    def policy(self) -> TrainedPolicy: ...

    def step(self, number: int) -> dict[str, float]:
        """Make optimiser step `number` (the first is 1) and return its metrics.

        Names in use: `loss`, `reward`, `kl`, `pass_rate`, `entropy`, `length`, `explained_variance`, `learning_rate`,
        `grad_norm`, and `tokens`, how many tokens the step trained on, from which the loop computes the speed. Names that end in
        `_s` are durations, the only ones that a resumed run may tell differently. Raises UserError for what a person can fix.
        """
        ...

    def validate(self) -> dict[str, float] | None:
        """Figures on data that is not trained on, `score` among them (higher is better; the best checkpoint is kept). None where
        the method has no such data. Must change nothing that a step depends on."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All state: tensors, numbers, strings, None, and dicts, lists and tuples of these.

        `policy` holds `policy.state_dict()`, so that an adapter can be exported without the data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def step_generator(seed: int, step: int, purpose: int = 0) -> torch.Generator:
    """A generator of random numbers for one purpose in one step: the same whatever happened before it."""
    import torch

    # The mixing constants of SplitMix64 (Steele, Lea and Flood 2014): neighbouring steps get unrelated streams.
    value = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + purpose * 0x94D049BB133111EB) & (1 << 64) - 1
    value = (value ^ value >> 31) * 0xD6E8FEB86659FD93 & (1 << 64) - 1
    return torch.Generator().manual_seed((value ^ value >> 29) & (1 << 63) - 1)
