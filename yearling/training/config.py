"""The settings that all training methods share: the KL limit and the optimiser.

Settings are plain values, as run.json stores them. Each method adds its own settings and defaults in its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, Self

from yearling.errors import BadInput
from yearling.training.policy.optimiser import OptimiserConfig, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Settings of every method. Each method measures the KL divergence of the policy from its base in its own way, in nats per
    token.

    With `kl_mode` `stop` a run stops changing weights once the KL divergence exceeds `kl_limit`. With `penalise` the KL
    divergence enters the loss with the weight `kl_weight`; with `anchor` that of generic prompts does (`methods/anchor.py`), in
    methods that can. Raises BadInput if a setting is out of range or a KL setting is missing."""

    can_anchor: ClassVar[bool] = False
    """Whether the method knows the KL mode `anchor`."""

    kl_mode: Literal["off", "stop", "penalise", "anchor"] = "off"
    """What to do about the KL divergence from the base model: nothing, stop at kl_limit, penalise it by kl_weight on the learnt
    tokens, or hold the model to its base on generic prompts by kl_weight (sft, dpo and kto; 1 to 4)."""
    kl_limit: float = 0.0
    """KL divergence above which a run stops changing weights, in nats per token; needed by `stop`. With `anchor` it is that of
    the generic prompts, and 0 never stops."""
    kl_weight: float = 0.0
    """Weight of the KL divergence in the loss; needed by `penalise` and `anchor`."""
    learning_rate: float = 1e-4
    """Peak learning rate."""
    schedule: Schedule = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises to its peak."""
    final: float = 0.1
    """Learning rate at the end, as a share of the peak."""
    weight_decay: float = 0.0
    """Decoupled weight decay of the optimiser (AdamW), 0 or more."""
    clip_norm: float = 1.0
    """Upper bound on the norm of the gradient; 0 turns clipping off."""
    seed: int = 0
    """Seed of all random numbers of the run."""

    def __post_init__(self) -> None:
        kl_setting = {"off": 0.0, "stop": self.kl_limit, "penalise": self.kl_weight, "anchor": self.kl_weight}.get(
            self.kl_mode, -1.0
        )
        if kl_setting < 0 or (self.kl_mode != "off" and not kl_setting):
            raise BadInput(
                f"The KL mode {self.kl_mode!r} has no limit or weight.",
                advice="Set kl_limit with `stop`, or kl_weight with `penalise` and `anchor`.",
                param="kl_mode",
            )
        if self.kl_mode == "anchor" and not self.can_anchor:
            raise BadInput(
                "This method cannot be held to its base on generic prompts.",
                advice="Use the KL mode `stop` or `penalise`; sft, dpo and kto take `anchor`.",
                param="kl_mode",
            )
        self.optimiser_config()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings from JSON values. Raises BadInput for a key that is not a setting of this method."""
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise BadInput(
                    f"There is no setting {key!r}.", advice=f"Available settings: {', '.join(sorted(known))}.", param=key
                )
        return cls(**values)

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values."""
        return asdict(self)

    def optimiser_config(self) -> OptimiserConfig:
        """The optimiser's part of the settings. Raises BadInput if they are out of range."""
        return OptimiserConfig(
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            final=self.final,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
        )
