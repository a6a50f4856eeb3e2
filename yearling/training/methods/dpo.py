"""Direct preference optimisation (DPO, 2305.18290) with soft labels: the consensus probability q weighs both answers of a pair.

Differs from the paper in the soft labels (cDPO), in the weights of pairs, and in an optional NLL term on the likelier winner
(2404.19733).

Shapes: N target tokens and P pairs of a micro-batch.
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
from yearling.training.losses.kl import k2
from yearling.training.losses.preference import dpo_loss, winner_nll_loss
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy
from yearling.training.policy.reference_logprobs import ReferenceLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoConfig(OfflineConfig):
    """Settings of DPO. Raises BadInput if a setting is out of range."""

    beta: float = 0.1
    """β: how strongly the policy is held to its reference."""
    nll_weight: float = 0.0
    """Weight of the winner's negative log-likelihood per token."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if self.beta <= 0 or self.nll_weight < 0:
            raise BadInput("beta must be positive, and nll_weight must not be negative.", param="beta")


class Dpo(OfflineMethod):
    """DPO. The loss is the weighted mean over the pairs of the whole step."""

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
        """Encode the pairs. Pairs of earlier sets (`earlier`) are replayed at the rate of the settings.

        `cache_folder` keeps the reference log-probabilities. Raises BadInput if no pair is usable."""
        self.config = config
        self.table = PairTable.from_lessons(pairs, earlier, encoder, validation_share=config.validation)
        self.references = ReferenceLogprobs(
            policy, self.table.examples, budget_tokens=config.budget_tokens, cache_folder=cache_folder
        )
        super().__init__(config, policy, self.table.split, encoder=encoder, cache_folder=cache_folder)

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        pairs = self.lesson_indices(number)
        examples, indices = self.table.select_examples(pairs)
        num_targets = sum(example.num_targets for example in examples)
        total_weight = sum(self.table.weights[pair] for pair in pairs)
        loss_sum = kl_sum = margin_sum = num_correct = 0.0
        self.references.precompute(indices)
        for batch, batch_weight in self.policy.local_batches(pack_examples(examples, budget_tokens=self.config.budget_tokens)):
            logps_N = self.policy.token_logprobs(batch)
            reference_N = self.references.for_batch(batch, indices)
            first_P, second_P = batch.sum_per_example(logps_N - reference_N).view(-1, 2).unbind(1)
            q_P, weight_P = self.table.soft_labels(batch, pairs, logps_N)
            losses_P = dpo_loss(first_P, second_P, q_P, beta=self.config.beta)
            if self.config.nll_weight:
                logp_first_P, logp_second_P = batch.sum_per_example(logps_N).view(-1, 2).unbind(1)
                tokens_first_P, tokens_second_P = batch.sum_per_example(torch.ones_like(logps_N)).view(-1, 2).unbind(1)
                nll_P = winner_nll_loss(logp_first_P, logp_second_P, tokens_first_P, tokens_second_P, q_P)
                losses_P = losses_P + self.config.nll_weight * nll_P
            kl = batch_weight * k2(logps_N, reference_N).sum() / num_targets
            loss = batch_weight * (weight_P * losses_P).sum() / total_weight + self.config.penalty_weight * kl
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            kl_sum += kl.item()
            margins_P = self.config.beta * (first_P - second_P).detach() * (2 * q_P - 1).sign()
            margin_sum += batch_weight * float(margins_P.sum())
            num_correct += batch_weight * float((margins_P > 0).sum())
        loss_sum, kl_sum, margin_sum, num_correct = all_reduce_sum(loss_sum, kl_sum, margin_sum, num_correct)
        metrics = self.accumulate_anchor(number) | self.optimiser.step(number)
        self.check_kl_limit(number, kl_sum)
        return metrics | {
            "loss": loss_sum,
            "kl": kl_sum,
            "tokens": float(sum(len(example.ids) for example in examples)),
            "margin": margin_sum / len(pairs),
            "accuracy": num_correct / len(pairs),
        }

    def validate(self) -> dict[str, float] | None:
        """`score` is minus the mean loss on the validation pairs. `accuracy` is the share of pairs whose likelier winner has the
        larger Δ."""
        return self.measure(self.split.validation_indices) if self.split.validation_indices else None

    @torch.no_grad()
    def measure(self, pairs: Sequence[int]) -> dict[str, float]:
        """`score`, `loss` and `accuracy` of these pairs, without learning from them."""
        examples, indices = self.table.select_examples(pairs)
        self.references.precompute(indices)
        loss = weight = num_correct = 0.0
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens):
            deltas_N = self.policy.token_logprobs(batch) - self.references.for_batch(batch, indices)
            first_P, second_P = batch.sum_per_example(deltas_N).view(-1, 2).unbind(1)
            q_P, weight_P = self.table.soft_labels(batch, pairs, deltas_N)
            loss += float((weight_P * dpo_loss(first_P, second_P, q_P, beta=self.config.beta)).sum())
            weight += float(weight_P.sum())
            num_correct += float(((first_P - second_P) * (q_P - 0.5) > 0).sum())
        return {"score": -loss / weight, "loss": loss / weight, "accuracy": num_correct / len(pairs)}
