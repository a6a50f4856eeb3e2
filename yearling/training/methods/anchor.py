"""Holds a policy to its base on generic prompts, while it learns something else.

Each step adds weight · KL(base ‖ π), over the whole vocabulary, on the base's own greedy answers to some of the prompts in
`data/generic_prompts.toml`. A penalty on the tokens that are being learnt (`--kl-mode penalise`) resists the lesson instead of
protecting what has nothing to do with it. Keeping old skills by the old network's answers is "learning without forgetting"
(1606.09282).
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_order import LessonOrder
from yearling.training.data.packing import TrainingExample, pack_examples
from yearling.training.policy.policy import Policy
from yearling.training.rollouts.base_answers import load_or_generate_base_answers

GENERIC_PROMPTS_PATH = Path(__file__).parents[1] / "data" / "generic_prompts.toml"
ANSWER_TOKENS = 24
"""Longest answer of the base that is kept, in tokens."""


class GenericAnchor:
    """The generic prompts of one run, with the base's answers."""

    def __init__(
        self,
        policy: Policy,
        encoder: LessonEncoder,
        *,
        prompts_per_step: int,
        budget_tokens: int,
        seed: int,
        cache_folder: Path | None,
    ) -> None:
        """`cache_folder` keeps the base's answers. Raises what `load_or_generate_base_answers` raises."""
        self._policy, self._budget_tokens = policy, budget_tokens
        prompts = [encoder.prompts.encode([{"role": "user", "content": text}]) for text in read_generic_prompts()]
        answers = load_or_generate_base_answers(
            cache_folder, policy, prompts, stop_ids=encoder.tokenizer.stop_ids, max_tokens=ANSWER_TOKENS
        )
        self._examples = [
            TrainingExample.from_prompt_and_answer(prompt, answer, group=index)
            for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        ]
        per_step = min(prompts_per_step, len(prompts))
        self._order = LessonOrder(num_new=len(prompts), lessons_per_step=per_step, seed=seed)

    def accumulate(self, step: int, weight: float) -> float:
        """Add the gradient of `weight` times the step's mean KL divergence per token; returns this process's part of the
        divergence in nats.
        """
        chosen, _ = self._order.lessons_for_step(step)
        examples = [replace(self._examples[index], group=slot) for slot, index in enumerate(chosen)]
        num_targets = sum(example.num_targets for example in examples)
        total = 0.0
        for batch, batch_weight in self._policy.local_batches(pack_examples(examples, budget_tokens=self._budget_tokens)):
            reference_NE = self._policy.reference_states(batch)
            kl = batch_weight * self._policy.kl_from_reference(batch, reference_NE).sum() / num_targets
            torch.autograd.backward(weight * kl)
            total += kl.item()
        return total


@cache
def read_generic_prompts() -> tuple[str, ...]:
    """The prompts on which a policy is held to its base."""
    return tuple(tomllib.loads(GENERIC_PROMPTS_PATH.read_text(encoding="utf-8"))["prompts"])
