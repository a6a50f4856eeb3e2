"""Preference pairs as training examples, for DPO and the reward model.

Shapes: P pairs of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.tasks import PreferencePair
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_split import LessonSplit
from yearling.training.data.packing import PackedBatch, TrainingExample


@dataclass(frozen=True, slots=True)
class PairTable:
    """The usable pairs of a run. The answers of pair k are the examples 2k and 2k + 1, which form one group."""

    examples: list[TrainingExample]
    q: list[float]
    weights: list[float]
    split: LessonSplit
    """Indices of pairs by role."""

    @classmethod
    def from_lessons(
        cls,
        pairs: Sequence[PreferencePair],
        earlier: Sequence[PreferencePair],
        encoder: LessonEncoder,
        *,
        validation_share: float,
    ) -> PairTable:
        """Encode new pairs and pairs of earlier sets. Raises BadInput if no new pair is usable."""
        examples: list[TrainingExample] = []
        usable: list[PreferencePair] = []
        num_new = 0
        for index, pair in enumerate((*pairs, *earlier)):
            ids = encoder.encode_pair(pair)
            if ids is None or pair.weight <= 0:
                continue
            prompt, first, second = ids
            group = len(usable)
            examples += [TrainingExample.from_prompt_and_answer(prompt, answer, group=group) for answer in (first, second)]
            usable.append(pair)
            num_new += index < len(pairs)
        if not num_new:
            raise BadInput(f"No preference pair can be learnt from ({encoder.dropped_by_reason or 'there are none'}).")
        keys = [pair.key for pair in usable]
        return cls(
            examples=examples,
            q=[pair.q for pair in usable],
            weights=[pair.weight for pair in usable],
            split=LessonSplit.from_keys(keys, num_new=num_new, validation_share=validation_share),
        )

    def select_examples(self, pair_indices: Sequence[int]) -> tuple[list[TrainingExample], list[int]]:
        """(examples of these pairs, renumbered so that each pair is a group; their indices in `examples`)."""
        indices = [index for pair in pair_indices for index in (2 * pair, 2 * pair + 1)]
        return [replace(self.examples[index], group=slot // 2) for slot, index in enumerate(indices)], indices

    def soft_labels(self, batch: PackedBatch, pair_indices: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        """(q, weight) of the batch's pairs, each (P,), with the type and device of `like`.

        `pair_indices` are those that the batch was selected with. The two examples of a pair are neighbours in a batch."""
        batch_pairs = [pair_indices[example // 2] for example in batch.example_indices[::2]]
        q = torch.tensor([self.q[pair] for pair in batch_pairs], dtype=torch.float64)
        weights = torch.tensor([self.weights[pair] for pair in batch_pairs], dtype=torch.float64)
        return q.to(like), weights.to(like)
