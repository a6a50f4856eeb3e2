"""Kahneman–Tversky optimisation (KTO, 2402.01306), which learns from thumbs: single answers rated good or bad.

Differs from the paper in two ways. The mismatched answer of each prompt is the answer of the next lesson, fixed for the run, so
its reference log-probabilities are computed once. The reference point is the mean over the whole step, so micro-batches cannot
change it.

Shapes: N target tokens and A answers of a micro-batch.
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
from yearling.training.data.lesson_split import LessonSplit
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.distributed import all_reduce_sum
from yearling.training.losses.kl import k2
from yearling.training.losses.preference import kto_loss, kto_reference_point, kto_weights
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy
from yearling.training.policy.reference_logprobs import ReferenceLogprobs

_OWN, _MISMATCHED = 0, 1
"""The two answers under each prompt: its own, and that of the next lesson."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KtoConfig(OfflineConfig):
    """Settings of KTO. Raises BadInput if a setting is out of range."""

    beta: float = 0.1
    """β: how strongly the policy is held to its reference."""
    weight_up: float = 0.0
    """λ_D, the weight of good answers; 0 balances good and bad answers."""
    weight_down: float = 0.0
    """λ_U, the weight of bad answers; 0 balances good and bad answers."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if self.beta <= 0 or min(self.weight_up, self.weight_down) < 0:
            raise BadInput("beta must be positive, and weights must not be negative.", param="beta")


class Kto(OfflineMethod):
    """KTO. The loss is the weighted mean over the answers of the whole step."""

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
        """Encode the thumbs. Thumbs of earlier sets (`earlier`) are replayed at the rate of the settings.

        `cache_folder` keeps the reference log-probabilities. Raises BadInput if fewer than two thumbs are usable, or no new
        one."""
        self.config = config
        encoded = [(thumb, encoder.encode_thumb(thumb)) for thumb in (*thumbs, *earlier)]
        is_usable = [ids is not None and thumb.weight > 0 for thumb, ids in encoded]
        num_new = sum(is_usable[: len(thumbs)])
        usable = [(thumb, ids) for thumb, ids in encoded if ids is not None and thumb.weight > 0]
        if not num_new or len(usable) < 2:
            raise BadInput(f"No thumb can be learnt from ({encoder.dropped_by_reason or 'two are needed'}).")
        # Example 2k + _OWN is prompt k with its own answer; example 2k + _MISMATCHED is prompt k with the answer of thumb k + 1.
        answers = [answer for _, (_, answer) in usable]
        self.examples = [
            TrainingExample.from_prompt_and_answer(prompt, answer, group=index)
            for index, (_, (prompt, own)) in enumerate(usable)
            for answer in (own, answers[(index + 1) % len(answers)])
        ]
        self.is_thumb_up = [thumb.up for thumb, _ in usable]
        self.weights = [thumb.weight for thumb, _ in usable]
        keys = [thumb.key for thumb, _ in usable]
        split = LessonSplit.from_keys(keys, num_new=num_new, validation_share=config.validation)
        num_up = sum(self.is_thumb_up[index] for index in split.train_indices)
        balanced_up, balanced_down = kto_weights(num_up, len(split.train_indices) - num_up)
        self.weight_up, self.weight_down = config.weight_up or balanced_up, config.weight_down or balanced_down
        self.references = ReferenceLogprobs(policy, self.examples, budget_tokens=config.budget_tokens, cache_folder=cache_folder)
        super().__init__(config, policy, split, encoder=encoder, cache_folder=cache_folder)

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        thumbs = self.lesson_indices(number)
        examples, indices = self._select(thumbs, _OWN)
        num_targets = sum(example.num_targets for example in examples)
        total_weight = sum(self.weights[thumb] for thumb in thumbs)
        reference_point = self._reference_point(thumbs)
        loss_sum = kl_sum = 0.0
        self.references.precompute(indices)
        for batch, batch_weight in self.policy.local_batches(pack_examples(examples, budget_tokens=self.config.budget_tokens)):
            logps_N = self.policy.token_logprobs(batch)
            reference_N = self.references.for_batch(batch, indices)
            delta_A = batch.sum_per_example(logps_N - reference_N)
            losses_A, weight_A = self._losses(delta_A, [thumbs[slot] for slot in batch.example_indices], reference_point)
            kl = batch_weight * k2(logps_N, reference_N).sum() / num_targets
            loss = batch_weight * (weight_A * losses_A).sum() / total_weight + self.config.penalty_weight * kl
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            kl_sum += kl.item()
        loss_sum, kl_sum = all_reduce_sum(loss_sum, kl_sum)
        metrics = self.accumulate_anchor(number) | self.optimiser.step(number)
        self.check_kl_limit(number, kl_sum)
        tokens = float(sum(len(example.ids) for example in examples))
        return metrics | {"loss": loss_sum, "kl": kl_sum, "reference_point": float(reference_point), "tokens": tokens}

    @torch.no_grad()
    def validate(self) -> dict[str, float] | None:
        """`score` is minus the mean loss on the validation thumbs. `accuracy` is the share of answers on their side of z₀."""
        thumbs = self.split.validation_indices
        if not thumbs:
            return None
        reference_point = self._reference_point(thumbs)
        examples, indices = self._select(thumbs, _OWN)
        self.references.precompute(indices)
        loss = weight = num_correct = 0.0
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens):
            batch_thumbs = [thumbs[slot] for slot in batch.example_indices]
            delta_A = batch.sum_per_example(self.policy.token_logprobs(batch) - self.references.for_batch(batch, indices))
            losses_A, weight_A = self._losses(delta_A, batch_thumbs, reference_point)
            loss += float((weight_A * losses_A).sum())
            weight += float(weight_A.sum())
            is_above = (delta_A - reference_point > 0).tolist()
            num_correct += sum(above == self.is_thumb_up[thumb] for above, thumb in zip(is_above, batch_thumbs, strict=True))
        return {"score": -loss / weight, "loss": loss / weight, "accuracy": num_correct / len(thumbs)}

    def _losses(self, delta_A: Tensor, thumbs: Sequence[int], reference_point: Tensor) -> tuple[Tensor, Tensor]:
        """(losses, weights) of the answers of these thumbs, each (A,)."""
        is_up_A = torch.tensor([self.is_thumb_up[thumb] for thumb in thumbs], device=delta_A.device)
        weight_A = torch.tensor([self.weights[thumb] for thumb in thumbs], dtype=torch.float64).to(delta_A)
        losses_A = kto_loss(
            delta_A,
            is_up_A,
            reference_point,
            beta=self.config.beta,
            weight_up=self.weight_up,
            weight_down=self.weight_down,
        )
        return losses_A, weight_A

    @torch.no_grad()
    def _reference_point(self, thumbs: Sequence[int]) -> Tensor:
        """z₀ of the paper, from the mismatched answers of these thumbs."""
        examples, indices = self._select(thumbs, _MISMATCHED)
        self.references.precompute(indices)
        deltas = [
            batch.sum_per_example(self.policy.token_logprobs(batch) - self.references.for_batch(batch, indices))
            for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens)
        ]
        return kto_reference_point(torch.cat(deltas))

    def _select(self, thumbs: Sequence[int], offset: int) -> tuple[list[TrainingExample], list[int]]:
        """(examples of these thumbs, each a group of its own; their indices in `examples`). `offset` is _OWN or _MISMATCHED."""
        indices = [2 * thumb + offset for thumb in thumbs]
        return [replace(self.examples[index], group=slot) for slot, index in enumerate(indices)], indices
