"""Rejection-sampling fine-tuning: draw several answers, keep the solved ones, learn them as demonstrations (RFT, 2308.01825).

The simplest reinforcement there is, and a start where solutions are rare: no advantages, no ratios, nothing is unlearnt. Each
prompt teaches the same few answers at most, so that easy prompts do not drown the hard ones.

Shapes: N drawn tokens of a micro-batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from yearling.errors import BadInput
from yearling.training.data.packing import pack_examples
from yearling.training.losses.preference import k2
from yearling.training.methods.base import BaseMethod
from yearling.training.methods.grpo import accumulate_metrics
from yearling.training.policy.optimiser import Optimiser
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.collector import ReinforcementConfig, RolloutCollector, group_rollouts
from yearling.training.rollouts.runner import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionConfig(ReinforcementConfig):
    keep: int = 2
    """Different solved answers of one prompt that are learnt, the shortest first."""

    def __post_init__(self) -> None:
        ReinforcementConfig.__post_init__(self)
        if self.keep < 1:
            raise BadInput("At least one answer must be kept.", param="keep")


class Rejection(BaseMethod):
    """A training method (`method.py`)."""

    name = "rejection"

    def __init__(self, config: RejectionConfig, policy: Policy, collector: RolloutCollector) -> None:
        self.config = config
        self.policy = policy
        self.total_steps = config.steps
        self._collector = collector
        self._optimiser = Optimiser(policy.parameters(), config.optimiser_config(), config.steps)
        super().__init__(policy=policy, optimiser=self._optimiser, curriculum=collector.curriculum)

    def step(self, number: int) -> dict[str, float]:
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        started = time.perf_counter()
        collected = self._collector.collect(number, refill=False)
        drawn_s = time.perf_counter() - started
        chosen = shortest_solved(collected.all_rollouts, self.config.keep)
        drawn = float(sum(one.num_sampled_tokens for one in collected.all_rollouts))
        figures = {**collected.metrics, "kept": float(len(chosen)), "tokens": drawn, "rollouts_s": drawn_s}
        if not chosen:
            return figures

        tokens = float(sum(one.num_sampled_tokens for one in chosen))
        sums: dict[str, float] = {}
        for batch in pack_examples(
            [one.to_example() for one in chosen], budget_tokens=self.config.budget_tokens, split_groups=True
        ):
            logps_N = self.policy.token_logprobs(batch)
            loss = -logps_N.sum() / tokens
            accumulate_metrics(sums, {"nll": float(loss.detach())})
            if self.config.kl_mode != "off":
                gaps_N = k2(logps_N, self.policy.reference_logprobs(batch))
                accumulate_metrics(sums, {"kl": float(gaps_N.detach().sum()) / tokens})
                if self.config.kl_mode == "penalise":
                    loss = loss + self.config.kl_weight * gaps_N.sum() / tokens
            accumulate_metrics(sums, {"loss": float(loss.detach())})
            loss.backward()  # type: ignore[no-untyped-call]
        if self.config.kl_mode == "stop" and sums["kl"] > self.config.kl_limit:
            self.kl_stopped_at_step = number
            self.policy.decoder.zero_grad(set_to_none=True)
            return figures | sums
        figures |= sums | self._optimiser.step(number)
        return figures | {"update_s": time.perf_counter() - started - drawn_s}

    def validate(self) -> dict[str, float] | None:
        return self._collector.validate()


def shortest_solved(rollouts: Sequence[Rollout], max_per_group: int) -> list[Rollout]:
    """Of each group the first `keep` different solved answers, the shortest first; answers that were cut are never learnt."""
    chosen: list[Rollout] = []
    for members in group_rollouts(rollouts):
        solved = {one.ids: one for one in members if one.is_solved and not one.truncated}
        chosen += sorted(solved.values(), key=lambda one: (one.num_sampled_tokens, one.ids))[:max_per_group]
    return chosen
