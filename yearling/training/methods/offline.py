"""What SFT, DPO, KTO and the reward model share: settings, the order of lessons, the KL limit, and state.

Holds no loss and no step: each method's module shows its whole step in one function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from yearling.errors import BadInput
from yearling.training.config import TrainingConfig
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_order import LessonOrder
from yearling.training.data.lesson_split import LessonSplit
from yearling.training.distributed import all_reduce_sum
from yearling.training.methods.anchor import GenericAnchor
from yearling.training.methods.base import BaseMethod, Stateful
from yearling.training.policy.optimiser import Optimiser
from yearling.training.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineConfig(TrainingConfig):
    """Settings of methods that learn from lessons. They measure the KL divergence from the base on the target tokens, as the mean
    of ½(log π − log π_ref)². Raises BadInput if a setting is out of range."""

    can_anchor: ClassVar[bool] = True

    anchor_prompts: int = 8
    """Generic prompts in each step of the KL mode `anchor`."""
    passes: float = 1.0
    """Passes over the new lessons."""
    steps: int = 0
    """Number of steps, whatever that is in passes; 0 derives it from `passes`."""
    lessons_per_step: int = 32
    """Lessons in one optimiser step."""
    budget_tokens: int = 512
    """Tokens of a micro-batch. It bounds memory and never changes a gradient."""
    max_tokens: int = 1024
    """Longest lesson in tokens, prompt included. Longer lessons are left out and counted."""
    validation: float = 0.05
    """Share of the lessons that is held out to choose the best checkpoint."""
    replay: float = 0.0
    """Share of each step that comes from earlier lesson sets."""

    def __post_init__(self) -> None:
        if self.passes <= 0 or self.steps < 0 or min(self.lessons_per_step, self.budget_tokens, self.max_tokens) < 1:
            raise BadInput("Passes, lessons per step and token limits must be positive.", param="passes")
        if not 0 <= self.validation < 1 or not 0 <= self.replay < 1:
            raise BadInput("The validation and replay shares must be at least 0 and below 1.", param="validation")
        if self.anchor_prompts < 1:
            raise BadInput("The KL mode `anchor` needs at least one prompt in a step.", param="anchor_prompts")
        TrainingConfig.__post_init__(self)

    @property
    def needs_reference(self) -> bool:
        """Whether the KL divergence from the base has to be computed on the learnt tokens."""
        return self.kl_mode in ("stop", "penalise")

    @property
    def penalty_weight(self) -> float:
        """Weight of the KL divergence on the learnt tokens."""
        return 0.0 if self.kl_mode == "anchor" else self.kl_weight


class OfflineMethod(BaseMethod):
    """Policy, optimiser and lesson order of a method that learns from lessons, and its head if it has one."""

    def __init__(
        self,
        config: OfflineConfig,
        policy: Policy,
        split: LessonSplit,
        *,
        encoder: LessonEncoder,
        cache_folder: Path | None,
        head: nn.Module | None = None,
        parts: Mapping[str, Stateful] | None = None,
    ) -> None:
        """`parts` are further parts of the state. Raises what `GenericAnchor` raises."""
        num_new, num_earlier = len(split.train_indices), len(split.replay_indices)
        self.policy = policy
        self.head = head
        self.split = split
        self.order = LessonOrder(
            num_new=num_new,
            num_earlier=num_earlier,
            lessons_per_step=config.lessons_per_step if num_earlier else min(config.lessons_per_step, num_new),
            replay_share=config.replay,
            seed=config.seed,
        )
        self.total_steps = config.steps or self.order.num_steps(config.passes)
        trained = [*policy.parameters(), *(head.parameters() if head is not None else ())]
        self.optimiser = Optimiser(trained, config.optimiser_config(), self.total_steps)
        self._kl_stop_limit = config.kl_limit if config.kl_mode in ("stop", "anchor") else 0.0
        self._anchor_weight = config.kl_weight
        self._anchor = (
            GenericAnchor(
                policy,
                encoder,
                prompts_per_step=config.anchor_prompts,
                budget_tokens=config.budget_tokens,
                seed=config.seed,
                cache_folder=cache_folder,
            )
            if config.kl_mode == "anchor"
            else None
        )
        heads = {} if head is None else {"head": head}
        super().__init__(policy=policy, optimiser=self.optimiser, **(parts or {}), **heads)

    def lesson_indices(self, step: int) -> list[int]:
        """The lessons of a step: new ones, then replayed ones."""
        return self.split.select(*self.order.lessons_for_step(step))

    def accumulate_anchor(self, step: int) -> dict[str, float]:
        """Add the gradient of the KL mode `anchor` to that of the step, and stop the run at its limit.

        Metric: `anchor_kl`, in nats per token; none without the mode."""
        if self._anchor is None:
            return {}
        (kl,) = all_reduce_sum(self._anchor.accumulate(step, self._anchor_weight))
        self.check_kl_limit(step, kl)
        return {"anchor_kl": kl}

    def check_kl_limit(self, step: int, kl: float) -> None:
        """Stop changing weights after `step` if its KL divergence, in nats per token, exceeds the limit of the settings."""
        if self._kl_stop_limit and kl > self._kl_stop_limit and not self.kl_stopped_at_step:
            self.kl_stopped_at_step = step
