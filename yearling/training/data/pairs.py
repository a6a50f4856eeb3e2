"""Preference pairs as examples, for the methods that learn from them: DPO and the reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.tasks import PreferencePair
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_order import split_validation
from yearling.training.data.packing import PackedBatch, TrainingExample


@dataclass(frozen=True, slots=True)
class PairTable:
    """Pair k's answers are examples 2k and 2k + 1, one group. `fresh`, `held` and `earlier` are numbers of pairs: to learn from,
    to validate on, to replay."""

    examples: list[TrainingExample]
    q: list[float]
    weights: list[float]
    train_indices: list[int]
    validation_indices: list[int]
    replay_indices: list[int]

    @classmethod
    def from_lessons(
        cls,
        pairs: Sequence[PreferencePair],
        earlier: Sequence[PreferencePair],
        encoder: LessonEncoder,
        *,
        validation_share: float,
    ) -> PairTable:
        """Raises BadInput when no pair is usable."""
        examples: list[TrainingExample] = []
        kept: list[PreferencePair] = []
        num_new = 0
        for place, pair in enumerate((*pairs, *earlier)):
            ids = encoder.encode_pair(pair)
            if ids is None or pair.weight <= 0:
                continue
            prompt, first, second = ids
            examples += [TrainingExample.from_prompt_and_answer(prompt, answer, group=len(kept)) for answer in (first, second)]
            kept.append(pair)
            num_new += place < len(pairs)
        if not num_new:
            raise BadInput(f"No preference pair can be learnt from ({encoder.dropped_by_reason or 'there are none'}).")
        fresh, held = split_validation([pair.key for pair in kept[:num_new]], validation_share)
        return cls(
            examples=examples,
            q=[pair.q for pair in kept],
            weights=[pair.weight for pair in kept],
            train_indices=fresh,
            validation_indices=held,
            replay_indices=list(range(num_new, len(kept))),
        )

    def pair_indices(self, lesson_order: tuple[list[int], list[int]]) -> list[int]:
        """Numbers of pairs from an order's places."""
        return [
            *(self.train_indices[place] for place in lesson_order[0]),
            *(self.replay_indices[place] for place in lesson_order[1]),
        ]

    def select_examples(self, pair_indices: Sequence[int]) -> tuple[list[TrainingExample], list[int]]:
        """(examples of these pairs, each pair a group; their numbers in `examples`)."""
        numbers = [number for pair in pair_indices for number in (2 * pair, 2 * pair + 1)]
        return [replace(self.examples[number], group=place // 2) for place, number in enumerate(numbers)], numbers

    def soft_labels(self, batch: PackedBatch, pair_indices: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        """(q, weight) of the batch's pairs, each (P,); a pair's examples are neighbours in a batch."""
        members = [pair_indices[owner // 2] for owner in batch.example_indices[::2]]
        q = torch.tensor([self.q[pair] for pair in members], dtype=torch.float64)
        weights = torch.tensor([self.weights[pair] for pair in members], dtype=torch.float64)
        return q.to(like), weights.to(like)
