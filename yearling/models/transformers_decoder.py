"""Architectures outside the Llama family, through transformers, behind the `Decoder` interface.

Knows transformers' calling conventions; computes nothing itself. It favours correctness over speed: with a cache it stores the
token ids and processes all of them at each step, because the caches of transformers cannot hold rows of different lengths. No
code from the model's folder is run, and only safetensors are opened.

Shapes as in `decoder.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from yearling.errors import Unsupported
from yearling.models.decoder import Cache, CacheRows, Decoder, additive_mask
from yearling.models.decoder_config import DecoderShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TokenIdCache(Cache):
    """The token ids of S sequences, for a network whose keys and values are not cached."""

    def __init__(self, *, num_slots: int, capacity_tokens: int) -> None:
        super().__init__(num_slots=num_slots, capacity_tokens=capacity_tokens)
        self.ids: list[list[int]] = [[] for _ in range(num_slots)]

    def cached_ids(self, slot: int) -> list[int]:
        """The token ids of a slot."""
        return self.ids[slot][: self.lengths[slot]]

    def copy(self, source: int, targets: Sequence[int]) -> None:
        """As `Cache.copy`."""
        for target in targets:
            self.ids[target] = self.cached_ids(source)
            self.lengths[target] = self.lengths[source]

    def copy_from(self, slot: int, other: Cache, source: int) -> None:
        """As `Cache.copy_from`."""
        if not isinstance(other, TokenIdCache):
            raise ValueError("the cache belongs to another kind of network")
        self.ids[slot] = other.cached_ids(source)[: self.capacity_tokens]
        self.lengths[slot] = len(self.ids[slot])


class TransformersDecoder(Decoder):
    """A causal language model of transformers."""

    def __init__(self, model: PreTrainedModel, config: DecoderShape) -> None:
        super().__init__()
        self.config = config
        self.inner = model
        self.lm_head = model.get_output_embeddings()

    @property
    def dtype(self) -> torch.dtype:
        """As `Decoder.dtype`."""
        dtype: torch.dtype = next(self.inner.parameters()).dtype
        return dtype

    def new_cache(self, *, num_slots: int, capacity_tokens: int) -> Cache:
        """As `Decoder.new_cache`."""
        return TokenIdCache(num_slots=num_slots, capacity_tokens=capacity_tokens)

    def hidden(
        self, ids_BT: Tensor, *, positions_BT: Tensor | None = None, cache: CacheRows | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """As `Decoder.hidden`."""
        if cache is not None:
            if positions_BT is not None or mask is not None:
                raise ValueError("positions and mask must not be given with a cache")
            return self._continue(ids_BT, cache)
        bias = None if mask is None else additive_mask(mask, self.dtype)
        trunk = self.inner.base_model
        states = trunk(ids_BT, attention_mask=bias, position_ids=positions_BT, use_cache=False).last_hidden_state
        out: Tensor = states
        return out

    def _continue(self, ids_BT: Tensor, rows: CacheRows) -> Tensor:
        cache = rows.cache
        if not isinstance(cache, TokenIdCache):
            raise ValueError("the cache belongs to another kind of network")
        batch, tokens = ids_BT.shape
        num_new = rows.new_tokens(batch, tokens)
        full_ids = [[*cache.cached_ids(slot), *ids] for slot, ids in zip(rows.slots, ids_BT.tolist(), strict=True)]
        width = max(map(len, full_ids))
        padded = torch.tensor([ids + [0] * (width - len(ids)) for ids in full_ids], device=ids_BT.device)
        states = self.hidden(padded)  # tokens never see the padding on their right
        starts = rows.lengths
        for slot, ids in zip(rows.slots, full_ids, strict=True):
            cache.ids[slot] = ids
        rows.advance(num_new)
        return torch.stack([states[row, start : start + tokens] for row, start in enumerate(starts)])


def open_transformers_decoder(folder: Path, dtype: torch.dtype, reason: Unsupported) -> TransformersDecoder:
    """Load a folder through transformers. `reason` tells why our own network cannot; it is part of the error if transformers
    cannot either.
    """
    from transformers import AutoModelForCausalLM

    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=dtype
        ).eval()
    except (ValueError, OSError, KeyError, ImportError) as error:
        raise Unsupported(f"{reason.message} transformers cannot open it either: {error}", advice=reason.advice) from None
    config = model.config
    decoder = TransformersDecoder(
        model,
        DecoderShape(
            family=config.model_type,
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            num_layers=config.num_hidden_layers,
            context_tokens=config.max_position_embeddings,
            hf_config=config.to_dict(),
        ),
    )
    _check_output_projection(decoder)
    return decoder


@torch.no_grad()
def _check_output_projection(decoder: TransformersDecoder) -> None:
    """Raises Unsupported for families that scale or cap their logits after the output projection, which `lm_head` alone would
    miss.
    """
    ids = torch.arange(3)[None]
    expected_logits = decoder.inner(ids, use_cache=False).logits.float()
    if not torch.allclose(decoder(ids).float(), expected_logits, rtol=1e-3, atol=1e-3):
        raise Unsupported(
            f"The architecture {decoder.config.family!r} changes its logits after the output projection, which is not supported.",
            advice="Serve it with llama.cpp.",
        )
