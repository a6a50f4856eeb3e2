"""The model under training: a decoder with a LoRA adapter on every linear layer, or with all of its weights trainable.

Turns batches into log-probabilities and knows its own reference: the adapter switched off, or a frozen copy. Knows no loss.

Shapes: T tokens of a batch, N target tokens, E model width.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from yearling.errors import Unsupported, Untrusted
from yearling.models import Adapter, Decoder, adapter_disabled, attach_adapter, new_adapter
from yearling.training.data.packing import PackedBatch
from yearling.training.policy.dtensors import gather_full, shard_like
from yearling.training.policy.fused import FusedTrunk
from yearling.training.policy.logprobs import target_logprobs


class Policy:
    """Make one with `Policy.lora` or `Policy.full`. `base_sha256` names the weights that training began from."""

    def __init__(self, decoder: Decoder, *, base_sha256: str, adapter: Adapter | None, reference: Decoder | None) -> None:
        self.decoder = decoder
        self.base_sha256 = base_sha256
        self._adapter = adapter
        self._reference = reference
        self._fused: FusedTrunk | None = None
        self.is_sharded = False
        """Set by `sharding.shard`."""

    @classmethod
    def lora(
        cls,
        decoder: Decoder,
        *,
        base_sha256: str,
        rank: int = 16,
        alpha: float | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> Policy:
        """A fresh adapter on all linear layers of the blocks, in float32 whatever the base is in; `alpha` defaults to twice the
        rank. Raises what `attach_adapter` raises."""
        decoder.to(device)
        fresh = new_adapter(decoder, rank=rank, alpha=2.0 * rank if alpha is None else alpha, base_sha256=base_sha256, seed=seed)
        return cls.with_adapter(decoder, fresh)

    @classmethod
    def with_adapter(cls, decoder: Decoder, adapter: Adapter) -> Policy:
        """Go on from an adapter. Its reference is the base, not the adapter as it is now."""
        attached = attach_adapter(decoder, adapter, base_sha256=adapter.base_sha256)
        return cls(decoder, base_sha256=adapter.base_sha256, adapter=attached, reference=None)

    @classmethod
    def full(
        cls, decoder: Decoder, *, base_sha256: str, keep_reference: bool = True, device: torch.device | str = "cpu"
    ) -> Policy:
        """All weights are trained. `keep_reference` holds a frozen copy of them, which doubles their memory; without it
        `reference_logprobs` raises."""
        decoder.to(device)
        reference = copy.deepcopy(decoder).requires_grad_(False) if keep_reference else None
        decoder.requires_grad_(True)
        return cls(decoder, base_sha256=base_sha256, adapter=None, reference=reference)

    def local_batches(self, batches: Sequence[PackedBatch]) -> list[tuple[PackedBatch, float]]:
        """The batches of a step that this process computes, each with its weight: all of them, each once, in a process alone."""
        if not self.is_sharded:
            return [(batch, 1.0) for batch in batches]
        from yearling.training.policy.sharding import batches_of_rank

        return batches_of_rank(batches)

    @property
    def device(self) -> torch.device:
        return next(self.decoder.parameters()).device

    def hidden(self, batch: PackedBatch) -> Tensor:
        """Final hidden states of all tokens, (T, E), with gradient."""
        return self._hidden_states(batch.to(self.device))

    @property
    def trunk_implementation(self) -> str:
        """Which code computes the blocks: `fused` (see `fused.py`) or `plain`, the decoder's own."""
        return "fused" if self._trunk() is not None else "plain"

    def _trunk(self) -> FusedTrunk | None:
        if self._adapter is None or self.is_sharded:
            return None
        if self._fused is None or not self._fused.is_current:
            self._fused = FusedTrunk(self.decoder) if FusedTrunk.supports(self.decoder) else None
        return self._fused

    def _hidden_states(self, batch: PackedBatch) -> Tensor:
        fused = self._trunk()
        return _unfused_hidden_states(self.decoder, batch) if fused is None else fused.hidden(batch)

    def token_logprobs(self, batch: PackedBatch, *, temperature: float = 1.0) -> Tensor:
        """log π of each target token, (N,), with gradient."""
        return self.logprobs_and_entropy(batch, temperature=temperature, entropy=False)[0]

    def logprobs_and_entropy(
        self, batch: PackedBatch, *, temperature: float = 1.0, entropy: bool = True, hidden_TE: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(log π with gradient, entropy of the next-token distribution in nats without), each (N,). `hidden_TE` spares the pass
        through the trunk where `hidden` was computed for a value head too."""
        batch = batch.to(self.device)
        states = self._hidden_states(batch) if hidden_TE is None else hidden_TE
        return _score_targets(self.decoder, states, batch, temperature, entropy)

    @torch.no_grad()
    def reference_logprobs(self, batch: PackedBatch, *, temperature: float = 1.0) -> Tensor:
        """log π of the base model, (N,), without gradient."""
        batch = batch.to(self.device)
        fused = self._trunk()
        if fused is not None:
            return _score_targets(self.decoder, fused.hidden(batch, adapted=False), batch, temperature, False)[0]
        if self._adapter is not None:
            with adapter_disabled(self.decoder):
                return _score_targets(self.decoder, _unfused_hidden_states(self.decoder, batch), batch, temperature, False)[0]
        if self._reference is None:
            raise ValueError("the policy was made without a reference")
        return _score_targets(self._reference, _unfused_hidden_states(self._reference, batch), batch, temperature, False)[0]

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by its name in the network; a tied weight once."""
        return {name: parameter for name, parameter in self.decoder.named_parameters() if parameter.requires_grad}

    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self.named_parameters().values())

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of the trained tensors, whole ones where this process holds a part of each."""
        return {name: gather_full(parameter.detach()).clone() for name, parameter in self.named_parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises Untrusted when the tensors are not those of this policy."""
        own = self.named_parameters()
        if own.keys() != state.keys() or any(own[name].shape != state[name].shape for name in own):
            raise Untrusted("The checkpoint holds other tensors than the policy.", advice="Resume with the run's own settings.")
        for name, parameter in own.items():
            parameter.copy_(shard_like(state[name].to(parameter.device), parameter))

    def adapter(self) -> Adapter:
        """A copy of the adapter as it is now. Raises Unsupported under full fine-tuning."""
        if self._adapter is None:
            raise Unsupported("All weights were trained: there is no adapter.", advice="Export the whole model instead.")
        factors = {
            name: (gather_full(a.detach()).clone(), gather_full(b.detach()).clone())
            for name, (a, b) in self._adapter.factors.items()
        }
        return Adapter(factors, self._adapter.rank, self._adapter.alpha, self._adapter.base_sha256)

    @property
    def has_adapter(self) -> bool:
        return self._adapter is not None


def _unfused_hidden_states(decoder: Decoder, batch: PackedBatch) -> Tensor:
    return decoder.hidden(batch.ids_T[None], positions_BT=batch.positions_T[None], mask=batch.attention_mask()[None])[0]


def _score_targets(
    decoder: Decoder, hidden_TE: Tensor, batch: PackedBatch, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor]:
    weight: Tensor = decoder.lm_head.weight  # type: ignore[assignment]
    rows = hidden_TE.index_select(0, batch.sources_N)
    return target_logprobs(rows, weight, batch.labels_N, temperature=temperature, entropy=entropy)
