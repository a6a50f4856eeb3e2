"""What SFT, DPO, KTO and the reward model have in common: settings, the order of lessons, the KL cap, and state.

Holds no loss and no step: each method's file shows its whole step in one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, Self

from torch import nn

from yearling.errors import BadInput, Untrusted
from yearling.training.optimiser import Optimiser, OptimiserConfig, Schedule
from yearling.training.order import Order
from yearling.training.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningConfig:
    """Plain values only: a run folder keeps them as JSON.

    The KL cap compares the policy with its base on the tokens that are learnt from, by the mean of ½(log π − log π_ref)² a token:
    above `kl_limit` nats (0: no limit) a run in the mode `stop` changes its weights no more; in the mode `penalise` the same
    quantity enters the loss with the weight `kl_weight`.
    """

    passes: float = 1.0
    """Over the new lessons."""
    steps: int = 0
    """How many to make, whatever that is in passes; 0 lets `passes` decide."""
    lessons_per_step: int = 32
    budget_tokens: int = 512
    """Tokens of a micro-batch: bounds memory, never changes a gradient."""
    max_tokens: int = 1024
    """Longer lessons are left out, and counted."""
    validation: float = 0.05
    """Share of the lessons that is kept for choosing the best checkpoint."""
    replay: float = 0.0
    """Share of each step that is drawn from earlier lessons."""
    kl_mode: Literal["off", "stop", "penalise"] = "off"
    kl_limit: float = 0.0
    kl_weight: float = 0.0
    learning_rate: float = 1e-4
    schedule: Schedule = "cosine"
    warmup: float = 0.05
    final: float = 0.1
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.passes <= 0 or self.steps < 0 or min(self.lessons_per_step, self.budget_tokens, self.max_tokens) < 1:
            raise BadInput("Passes, lessons, budgets must be positive.", param="passes")
        if not 0 <= self.validation < 1 or not 0 <= self.replay < 1:
            raise BadInput("The shares for validation and replay must be at least 0 and below 1.", param="validation")
        wanted = {"off": 0.0, "stop": self.kl_limit, "penalise": self.kl_weight}.get(self.kl_mode, -1.0)
        if wanted < 0 or (self.kl_mode != "off" and not wanted):
            raise BadInput(
                f"The KL cap {self.kl_mode!r} lacks its number.",
                advice="Give kl_limit with `stop`, kl_weight with `penalise`.",
                param="kl_mode",
            )
        self.optimiser()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """From JSON values. Raises BadInput for keys that are no settings of this method."""
        known = {field.name for field in fields(cls)}
        for key in plain:
            if key not in known:
                raise BadInput(f"There is no setting {key!r}.", advice=f"Settings: {', '.join(sorted(known))}.", param=key)
        return cls(**plain)

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def optimiser(self) -> OptimiserConfig:
        return OptimiserConfig(
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            final=self.final,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
        )

    @property
    def needs_reference(self) -> bool:
        return self.kl_mode != "off"


class Learner:
    """The state around the steps of a method: policy, optimiser, order of lessons, and whether the KL cap was reached."""

    name: ClassVar[str]

    def __init__(
        self, config: LearningConfig, policy: Policy, *, num_new: int, num_earlier: int, head: nn.Module | None = None
    ) -> None:
        self.policy = policy
        self.head = head
        self.order = Order(
            num_new=num_new,
            num_earlier=num_earlier,
            per_step=min(config.lessons_per_step, num_new) if not num_earlier else config.lessons_per_step,
            replay=config.replay,
            seed=config.seed,
        )
        self.total_steps = config.steps or self.order.steps(config.passes)
        trained = [*policy.parameters(), *(head.parameters() if head is not None else ())]
        self.optimiser = Optimiser(trained, config.optimiser(), self.total_steps)
        self._cap = config.kl_limit if config.kl_mode == "stop" else 0.0
        self.capped_at = 0
        """The step whose KL reached the cap, 0 before: no later step changes the weights."""

    def check_cap(self, number: int, kl: float) -> None:
        if self._cap and kl > self._cap and not self.capped_at:
            self.capped_at = number

    def idle(self) -> dict[str, float]:
        """The metrics of a step after the cap was reached: nothing is computed or changed."""
        return {"tokens": 0.0, "capped": 1.0}

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.policy.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "head": None if self.head is None else dict(self.head.state_dict()),
            "capped_at": self.capped_at,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises Untrusted when the state is that of another method or policy."""
        if state.keys() != {"policy", "optimiser", "head", "capped_at"} or (state["head"] is None) != (self.head is None):
            raise Untrusted("The checkpoint is not one of this method.", advice="Resume with the run's own settings.")
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(dict(state["optimiser"]))
        if self.head is not None:
            self.head.load_state_dict(state["head"])
        self.capped_at = int(state["capped_at"])
