"""Direct preference optimisation (2305.18290) with soft labels: the consensus probability q weighs both answers.

Departs from the paper in the soft label (cDPO), in pairs that carry weights, and in an optional NLL term on the likelier winner
(2404.19733).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from yearling.errors import BadInput
from yearling.tasks import PreferencePair
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.packing import pack_examples
from yearling.training.data.pairs import PairTable
from yearling.training.distributed import all_reduce_sum
from yearling.training.losses.preference import dpo_loss, k2, winner_nll_loss
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy
from yearling.training.policy.reference_logprobs import ReferenceLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoConfig(OfflineConfig):
    beta: float = 0.1
    nll_weight: float = 0.0
    """Of NLL(winner) per token."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if self.beta <= 0 or self.nll_weight < 0:
            raise BadInput("beta must be positive, and nll_weight must not be negative.", param="beta")


class Dpo(OfflineMethod):
    """The loss is the weighted mean over the pairs of the whole step."""

    name = "dpo"

    def __init__(
        self,
        config: DpoConfig,
        policy: Policy,
        pairs: Sequence[PreferencePair],
        encoder: LessonEncoder,
        *,
        earlier: Sequence[PreferencePair] = (),
        cache_folder: Path | None = None,
    ) -> None:
        """`earlier` are pairs of earlier sets, replayed at the rate of the settings. `cache_folder` keeps the reference's
        log-probabilities. Raises BadInput when no pair is usable."""
        self.config = config
        self.table = PairTable.from_lessons(pairs, earlier, encoder, validation_share=config.validation)
        self.references = ReferenceLogprobs(
            policy, self.table.examples, budget_tokens=config.budget_tokens, cache_folder=cache_folder
        )
        super().__init__(config, policy, num_new=len(self.table.train_indices), num_earlier=len(self.table.replay_indices))

    def step(self, number: int) -> dict[str, float]:
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        pairs = self.table.pair_indices(self.order.lessons_for_step(number))
        examples, numbers = self.table.select_examples(pairs)
        num_targets = sum(example.num_targets for example in examples)
        total = sum(self.table.weights[pair] for pair in pairs)
        loss_sum = kl_sum = margin_sum = right = 0.0
        self.references.precompute(numbers)
        for batch, share in self.policy.local_batches(pack_examples(examples, budget_tokens=self.config.budget_tokens)):
            ours_N = self.policy.token_logprobs(batch)
            base_N = self.references.for_batch(batch, numbers)
            first_P, second_P = batch.sum_per_example(ours_N - base_N).view(-1, 2).unbind(1)
            q_P, weight_P = self.table.soft_labels(batch, pairs, ours_N)
            losses_P = dpo_loss(first_P, second_P, q_P, beta=self.config.beta)
            if self.config.nll_weight:
                logp_first_P, logp_second_P = batch.sum_per_example(ours_N).view(-1, 2).unbind(1)
                tokens_first_P, tokens_second_P = batch.sum_per_example(torch.ones_like(ours_N)).view(-1, 2).unbind(1)
                nll_P = winner_nll_loss(logp_first_P, logp_second_P, tokens_first_P, tokens_second_P, q_P)
                losses_P = losses_P + self.config.nll_weight * nll_P
            kl = share * k2(ours_N, base_N).sum() / num_targets
            loss = share * (weight_P * losses_P).sum() / total + self.config.kl_weight * kl
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            kl_sum += kl.item()
            margins_P = self.config.beta * (first_P - second_P).detach() * (2 * q_P - 1).sign()
            margin_sum += share * float(margins_P.sum())
            right += share * float((margins_P > 0).sum())
        loss_sum, kl_sum, margin_sum, right = all_reduce_sum(loss_sum, kl_sum, margin_sum, right)
        metrics = self.optimiser.step(number)
        self.check_kl_limit(number, kl_sum)
        tokens = float(sum(len(example.ids) for example in examples))
        found = {"loss": loss_sum, "kl": kl_sum, "tokens": tokens}
        return metrics | found | {"margin": margin_sum / len(pairs), "accuracy": right / len(pairs)}

    def validate(self) -> dict[str, float] | None:
        """`score` is minus the mean loss on the validation part; `accuracy` the share of pairs whose likelier winner has the
        larger Δ."""
        return self.measure(self.table.validation_indices) if self.table.validation_indices else None

    @torch.no_grad()
    def measure(self, pairs: Sequence[int]) -> dict[str, float]:
        examples, numbers = self.table.select_examples(pairs)
        self.references.precompute(numbers)
        loss = weight = right = 0.0
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens):
            deltas_N = self.policy.token_logprobs(batch) - self.references.for_batch(batch, numbers)
            first_P, second_P = batch.sum_per_example(deltas_N).view(-1, 2).unbind(1)
            q_P, weight_P = self.table.soft_labels(batch, pairs, deltas_N)
            loss += float((weight_P * dpo_loss(first_P, second_P, q_P, beta=self.config.beta)).sum())
            weight += float(weight_P.sum())
            right += float(((first_P - second_P) * (q_P - 0.5) > 0).sum())
        return {"score": -loss / weight, "loss": loss / weight, "accuracy": right / len(pairs)}
