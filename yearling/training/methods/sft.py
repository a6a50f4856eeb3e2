"""Supervised fine-tuning on demonstrations: the answer's tokens and the end of its turn, and nothing of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from yearling.errors import BadInput
from yearling.tasks import Demonstration
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_order import split_validation
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.distributed import all_reduce_sum
from yearling.training.losses.preference import k2
from yearling.training.methods.offline import OfflineConfig, OfflineMethod
from yearling.training.policy.policy import Policy
from yearling.training.policy.reference_logprobs import ReferenceLogprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class SftConfig(OfflineConfig):
    pass


class Sft(OfflineMethod):
    """A lesson's weight scales each of its tokens; the loss is the weighted mean over the tokens of the whole step."""

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
        """`earlier` are lessons of earlier sets, replayed at the rate of the settings. `cache_folder` keeps the reference's
        log-probabilities. Raises BadInput when no lesson is usable."""
        self.config = config
        encoded = [(lesson, encoder.encode_demonstration(lesson)) for lesson in (*lessons, *earlier)]
        is_new = [place < len(lessons) for place, (_, ids) in enumerate(encoded) if ids is not None]
        usable = [(lesson, ids) for lesson, ids in encoded if ids is not None]
        if not any(is_new):
            raise BadInput(f"No demonstration can be learnt from ({encoder.dropped_by_reason or 'there are none'}).")
        self.examples = [TrainingExample.from_prompt_and_answer(*ids, group=number) for number, (_, ids) in enumerate(usable)]
        self.weights = [lesson.weight for lesson, _ in usable]
        new = [number for number, fresh in enumerate(is_new) if fresh]
        kept, held = split_validation([usable[number][0].key for number in new], config.validation)
        self.train_indices, self.validation_indices = [new[place] for place in kept], [new[place] for place in held]
        self.replay_indices = [number for number, fresh in enumerate(is_new) if not fresh]
        self.references = ReferenceLogprobs(policy, self.examples, budget_tokens=config.budget_tokens, cache_folder=cache_folder)
        super().__init__(config, policy, num_new=len(self.train_indices), num_earlier=len(self.replay_indices))

    def step(self, number: int) -> dict[str, float]:
        if self.kl_stopped_at_step:
            return self.stopped_metrics()
        fresh, replayed = self.order.lessons_for_step(number)
        chosen = [*(self.train_indices[place] for place in fresh), *(self.replay_indices[place] for place in replayed)]
        examples = [replace(self.examples[lesson], group=slot) for slot, lesson in enumerate(chosen)]
        num_targets = sum(example.num_targets for example in examples)
        total = sum(self.weights[lesson] * self.examples[lesson].num_targets for lesson in chosen)
        loss_sum = kl_sum = 0.0
        self.references.precompute(chosen if self.config.needs_reference else ())
        for batch, share in self.policy.local_batches(pack_examples(examples, budget_tokens=self.config.budget_tokens)):
            logprobs_N = self.policy.token_logprobs(batch)
            weights_N = torch.tensor([self.weights[chosen[owner]] for owner in batch.owners_N.tolist()]).to(logprobs_N)
            loss = -share * (weights_N * logprobs_N).sum() / total
            loss_sum += loss.item()
            if self.config.needs_reference:
                kl = share * k2(logprobs_N, self.references.for_batch(batch, chosen)).sum() / num_targets
                kl_sum += kl.item()
                loss = loss + self.config.kl_weight * kl
            loss.backward()  # type: ignore[no-untyped-call]
        loss_sum, kl_sum = all_reduce_sum(loss_sum, kl_sum)
        metrics = self.optimiser.step(number)
        metrics |= {"loss": loss_sum, "tokens": float(sum(len(example.ids) for example in examples))}
        if self.config.needs_reference:
            metrics["kl"] = kl_sum
            self.check_kl_limit(number, kl_sum)
        return metrics

    @torch.no_grad()
    def validate(self) -> dict[str, float] | None:
        """`score` is the mean log-probability of an answer's token, in nats, on the validation part."""
        if not self.validation_indices:
            return None
        examples = [replace(self.examples[lesson], group=slot) for slot, lesson in enumerate(self.validation_indices)]
        batches = pack_examples(examples, budget_tokens=self.config.budget_tokens)
        total = sum(float(self.policy.token_logprobs(batch).sum()) for batch in batches)
        score = total / sum(example.num_targets for example in examples)
        return {"score": score, "loss": -score}
