"""The interface between the training loop (`loop.py`) and a training method: steps with metrics, and a state that can be saved.

The loop knows no losses; a method knows no files, checkpoints or interruptions. A resumed run equals an uninterrupted one, bit
for bit on a CPU, because every method keeps two rules: all random numbers of a step come from the run's seed and the step's
number (`seeding.py`), and everything else that a step depends on is in `state_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from yearling.models import Adapter


class TrainedPolicy(Protocol):
    """What the loop and the export need of a policy."""

    base_sha256: str
    """Hash of the weights that training started from."""

    def state_dict(self) -> Mapping[str, object]:
        """The trained tensors, without the frozen base."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. Raises Untrusted for the state of another policy."""
        ...

    def adapter(self) -> Adapter:
        """The trained adapter. Raises Unsupported if all weights are trained."""
        ...


class Method(Protocol):
    """One way to train (SFT, DPO, GRPO and so on) over its own data."""

    name: str
    total_steps: int

    @property
    def policy(self) -> TrainedPolicy:
        """The policy under training."""
        ...

    def step(self, number: int) -> dict[str, float]:
        """Make optimiser step `number` (the first is 1) and return its metrics.

        Shared metric names: `loss`, `reward`, `kl`, `pass_rate`, `entropy`, `length`, `explained_variance`, `learning_rate`,
        `grad_norm`, and `tokens`, the number of tokens in the step, from which the loop computes the speed. Names ending in `_s`
        are durations in seconds; only they may differ in a resumed run. Raises UserError for what a person can fix.
        """
        ...

    def validate(self) -> dict[str, float] | None:
        """Metrics on data that is not trained on, among them `score` (higher is better; the loop keeps the best checkpoint).

        None if the method has no such data. Must not change anything that a step depends on."""
        ...

    def state_dict(self) -> Mapping[str, object]:
        """The complete state: tensors, numbers, strings, None, and dicts, lists and tuples of them.

        `policy` holds `policy.state_dict()`, so that the policy can be exported without the training data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. Raises Untrusted for the state of another method."""
        ...
