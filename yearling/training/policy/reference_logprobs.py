"""Log-probabilities under the reference model, computed once and cached.

The reference never changes during a run, so each example is computed once. Examples are computed in blocks of fixed composition:
which of them are cached never changes how the others are packed, so their values have the same bits whenever they are computed.
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
from yearling.files.sync import make_directory
from yearling.training.data.packing import PackedBatch, TrainingExample, pack_examples
from yearling.training.policy.policy import Policy

GROUPS_PER_BLOCK = 16
"""Groups of examples that are computed and cached together."""


class ReferenceLogprobs:
    """log π_ref of the target tokens of a fixed list of examples.

    With `cache_folder`, each block is stored there under a hash of base model and examples, and later runs read it again."""

    def __init__(
        self, policy: Policy, examples: Sequence[TrainingExample], *, budget_tokens: int, cache_folder: Path | None
    ) -> None:
        self._policy, self._examples = policy, examples
        self._budget_tokens, self._cache_folder = budget_tokens, cache_folder
        groups: dict[int, list[int]] = {}
        for index, example in enumerate(examples):
            groups.setdefault(example.group, []).append(index)
        group_indices = list(groups.values())
        starts = range(0, len(group_indices), GROUPS_PER_BLOCK)
        self._blocks = [list(chain.from_iterable(group_indices[start : start + GROUPS_PER_BLOCK])) for start in starts]
        self._block_by_example = {index: number for number, block in enumerate(self._blocks) for index in block}
        self._logprobs: dict[int, Tensor] = {}

    def get(self, index: int) -> Tensor:
        """log π_ref of each target token of `examples[index]`, on the CPU. Raises StorageFailed if the cache cannot be
        written."""
        if index not in self._logprobs:
            self._load_or_compute(self._blocks[self._block_by_example[index]])
        return self._logprobs[index]

    def precompute(self, indices: Sequence[int]) -> None:
        """Compute the missing values of these examples, in this order. Processes that share a model must do so together."""
        for index in indices:
            self.get(index)

    def for_batch(self, batch: PackedBatch, indices: Sequence[int]) -> Tensor:
        """log π_ref of a batch's target tokens, (N,), on the policy's device. Example i of the batch is
        `examples[indices[i]]`."""
        return torch.cat([self.get(indices[slot]) for slot in batch.example_indices]).to(self._policy.device)

    def _load_or_compute(self, block: list[int]) -> None:
        examples = [self._examples[index] for index in block]
        lengths = [example.num_targets for example in examples]
        path = self._cache_path(examples)
        values = None if path is None else _read_cached(path, sum(lengths))
        if values is None:
            values = self._compute(examples)
            if path is not None:
                with translate_disk_errors(path.parent):
                    make_directory(path.parent)
                    atomic_write_bytes(path, _npy_bytes(values))
        self._logprobs |= dict(zip(block, values.split_with_sizes(lengths), strict=True))

    def _compute(self, examples: Sequence[TrainingExample]) -> Tensor:
        by_example: list[Tensor] = [torch.empty(0)] * len(examples)
        for batch in pack_examples(examples, budget_tokens=self._budget_tokens):
            values = self._policy.reference_logprobs(batch).cpu()
            parts = values.split_with_sizes([examples[index].num_targets for index in batch.example_indices])
            for index, part in zip(batch.example_indices, parts, strict=True):
                by_example[index] = part
        return torch.cat(by_example)

    def _cache_path(self, examples: Sequence[TrainingExample]) -> Path | None:
        """The cache file of a block. None without a cache, and if several processes would write it."""
        if self._cache_folder is None or self._policy.is_sharded:
            return None
        return self._cache_folder / f"{self._cache_key(examples)}.npy"

    def _cache_key(self, examples: Sequence[TrainingExample]) -> str:
        digest = sha256(f"{self._policy.base_sha256} {self._policy.decoder.dtype} {self._budget_tokens}".encode())
        for example in examples:
            digest.update(f"{example.ids} {example.is_target} {example.group - examples[0].group}".encode())
        return digest.hexdigest()


def _read_cached(path: Path, num_targets: int) -> Tensor | None:
    """The values of a cache file, or None if it is missing or damaged; they are then computed again."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return torch.from_numpy(values) if values.shape == (num_targets,) else None


def _npy_bytes(values: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.numpy(), allow_pickle=False)
    return buffer.getvalue()
