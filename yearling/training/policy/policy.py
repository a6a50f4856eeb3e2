"""The policy: the model under training, a decoder with a LoRA adapter on every linear layer or with all weights trainable.

Turns batches into log-probabilities, also under its reference: the base model with the adapter switched off, or a frozen copy.
Independent of losses.

Shapes: T tokens of a batch, N target tokens, E model width.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from yearling.errors import Unsupported, Untrusted
from yearling.models import Adapter, Decoder, adapter_disabled, attach_adapter, new_adapter
from yearling.training.data.packing import PackedBatch
from yearling.training.policy.distribution_kl import kl_from_states
from yearling.training.policy.dtensors import gather_full, shard_like
from yearling.training.policy.fused import FusedTrunk
from yearling.training.policy.logprobs import target_logprobs
from yearling.training.policy.sharding import batches_of_rank, shard_network


class Policy:
    """A decoder under training. Create one with `Policy.lora`, `Policy.with_adapter` or `Policy.full`.

    `base_sha256` names the weights that training started from. `adapter` is None if all weights are trained. `reference` is a
    frozen copy of the base, None if the adapter can be switched off instead."""

    def __init__(self, decoder: Decoder, *, base_sha256: str, adapter: Adapter | None, reference: Decoder | None) -> None:
        self.decoder = decoder
        self.base_sha256 = base_sha256
        self._adapter = adapter
        self._reference = reference
        self._fused: FusedTrunk | None = None
        self.is_sharded = False
        """Whether `shard` has distributed the weights over several processes."""

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
        first_block: int = 0,
    ) -> Policy:
        """Train a fresh adapter on all linear layers of the blocks, in float32 whatever the type of the base.

        Blocks below `first_block` stay without one. `alpha` defaults to twice the rank. Raises what `attach_adapter` raises."""
        decoder.to(device)
        alpha = 2.0 * rank if alpha is None else alpha
        adapter = new_adapter(decoder, rank=rank, alpha=alpha, base_sha256=base_sha256, seed=seed, first_block=first_block)
        return cls.with_adapter(decoder, adapter)

    @classmethod
    def with_adapter(cls, decoder: Decoder, adapter: Adapter) -> Policy:
        """Continue from an adapter. The reference is the base model, not the adapter as it is now. Raises what `attach_adapter`
        does."""
        attached = attach_adapter(decoder, adapter, base_sha256=adapter.base_sha256)
        return cls(decoder, base_sha256=adapter.base_sha256, adapter=attached, reference=None)

    @classmethod
    def full(
        cls, decoder: Decoder, *, base_sha256: str, keep_reference: bool = True, device: torch.device | str = "cpu"
    ) -> Policy:
        """Train all weights.

        `keep_reference` keeps a frozen copy of them, which doubles their memory. Without it `reference_logprobs` raises
        ValueError."""
        decoder.to(device)
        reference = copy.deepcopy(decoder).requires_grad_(False) if keep_reference else None
        decoder.requires_grad_(True)
        return cls(decoder, base_sha256=base_sha256, adapter=None, reference=reference)

    def shard(self) -> None:
        """Distribute the weights over all processes of the default group, in place. Every process must hold the same policy.

        Afterwards all processes must call `token_logprobs` and `backward` equally often."""
        shard_network(self.decoder)
        self.is_sharded = True

    def local_batches(self, batches: Sequence[PackedBatch]) -> list[tuple[PackedBatch, float]]:
        """The batches of a step that this process computes, each with its weight. A single process computes all with weight 1."""
        return batches_of_rank(batches) if self.is_sharded else [(batch, 1.0) for batch in batches]

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.decoder.parameters()).device

    def hidden(self, batch: PackedBatch) -> Tensor:
        """Final hidden states of all tokens, (T, E), with gradient."""
        return self._hidden_states(batch.to(self.device))

    @property
    def trunk_implementation(self) -> str:
        """Which code computes the blocks: `fused` (`fused.py`) or `plain` (the decoder's own)."""
        return "fused" if self._trunk() is not None else "plain"

    def _trunk(self) -> FusedTrunk | None:
        """The fused trunk, rebuilt if the decoder's weights were replaced. None if it does not support the decoder."""
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
        """(log π with gradient, entropy of the next-token distribution in nats without gradient), each (N,).

        `hidden_TE` saves the pass through the trunk if the caller has already computed `hidden`. Without `entropy` the second is
        empty, (0,)."""
        batch = batch.to(self.device)
        states = self._hidden_states(batch) if hidden_TE is None else hidden_TE
        return _score_targets(self.decoder, states, batch, temperature, entropy)

    @torch.no_grad()
    def reference_logprobs(self, batch: PackedBatch, *, temperature: float = 1.0) -> Tensor:
        """log π of the base model for each target token, (N,), without gradient. Raises ValueError without a reference."""
        batch = batch.to(self.device)
        fused = self._trunk()
        if fused is not None:
            return _score_targets(self.decoder, fused.hidden(batch, adapted=False), batch, temperature, False)[0]
        if self._adapter is not None:
            with adapter_disabled(self.decoder):
                return _score_targets(self.decoder, _unfused_hidden_states(self.decoder, batch), batch, temperature, False)[0]
        if self._reference is None:
            raise ValueError("the policy was created without a reference")
        return _score_targets(self._reference, _unfused_hidden_states(self._reference, batch), batch, temperature, False)[0]

    @contextmanager
    def reference_network(self) -> Iterator[Decoder]:
        """Inside the block, a decoder that computes what the base model does. Raises ValueError without a reference."""
        if self._adapter is not None:
            with adapter_disabled(self.decoder):
                yield self.decoder
        elif self._reference is not None:
            yield self._reference
        else:
            raise ValueError("the policy was created without a reference")

    @torch.no_grad()
    def reference_states(self, batch: PackedBatch) -> Tensor:
        """The final hidden states of the base model from which each target token is predicted, (N, E), without gradient.

        Raises ValueError without a reference."""
        batch = batch.to(self.device)
        fused = self._trunk()
        if fused is not None:
            states = fused.hidden(batch, adapted=False)
        else:
            with self.reference_network() as network:
                states = _unfused_hidden_states(network, batch)
        return states.index_select(0, batch.sources_N)

    def kl_from_reference(self, batch: PackedBatch, reference_NE: Tensor) -> Tensor:
        """KL(π_ref ‖ π) of the next-token distribution at each target token in nats, (N,), with gradient.

        `reference_NE` are hidden states of the base model as from `reference_states`, of this batch or of another with the same
        targets after other prompts. Raises ValueError without a reference."""
        batch = batch.to(self.device)
        weight: Tensor = self.decoder.lm_head.weight
        reference_weight = weight
        if self._adapter is None:
            if self._reference is None:
                raise ValueError("the policy was created without a reference")
            reference_weight = self._reference.lm_head.weight
        rows = self._hidden_states(batch).index_select(0, batch.sources_N)
        return kl_from_states(reference_NE.to(rows), reference_weight.detach(), rows, weight)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """The trained parameters by their names in the network. A tied weight appears once."""
        return {name: parameter for name, parameter in self.decoder.named_parameters() if parameter.requires_grad}

    def parameters(self) -> list[torch.nn.Parameter]:
        """The trained parameters."""
        return list(self.named_parameters().values())

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of the trained tensors. If they are sharded, the complete tensors, on every process."""
        return {name: gather_full(parameter.detach()).clone() for name, parameter in self.named_parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned. Raises Untrusted if the tensors are not those of this policy."""
        own = self.named_parameters()
        if own.keys() != state.keys() or any(own[name].shape != state[name].shape for name in own):
            raise Untrusted("The checkpoint was made for another policy.", advice="Resume with the run's own settings.")
        for name, parameter in own.items():
            parameter.copy_(shard_like(state[name].to(parameter.device), parameter))

    def adapter(self) -> Adapter:
        """A copy of the adapter as it is now. Raises Unsupported if all weights are trained."""
        if self._adapter is None:
            raise Unsupported("The run trained all weights and has no adapter.", advice="Export the whole model instead.")
        factors = {
            name: (gather_full(a.detach()).clone(), gather_full(b.detach()).clone())
            for name, (a, b) in self._adapter.factors.items()
        }
        return Adapter(factors, self._adapter.rank, self._adapter.alpha, self._adapter.base_sha256)

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is trained, not all weights."""
        return self._adapter is not None


def _unfused_hidden_states(decoder: Decoder, batch: PackedBatch) -> Tensor:
    """Final hidden states by the decoder's own code, (T, E)."""
    return decoder.hidden(batch.ids_T[None], positions_BT=batch.positions_T[None], mask=batch.attention_mask()[None])[0]


def _score_targets(
    decoder: Decoder, hidden_TE: Tensor, batch: PackedBatch, temperature: float, entropy: bool
) -> tuple[Tensor, Tensor]:
    """(log π, entropy) of a batch's target tokens, from the final hidden states."""
    weight: Tensor = decoder.lm_head.weight
    rows = hidden_TE.index_select(0, batch.sources_N)
    return target_logprobs(rows, weight, batch.labels_N, temperature=temperature, entropy=entropy)
