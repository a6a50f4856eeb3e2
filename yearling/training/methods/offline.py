"""What SFT, DPO, KTO and the reward model have in common: settings, the order of lessons, the KL cap, and state.

Holds no loss and no step: each method's file shows its whole step in one function.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from yearling.errors import BadInput
from yearling.training.config import TrainingConfig
from yearling.training.data.lesson_order import LessonOrder
from yearling.training.methods.base import BaseMethod
from yearling.training.policy.optimiser import Optimiser
from yearling.training.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineConfig(TrainingConfig):
    """The KL cap compares the policy with its base on the tokens that are learnt from, by the mean of ½(log π − log π_ref)²."""

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

    def __post_init__(self) -> None:
        if self.passes <= 0 or self.steps < 0 or min(self.lessons_per_step, self.budget_tokens, self.max_tokens) < 1:
            raise BadInput("Passes, lessons, budgets must be positive.", param="passes")
        if not 0 <= self.validation < 1 or not 0 <= self.replay < 1:
            raise BadInput("The shares for validation and replay must be at least 0 and below 1.", param="validation")
        TrainingConfig.__post_init__(self)

    @property
    def needs_reference(self) -> bool:
        return self.kl_mode != "off"


class OfflineMethod(BaseMethod):
    """Policy, optimiser, order of lessons, and where there is one the head."""

    def __init__(
        self, config: OfflineConfig, policy: Policy, *, num_new: int, num_earlier: int, head: nn.Module | None = None
    ) -> None:
        self.policy = policy
        self.head = head
        self.order = LessonOrder(
            num_new=num_new,
            num_earlier=num_earlier,
            lessons_per_step=min(config.lessons_per_step, num_new) if not num_earlier else config.lessons_per_step,
            replay_share=config.replay,
            seed=config.seed,
        )
        self.total_steps = config.steps or self.order.num_steps(config.passes)
        trained = [*policy.parameters(), *(head.parameters() if head is not None else ())]
        self.optimiser = Optimiser(trained, config.optimiser_config(), self.total_steps)
        self._kl_stop_limit = config.kl_limit if config.kl_mode == "stop" else 0.0
        super().__init__(policy=policy, optimiser=self.optimiser, **({} if head is None else {"head": head}))

    def check_kl_limit(self, number: int, kl: float) -> None:
        if self._kl_stop_limit and kl > self._kl_stop_limit and not self.kl_stopped_at_step:
            self.kl_stopped_at_step = number
