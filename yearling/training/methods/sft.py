"""Supervised fine-tuning on demonstrations: the loss covers the answer's tokens and its end-of-turn token, not the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.tasks import Demonstration
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_split import LessonSplit
from yearling.training.data.packing import PackedBatch, TrainingExample, pack_examples
from yearling.training.distributed import all_reduce_sum
from yearling.training.losses.kl import k2
from yearling.training.methods.learnt_stop import LearntStop
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy
from yearling.training.policy.reference_logprobs import ReferenceLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig(OfflineConfig):
    """Settings of supervised fine-tuning. Raises BadInput if a setting is out of range."""

    learnt_mean: float = 0.0
    """Stop once lessons are learnt: the mean probability of an answer's tokens over the new lessons of a step (such as 0.85), in
    two steps in a row. 0 takes all steps."""
    learnt_worst: float = 0.0
    """The same for the worst lesson of a step (such as 0.55)."""

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        if not 0 <= self.learnt_mean < 1 or not 0 <= self.learnt_worst < 1:
            raise BadInput("Probabilities of learnt lessons must be at least 0 and below 1.", param="learnt_mean")


class Sft(OfflineMethod):
    """Supervised fine-tuning. The loss is the mean over the target tokens of the whole step, weighted by their lessons'
    weights."""

    name = "sft"

    def __init__(
        self,
        config: SftConfig,
        policy: Policy,
        lessons: Sequence[Demonstration],
        encoder: LessonEncoder,
        *,
        earlier: Sequence[Demonstration] = (),
        cache_folder: Path | None = None,
    ) -> None:
        """Encode the lessons. Lessons of earlier sets (`earlier`) are replayed at the rate of the settings.

        `cache_folder` keeps the reference log-probabilities. Raises BadInput if no lesson is usable."""
        self.config = config
        encoded = [(lesson, encoder.encode_demonstration(lesson)) for lesson in (*lessons, *earlier)]
        num_new = sum(ids is not None for _, ids in encoded[: len(lessons)])
        usable = [(lesson, ids) for lesson, ids in encoded if ids is not None]
        if not num_new:
            raise BadInput(f"No demonstration can be learnt from ({encoder.dropped_by_reason or 'there are none'}).")
        self.examples = [TrainingExample.from_prompt_and_answer(*ids, group=index) for index, (_, ids) in enumerate(usable)]
        self.weights = [lesson.weight for lesson, _ in usable]
        keys = [lesson.key for lesson, _ in usable]
        self.references = ReferenceLogprobs(policy, self.examples, budget_tokens=config.budget_tokens, cache_folder=cache_folder)
        split = LessonSplit.from_keys(keys, num_new=num_new, validation_share=config.validation)
        self.learnt = LearntStop(mean_bound=config.learnt_mean, worst_bound=config.learnt_worst)
        parts = {"learnt": self.learnt} if self.learnt.is_active else {}
        super().__init__(config, policy, split, encoder=encoder, cache_folder=cache_folder, parts=parts)

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`."""
        if self.kl_stopped_at_step or self.learnt.is_learnt:
            return self.stopped_metrics()
        lessons = self.lesson_indices(number)
        examples = self._select_examples(lessons)
        num_targets = sum(example.num_targets for example in examples)
        total_weight = sum(self.weights[lesson] * self.examples[lesson].num_targets for lesson in lessons)
        loss_sum = kl_sum = probability_sum = num_below = 0.0
        num_new = len(lessons) - self.order.num_replayed
        self.references.precompute(lessons if self.config.needs_reference else ())
        for batch, batch_weight in self.policy.local_batches(pack_examples(examples, budget_tokens=self.config.budget_tokens)):
            logps_N = self.policy.token_logprobs(batch)
            weights_N = torch.tensor([self.weights[lessons[owner]] for owner in batch.owners_N.tolist()]).to(logps_N)
            loss = -batch_weight * (weights_N * logps_N).sum() / total_weight
            loss_sum += loss.item()
            if self.learnt.is_active:
                probabilities = self._new_probabilities(batch, logps_N.detach(), num_new)
                probability_sum += batch_weight * sum(probabilities)
                num_below += batch_weight * sum(value <= self.config.learnt_worst for value in probabilities)
            if self.config.needs_reference:
                kl = batch_weight * k2(logps_N, self.references.for_batch(batch, lessons)).sum() / num_targets
                kl_sum += kl.item()
                loss = loss + self.config.penalty_weight * kl
            loss.backward()  # type: ignore[no-untyped-call]
        loss_sum, kl_sum, probability_sum, num_below = all_reduce_sum(loss_sum, kl_sum, probability_sum, num_below)
        metrics = self.accumulate_anchor(number)
        metrics |= self.optimiser.step(number)
        if self.learnt.is_active:
            self.learnt.observe(probability_sum=probability_sum, num_below=num_below, num_lessons=num_new)
            metrics["probability"] = probability_sum / num_new
        metrics |= {"loss": loss_sum, "tokens": float(sum(len(example.ids) for example in examples))}
        if self.config.needs_reference:
            metrics["kl"] = kl_sum
            self.check_kl_limit(number, kl_sum)
        return metrics

    @torch.no_grad()
    def validate(self) -> dict[str, float] | None:
        """`score` is the mean log-probability of a target token of the validation lessons, in nats."""
        if not self.split.validation_indices:
            return None
        examples = self._select_examples(self.split.validation_indices)
        batches = pack_examples(examples, budget_tokens=self.config.budget_tokens)
        total = sum(float(self.policy.token_logprobs(batch).sum()) for batch in batches)
        score = total / sum(example.num_targets for example in examples)
        return {"score": score, "loss": -score}

    def _new_probabilities(self, batch: PackedBatch, logps_N: Tensor, num_new: int) -> list[float]:
        """The mean probability of the answer's tokens of each new lesson in a batch: the first `num_new` of the step."""
        sums_X, counts_X = batch.sum_per_example(logps_N.exp()), batch.sum_per_example(torch.ones_like(logps_N))
        means = (sums_X / counts_X).tolist()
        return [mean for mean, slot in zip(means, batch.example_indices, strict=True) if slot < num_new]

    def _select_examples(self, lessons: Sequence[int]) -> list[TrainingExample]:
        """The examples of these lessons, each a group of its own."""
        return [replace(self.examples[lesson], group=slot) for slot, lesson in enumerate(lessons)]
