"""The settings that all methods have in common: the cap on the KL to the base, and the optimiser's. Plain values, as run.json
keeps them; what a method adds, and its own defaults, stand beside the method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from yearling.errors import BadInput
from yearling.training.policy.optimiser import OptimiserConfig, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """How far the policy is from its base each method measures in its own way, in nats a token: above `kl_limit` a run in the
    mode `stop` changes its weights no more; in the mode `penalise` the distance enters the loss with the weight `kl_weight`."""

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
        wanted = {"off": 0.0, "stop": self.kl_limit, "penalise": self.kl_weight}.get(self.kl_mode, -1.0)
        if wanted < 0 or (self.kl_mode != "off" and not wanted):
            raise BadInput(
                f"The KL cap {self.kl_mode!r} lacks its number.",
                advice="Give kl_limit with `stop`, kl_weight with `penalise`.",
                param="kl_mode",
            )
        self.optimiser_config()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From JSON values. Raises BadInput for keys that are no settings of this method."""
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise BadInput(f"There is no setting {key!r}.", advice=f"Settings: {', '.join(sorted(known))}.", param=key)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def optimiser_config(self) -> OptimiserConfig:
        return OptimiserConfig(
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warmup=self.warmup,
            final=self.final,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
        )
