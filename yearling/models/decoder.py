"""The interface of every causal network in torch: hidden states, logits, and a cache with rows of different lengths.

Holds the interface and the bookkeeping that all networks share. `llama_decoder.py` is the Llama family,
`transformers_decoder.py` everything else.

Shapes: B sequences, T new tokens, E model width, V vocabulary, S cache slots.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from yearling.models.decoder_config import DecoderShape


class Cache(ABC):
    """The past of S sequences, each with its own length: nothing is padded on the left.

    The first `lengths[slot]` tokens of a slot are valid. Sequences need not start or end together: `rows` selects the slots of
    one step.
    """

    def __init__(self, *, num_slots: int, capacity_tokens: int) -> None:
        self.capacity_tokens = capacity_tokens
        self.lengths = [0] * num_slots

    def rows(self, slots: Sequence[int], num_new: Sequence[int] | None = None) -> CacheRows:
        """The slots that take part in one step, in the order of its batch.

        `num_new[i]` of the T tokens of slot i are real, the rest is padding on the right; None means all. Adjacent slots in
        rising order are read without a copy.
        """
        return CacheRows(self, tuple(slots), None if num_new is None else tuple(num_new))

    def reset(self, slot: int, length: int = 0) -> None:
        """Drop all but the first `length` tokens of a slot. Raises ValueError if it holds fewer."""
        if not 0 <= length <= self.lengths[slot]:
            raise ValueError(f"slot {slot} holds {self.lengths[slot]} tokens, not {length}")
        self.lengths[slot] = length

    @abstractmethod
    def copy(self, source: int, targets: Sequence[int]) -> None:
        """Give other slots the same past, so that a shared prompt is computed once."""

    @abstractmethod
    def copy_from(self, slot: int, other: Cache, source: int) -> None:
        """Give a slot the past of a slot of another cache of the same network, as far as there is room."""


@dataclass(frozen=True, slots=True)
class CacheRows:
    """Some slots of a cache, for one call of `Decoder.hidden` or `Decoder.forward`, which appends to them."""

    cache: Cache
    slots: tuple[int, ...]
    num_new: tuple[int, ...] | None

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row before the step."""
        return [self.cache.lengths[slot] for slot in self.slots]

    def new_tokens(self, batch: int, tokens: int) -> list[int]:
        """How many of the T tokens of each row are real. Raises ValueError if the step does not fit the slots."""
        new = list(self.num_new or [tokens] * batch)
        fits = len(self.slots) == len(new) == len(set(self.slots)) == batch
        if not fits or not 0 <= min(new) <= max(new) <= tokens:
            raise ValueError(f"{batch} sequences of {tokens} tokens do not fit slots {self.slots} with {new} new tokens")
        if max(length + count for length, count in zip(self.lengths, new, strict=True)) > self.cache.capacity_tokens:
            raise ValueError(f"the cache holds {self.cache.capacity_tokens} tokens per sequence")
        return new

    def advance(self, new: Sequence[int]) -> None:
        """Record that each row has grown by so many tokens."""
        for slot, count in zip(self.slots, new, strict=True):
            self.cache.lengths[slot] += count


class Decoder(nn.Module, ABC):
    """A causal language model. `lm_head` turns hidden states into logits; callers that need log-probabilities of many tokens
    call `hidden` and apply `lm_head` to chunks.
    """

    config: DecoderShape
    lm_head: nn.Linear

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        ...

    @abstractmethod
    def new_cache(self, *, num_slots: int, capacity_tokens: int) -> Cache:
        """An empty cache of this network's shape, type and device."""

    @abstractmethod
    def hidden(
        self,
        ids_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        cache: CacheRows | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """The final hidden states after the last norm, (B, T, E).

        Without a cache, token t sees tokens 0 to t of its row, or what `mask` allows (boolean, broadcastable to (B, T, T), true
        where a token may look; see `pack_sequences`). A layer's sliding window applies to positions in both cases. With `cache`
        rows, the tokens follow what the slots hold, are appended to them and see all of it; `positions_BT` and `mask` are then
        not allowed. Raises ValueError if arguments contradict each other or the cache is full.
        """

    def forward(
        self,
        ids_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        cache: CacheRows | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, T, V) in the type of the weights; arguments as in `hidden`."""
        logits: Tensor = self.lm_head(self.hidden(ids_BT, positions_BT=positions_BT, cache=cache, mask=mask))
        return logits


def pack_sequences(lengths: Sequence[int], *, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """(positions (1, T), mask (1, T, T)) of sequences of these lengths placed end to end in one row: each sees only itself."""
    sizes = torch.tensor(lengths, device=device)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=device), sizes)
    starts = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
    order = torch.arange(owner.shape[0], device=device)
    mask = (owner[:, None] == owner[None]) & (order[None] <= order[:, None])
    return (order - starts)[None], mask[None]


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """The bias that attention adds to its scores, (B or 1, 1, T, K), from a boolean mask (T, K) or (B, T, K)."""
    if allowed.dim() == 2:
        allowed = allowed[None]
    # Half of the lowest number: adding a score cannot overflow, and a row without any allowed key stays finite.
    lowest = torch.finfo(dtype).min / 2
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, lowest)[:, None]
