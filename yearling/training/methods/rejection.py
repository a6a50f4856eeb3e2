"""Rejection-sampling fine-tuning (RFT, 2308.01825): sample several answers, and learn the solved ones as demonstrations.

It is the simplest method that learns from rollouts, and a start where solutions are rare: there are no advantages and no ratios,
and wrong answers are ignored. Each prompt contributes a few answers at most, so that easy prompts do not outweigh hard ones.

Shapes: N sampled tokens of a micro-batch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from yearling.errors import BadInput
from yearling.training.data.packing import pack_examples
from yearling.training.losses.kl import k2
from yearling.training.methods.online import OnlineMethod, accumulate_metrics, num_sampled_tokens
from yearling.training.rollouts.collector import ReinforcementConfig, group_rollouts
from yearling.training.rollouts.runner import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionConfig(ReinforcementConfig):
    """Settings of rejection sampling. Raises BadInput if a setting is out of range."""

    keep: int = 2
    """Maximum number of different solved answers to learn from one prompt, the shortest first."""

    def __post_init__(self) -> None:
        ReinforcementConfig.__post_init__(self)
        if self.keep < 1:
            raise BadInput("keep must be at least 1.", param="keep")


class Rejection(OnlineMethod[RejectionConfig]):
    """Rejection sampling. The loss is the mean over the tokens of the learnt answers of the whole step."""

    name = "rejection"

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        started = time.perf_counter()
        collected = self._collector.collect(number, refill=False)
        rollouts_s = time.perf_counter() - started
        chosen = shortest_solved(collected.all_rollouts, self.config.keep)
        metrics = {
            **collected.metrics,
            "kept": float(len(chosen)),
            "tokens": num_sampled_tokens(collected.all_rollouts),
            "rollouts_s": rollouts_s,
        }
        if not chosen:
            return metrics

        num_tokens = num_sampled_tokens(chosen)
        totals: dict[str, float] = {}
        examples = [rollout.to_example() for rollout in chosen]
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens, split_groups=True):
            logps_N = self.policy.token_logprobs(batch)
            loss = -logps_N.sum() / num_tokens
            accumulate_metrics(totals, {"nll": float(loss.detach())})
            if self.config.kl_mode != "off":
                k2_N = k2(logps_N, self.policy.reference_logprobs(batch))
                accumulate_metrics(totals, {"kl": float(k2_N.detach().sum()) / num_tokens})
                if self.config.kl_mode == "penalise":
                    loss = loss + self.config.kl_weight * k2_N.sum() / num_tokens
            accumulate_metrics(totals, {"loss": float(loss.detach())})
            loss.backward()  # type: ignore[no-untyped-call]
        if self.stop_at_kl_limit(number, totals.get("kl", 0.0)):
            return metrics | totals
        metrics |= totals | self._optimiser.step(number)
        return metrics | {"update_s": time.perf_counter() - started - rollouts_s}


def shortest_solved(rollouts: Sequence[Rollout], max_per_group: int) -> list[Rollout]:
    """Up to `max_per_group` different solved answers of each group, the shortest first. Truncated answers are never included."""
    chosen: list[Rollout] = []
    for group in group_rollouts(rollouts):
        solved = {rollout.ids: rollout for rollout in group if rollout.is_solved and not rollout.truncated}
        chosen += sorted(solved.values(), key=lambda rollout: (rollout.num_sampled_tokens, rollout.ids))[:max_per_group]
    return chosen
