"""Kahneman–Tversky optimisation (2402.01306), which learns from thumbs: single answers that were found good or bad.

Departs from the paper in where mismatched pairs come from: the partner of each prompt is the answer of the next lesson, fixed for
the run, so that the reference meets it once; the reference point is the mean over the whole step, so that micro-batches cannot
change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.tasks import Thumb
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_order import split_validation
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.distributed import all_reduce_sum
from yearling.training.losses.preference import k2, kto_loss, kto_reference_point, kto_weights
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy
from yearling.training.policy.reference_logprobs import ReferenceLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class KtoConfig(OfflineConfig):
    beta: float = 0.1
    weight_up: float = 0.0
    weight_down: float = 0.0
    """λ_D and λ_U; 0 balances the two kinds."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if self.beta <= 0 or min(self.weight_up, self.weight_down) < 0:
            raise BadInput("beta must be positive, and weights must not be negative.", param="beta")


class Kto(OfflineMethod):
    """The loss is the weighted mean over the answers of the whole step."""

    name = "kto"

    def __init__(
        self,
        config: KtoConfig,
        policy: Policy,
        thumbs: Sequence[Thumb],
        encoder: LessonEncoder,
        *,
        earlier: Sequence[Thumb] = (),
        cache_folder: Path | None = None,
    ) -> None:
        """`earlier` are thumbs of earlier sets, replayed at the rate of the settings. `cache_folder` keeps the reference's
        log-probabilities. Raises BadInput with fewer than two usable thumbs."""
        self.config = config
        encoded = [(thumb, encoder.encode_thumb(thumb), place < len(thumbs)) for place, thumb in enumerate((*thumbs, *earlier))]
        usable = [(thumb, ids, new) for thumb, ids, new in encoded if ids is not None and thumb.weight > 0]
        new = [number for number, (_, _, fresh) in enumerate(usable) if fresh]
        if not new or len(usable) < 2:
            raise BadInput(f"No thumb can be learnt from ({encoder.dropped_by_reason or 'two are needed'}).")
        # Thumb k's answer is example 2k; under its prompt, the answer of thumb k + 1 is example 2k + 1.
        partners = [*usable[1:], usable[0]]
        self.examples = [
            TrainingExample.from_prompt_and_answer(own[1][0], answer, group=number)
            for number, (own, other) in enumerate(zip(usable, partners, strict=True))
            for answer in (own[1][1], other[1][1])
        ]
        self.is_thumb_up = [thumb.up for thumb, _, _ in usable]
        self.weights = [thumb.weight for thumb, _, _ in usable]
        kept, held = split_validation([usable[number][0].key for number in new], config.validation)
        self.train_indices, self.validation_indices = [new[place] for place in kept], [new[place] for place in held]
        self.replay_indices = [number for number, (_, _, fresh) in enumerate(usable) if not fresh]
        ups = sum(self.is_thumb_up[number] for number in self.train_indices)
        balanced = kto_weights(ups, len(self.train_indices) - ups)
        self.weight_up, self.weight_down = config.weight_up or balanced[0], config.weight_down or balanced[1]
        self.references = ReferenceLogprobs(policy, self.examples, budget_tokens=config.budget_tokens, cache_folder=cache_folder)
        super().__init__(config, policy, num_new=len(self.train_indices), num_earlier=len(self.replay_indices))

    def step(self, number: int) -> dict[str, float]:
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        fresh, replayed = self.order.lessons_for_step(number)
        chosen = [*(self.train_indices[place] for place in fresh), *(self.replay_indices[place] for place in replayed)]
        examples = self._select(chosen, 0)
        num_targets = sum(example.num_targets for example in examples)
        total = sum(self.weights[thumb] for thumb in chosen)
        point = self._reference_point(chosen)
        loss_sum = kl_sum = 0.0
        self.references.precompute([2 * thumb for thumb in chosen])
        for batch, share in self.policy.local_batches(pack_examples(examples, budget_tokens=self.config.budget_tokens)):
            ours_N = self.policy.token_logprobs(batch)
            base_N = self.references.for_batch(batch, [2 * thumb for thumb in chosen])
            losses_A, weight_A = self._losses(
                batch.sum_per_example(ours_N - base_N), [chosen[owner] for owner in batch.example_indices], point
            )
            kl = share * k2(ours_N, base_N).sum() / num_targets
            loss = share * (weight_A * losses_A).sum() / total + self.config.kl_weight * kl
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            kl_sum += kl.item()
        loss_sum, kl_sum = all_reduce_sum(loss_sum, kl_sum)
        metrics = self.optimiser.step(number)
        self.check_kl_limit(number, kl_sum)
        tokens = float(sum(len(example.ids) for example in examples))
        return metrics | {"loss": loss_sum, "kl": kl_sum, "reference_point": float(point), "tokens": tokens}

    @torch.no_grad()
    def validate(self) -> dict[str, float] | None:
        """`score` is minus the mean loss on the validation part; `accuracy` the share of answers on their side of z₀."""
        if not self.validation_indices:
            return None
        point, numbers = self._reference_point(self.validation_indices), [2 * thumb for thumb in self.validation_indices]
        self.references.precompute(numbers)
        loss = weight = right = 0.0
        for batch in pack_examples(self._select(self.validation_indices, 0), budget_tokens=self.config.budget_tokens):
            members = [self.validation_indices[owner] for owner in batch.example_indices]
            delta_A = batch.sum_per_example(self.policy.token_logprobs(batch) - self.references.for_batch(batch, numbers))
            losses_A, weight_A = self._losses(delta_A, members, point)
            loss += float((weight_A * losses_A).sum())
            weight += float(weight_A.sum())
            right += sum(
                (value > 0) == self.is_thumb_up[thumb] for value, thumb in zip((delta_A - point).tolist(), members, strict=True)
            )
        return {"score": -loss / weight, "loss": loss / weight, "accuracy": right / len(self.validation_indices)}

    def _losses(self, delta_A: Tensor, thumbs: Sequence[int], reference_point: Tensor) -> tuple[Tensor, Tensor]:
        up_A = torch.tensor([self.is_thumb_up[thumb] for thumb in thumbs], device=delta_A.device)
        weight_A = torch.tensor([self.weights[thumb] for thumb in thumbs], dtype=torch.float64).to(delta_A)
        beta, up, down = self.config.beta, self.weight_up, self.weight_down
        return kto_loss(delta_A, up_A, reference_point, beta=beta, weight_up=up, weight_down=down), weight_A

    @torch.no_grad()
    def _reference_point(self, chosen: Sequence[int]) -> Tensor:
        self.references.precompute([2 * thumb + 1 for thumb in chosen])
        deltas = []
        for batch in pack_examples(self._select(chosen, 1), budget_tokens=self.config.budget_tokens):
            base_N = self.references.for_batch(batch, [2 * thumb + 1 for thumb in chosen])
            deltas.append(batch.sum_per_example(self.policy.token_logprobs(batch) - base_N))
        return kto_reference_point(torch.cat(deltas))

    def _select(self, thumbs: Sequence[int], offset: int) -> list[TrainingExample]:
        return [replace(self.examples[2 * thumb + offset], group=slot) for slot, thumb in enumerate(thumbs)]
