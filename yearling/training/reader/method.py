"""Trains a reader: log-likelihood of answers that stand before the question, and KL to the bare model where none does.

A step has positive and negative examples (`examples.py`). Their losses are

    NLL: the mean of −log π(answer token) over the answer tokens of the step's positive examples
    KL: the mean of KL(base ‖ π) over the tokens of the bare model's own greedy answers to the negative examples, where the base
        sees the prompt without the facts and π sees it with them

The bare model's answers are generated once, when the method is first built, and kept in the run's folder, so that a resumed run
learns from the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.training.data.encoding import LessonEncoder, PromptEncoder, TextEncoder
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.methods.base import BaseMethod
from yearling.training.policy.optimiser import Optimiser, OptimiserConfig
from yearling.training.policy.policy import Policy
from yearling.training.reader.examples import StepExamples, examples_of_step
from yearling.training.reader.families import read_reader_texts
from yearling.training.rollouts.base_answers import load_or_generate_base_answers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """Settings of a reader. Raises BadInput if one is out of range."""

    steps: int = 14
    positives: int = 9
    """Positive examples in a step."""
    negatives: int = 7
    """Negative examples in a step."""
    kl_weight: float = 1.0
    """Weight of the negative examples' KL divergence beside the positive ones' likelihood."""
    base_answer_tokens: int = 16
    """Longest answer of the bare model that is learnt from, in tokens."""
    budget_tokens: int = 512
    """Tokens of a micro-batch. It bounds memory and never changes a gradient."""
    learning_rate: float = 2e-3
    """Peak learning rate. It falls in a straight line."""
    final: float = 0.2
    """Learning rate at the end, as a share of the peak."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.steps, self.positives, self.negatives, self.base_answer_tokens, self.budget_tokens)
        if min(counts) < 1 or self.kl_weight < 0:
            raise BadInput("Steps, examples and tokens must be positive, and the KL weight must not be negative.")
        self.optimiser_config()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings from JSON values. Raises BadInput for a key that is not a setting."""
        if unknown := values.keys() - {field.name for field in fields(cls)}:
            raise BadInput(f"There is no setting {min(unknown)!r} of a reader.", param=min(unknown))
        return cls(**values)

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values."""
        return asdict(self)

    def optimiser_config(self) -> OptimiserConfig:
        """The optimiser's part. Raises BadInput if it is out of range."""
        return OptimiserConfig(learning_rate=self.learning_rate, schedule="linear", warmup=self.warmup, final=self.final)


class Reader(BaseMethod):
    """The training of one reader. See the module."""

    name = "reader"

    def __init__(
        self, config: ReaderConfig, policy: Policy, tokenizer: TextEncoder, prompts: PromptEncoder, *, cache_folder: Path
    ) -> None:
        """`cache_folder` keeps the bare model's answers. Raises BadInput if the chat template never ends a turn, StorageFailed if
        the answers cannot be written, Untrusted if they are damaged."""
        self.config, self.policy, self.total_steps = config, policy, config.steps
        self._prompts = prompts
        self._encoder = LessonEncoder(tokenizer, prompts, policy.base_sha256, max_tokens=1 << 20)
        self._steps = [self._examples(step) for step in range(1, config.steps + 1)]
        bare = [prompts.encode(example.bare_messages) for step in self._steps for example in step.negatives]
        answers = load_or_generate_base_answers(
            cache_folder, policy, bare, stop_ids=tokenizer.stop_ids, max_tokens=config.base_answer_tokens
        )
        self._base_answers = {tuple(prompt): answer for prompt, answer in zip(bare, answers, strict=True)}
        self.optimiser = Optimiser(policy.parameters(), config.optimiser_config(), config.steps)
        super().__init__(policy=policy, optimiser=self.optimiser)

    def step(self, number: int) -> dict[str, float]:
        """See `Method.step`. `kl` is the divergence on the negative examples in nats per token."""
        config, policy = self.config, self.policy
        positives, negatives, bare = self._encode_step(number)
        num_positive, num_negative = (sum(example.num_targets for example in part) for part in (positives, negatives))
        reference = self._reference_states(bare)
        nll_sum = kl_sum = 0.0
        for batch in pack_examples(positives, budget_tokens=config.budget_tokens):
            loss = -policy.token_logprobs(batch).sum() / num_positive
            nll_sum += loss.item()
            torch.autograd.backward(loss)
        for batch in pack_examples(negatives, budget_tokens=config.budget_tokens):
            reference_NE = torch.cat([reference[index] for index in batch.example_indices])
            kl = policy.kl_from_reference(batch, reference_NE).sum() / num_negative
            kl_sum += kl.item()
            torch.autograd.backward(config.kl_weight * kl)
        tokens = float(sum(len(example.ids) for example in (*positives, *negatives, *bare)))
        return self.optimiser.step(number) | {
            "loss": nll_sum + config.kl_weight * kl_sum,
            "nll": nll_sum,
            "kl": kl_sum,
            "tokens": tokens,
        }

    def validate(self) -> dict[str, float] | None:
        """None: a reader is judged on corrections of people, after training."""
        return None

    def _examples(self, step: int) -> StepExamples:
        config = self.config
        return examples_of_step(
            read_reader_texts(), seed=config.seed, step=step, num_positives=config.positives, num_negatives=config.negatives
        )

    def _encode_step(self, number: int) -> tuple[list[TrainingExample], list[TrainingExample], list[TrainingExample]]:
        """(positive examples, negative examples, the latter without the facts in front)."""
        step = self._steps[number - 1]
        positives = [
            TrainingExample.from_prompt_and_answer(
                self._prompts.encode(example.messages), self._encoder.encode_answer(example.answer), group=index
            )
            for index, example in enumerate(step.positives)
        ]
        negatives, bare = [], []
        for index, example in enumerate(step.negatives):
            bare_ids = self._prompts.encode(example.bare_messages)
            answer = self._base_answers[tuple(bare_ids)]
            prompt = self._prompts.encode(example.messages)
            negatives.append(TrainingExample.from_prompt_and_answer(prompt, answer, group=index))
            bare.append(TrainingExample.from_prompt_and_answer(bare_ids, answer, group=index))
        return positives, negatives, bare

    def _reference_states(self, examples: Sequence[TrainingExample]) -> dict[int, Tensor]:
        """The base model's hidden states before each target token, (N of the example, E), by the example's index."""
        states: dict[int, Tensor] = {}
        for batch in pack_examples(examples, budget_tokens=self.config.budget_tokens):
            lengths = [examples[index].num_targets for index in batch.example_indices]
            parts = self.policy.reference_states(batch).split_with_sizes(lengths)
            states |= dict(zip(batch.example_indices, parts, strict=True))
        return states
