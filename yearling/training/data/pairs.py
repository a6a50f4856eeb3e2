"""Preference pairs as examples, for the methods that learn from them: DPO and the reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yearling.errors import BadInput
from yearling.tasks import Pair
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.lesson_order import split_validation
from yearling.training.data.packing import Batch, Example


@dataclass(frozen=True, slots=True)
class PairTable:
    """Pair k's answers are examples 2k and 2k + 1, one group. `fresh`, `held` and `earlier` are numbers of pairs: to learn from,
    to validate on, to replay."""

    examples: list[Example]
    q: list[float]
    weights: list[float]
    fresh: list[int]
    held: list[int]
    earlier: list[int]

    @classmethod
    def of(cls, pairs: Sequence[Pair], earlier: Sequence[Pair], encoder: LessonEncoder, *, validation: float) -> PairTable:
        """Raises BadInput when no pair is usable."""
        examples: list[Example] = []
        kept: list[Pair] = []
        num_new = 0
        for place, pair in enumerate((*pairs, *earlier)):
            ids = encoder.pair(pair)
            if ids is None or pair.weight <= 0:
                continue
            prompt, first, second = ids
            examples += [Example.of(prompt, answer, group=len(kept)) for answer in (first, second)]
            kept.append(pair)
            num_new += place < len(pairs)
        if not num_new:
            raise BadInput(f"No preference pair can be learnt from ({encoder.dropped or 'there are none'}).")
        fresh, held = split_validation([pair.key for pair in kept[:num_new]], validation)
        return cls(
            examples=examples,
            q=[pair.q for pair in kept],
            weights=[pair.weight for pair in kept],
            fresh=fresh,
            held=held,
            earlier=list(range(num_new, len(kept))),
        )

    def chosen(self, places: tuple[list[int], list[int]]) -> list[int]:
        """Numbers of pairs from an order's places."""
        return [*(self.fresh[place] for place in places[0]), *(self.earlier[place] for place in places[1])]

    def select(self, pairs: Sequence[int]) -> tuple[list[Example], list[int]]:
        """(examples of these pairs, each pair a group; their numbers in `examples`)."""
        numbers = [number for pair in pairs for number in (2 * pair, 2 * pair + 1)]
        return [replace(self.examples[number], group=place // 2) for place, number in enumerate(numbers)], numbers

    def labels(self, batch: Batch, pairs: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
        """(q, weight) of the batch's pairs, each (P,); a pair's examples are neighbours in a batch."""
        members = [pairs[owner // 2] for owner in batch.examples[::2]]
        q = torch.tensor([self.q[pair] for pair in members], dtype=torch.float64)
        weights = torch.tensor([self.weights[pair] for pair in members], dtype=torch.float64)
        return q.to(like), weights.to(like)
