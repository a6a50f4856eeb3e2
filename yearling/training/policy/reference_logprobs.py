"""Log-probabilities under the reference model, computed once and kept.

The reference never changes during a run, so each example meets it once. Examples are taken in blocks of fixed composition: which
of them were known already never changes how the others are packed, so values are the same bits whenever they are computed.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from yearling.files.atomic import atomic_write_bytes
from yearling.files.disk import translate_disk_errors
from yearling.training.data.packing import PackedBatch, TrainingExample, pack_examples
from yearling.training.policy.policy import Policy

GROUPS_PER_BLOCK = 16


class ReferenceLogprobs:
    """`of(number)` is log π_ref of each target token of `examples[number]`, on the CPU.

    With `folder` a block is written there under the hash of base and examples and is found again by the next run."""

    def __init__(
        self, policy: Policy, examples: Sequence[TrainingExample], *, budget_tokens: int, cache_folder: Path | None
    ) -> None:
        self._policy, self._examples = policy, examples
        self._budget_tokens, self._cache_folder = budget_tokens, cache_folder
        groups: dict[int, list[int]] = {}
        for number, example in enumerate(examples):
            groups.setdefault(example.group, []).append(number)
        members = list(groups.values())
        starts = range(0, len(members), GROUPS_PER_BLOCK)
        self._blocks = [list(chain.from_iterable(members[start : start + GROUPS_PER_BLOCK])) for start in starts]
        self._block_of = {number: index for index, block in enumerate(self._blocks) for number in block}
        self._logprobs: dict[int, Tensor] = {}

    def get(self, number: int) -> Tensor:
        if number not in self._logprobs:
            self._load_or_compute(self._blocks[self._block_of[number]])
        return self._logprobs[number]

    def precompute(self, numbers: Sequence[int]) -> None:
        """Compute what is missing of these, in their order: several processes that share the model must do so together."""
        for number in numbers:
            self.get(number)

    def for_batch(self, batch: PackedBatch, numbers: Sequence[int]) -> Tensor:
        """(N,) for a batch whose example i is `numbers[i]` here."""
        return torch.cat([self.get(numbers[owner]) for owner in batch.example_indices]).to(self._policy.device)

    def _load_or_compute(self, block: list[int]) -> None:
        examples = [self._examples[number] for number in block]
        path = (
            None
            if self._cache_folder is None or self._policy.is_sharded
            else self._cache_folder / f"{self._cache_key(examples)}.npy"
        )
        counts = [example.num_targets for example in examples]
        values = None if path is None else _read_cached(path, sum(counts))
        if values is None:
            values = self._compute(examples)
            if path is not None:
                with translate_disk_errors(path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    atomic_write_bytes(path, _npy_bytes(values))
        self._logprobs |= dict(zip(block, values.split_with_sizes(counts), strict=True))

    def _compute(self, examples: Sequence[TrainingExample]) -> Tensor:
        found: list[Tensor] = [torch.empty(0)] * len(examples)
        for batch in pack_examples(examples, budget_tokens=self._budget_tokens):
            values = self._policy.reference_logprobs(batch).cpu()
            parts = values.split_with_sizes([examples[number].num_targets for number in batch.example_indices])
            for number, part in zip(batch.example_indices, parts, strict=True):
                found[number] = part
        return torch.cat(found)

    def _cache_key(self, examples: Sequence[TrainingExample]) -> str:
        digest = sha256(f"{self._policy.base_sha256} {self._policy.decoder.dtype} {self._budget_tokens}".encode())
        for example in examples:
            digest.update(f"{example.ids} {example.is_target} {example.group - examples[0].group}".encode())
        return digest.hexdigest()


def _read_cached(path: Path, num_targets: int) -> Tensor | None:
    """The values of a file, or None when it is missing or damaged: they are computed again then."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(values) if values.shape == (num_targets,) else None


def _npy_bytes(values: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.numpy(), allow_pickle=False)
    return buffer.getvalue()
