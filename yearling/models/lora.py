"""LoRA: low-rank changes to the frozen linear layers of a decoder (2106.09685).

Handles adapters in memory: create, attach, disable, merge, detach. `lora_files.py` handles files; training happens elsewhere.
With the adapter disabled or detached, the network computes bit for bit what it did before, so it is its own reference.

Shapes: R rank, I input width, O output width of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models.adapter import LORA_TARGETS, Adapter, adapter_fit
from yearling.models.decoder import Decoder
from yearling.models.decoder_config import DecoderConfig
from yearling.models.llama_decoder import LlamaDecoder


class LoRALinear(nn.Module):
    """A linear layer with a low-rank change: base(x) + scale · b a x. The factors may have a wider type than the base."""

    def __init__(self, base: nn.Linear, a_RI: Tensor, b_OR: Tensor, scale: float) -> None:
        super().__init__()
        self.base = base
        self.lora_a = nn.Parameter(a_RI)
        self.lora_b = nn.Parameter(b_OR)
        self.scale = scale
        self.enabled = True

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, with the change unless it is disabled."""
        out: Tensor = self.base(x)
        if not self.enabled:
            return out
        low = F.linear(x, self.lora_a.to(x.dtype))
        return out + F.linear(low, self.lora_b.to(x.dtype)) * self.scale


def new_adapter(
    decoder: Decoder,
    *,
    rank: int,
    alpha: float,
    base_sha256: str,
    seed: int,
    targets: tuple[str, ...] = LORA_TARGETS,
    first_block: int = 0,
) -> Adapter:
    """A new float32 adapter that changes nothing yet: `a` is random in ±1/√I like the weights of a linear layer, `b` is zero.

    Blocks below `first_block` stay without one. Raises BadInput for a rank below 1, unknown layers, or a first block that the
    network does not have, Unsupported for a network that cannot have adapters.
    """
    if rank < 1 or not set(targets) <= set(LORA_TARGETS):
        raise BadInput(
            f"An adapter of rank {rank} on {', '.join(targets)} is not possible.",
            advice=f"Use a rank of at least 1 and layers from: {', '.join(LORA_TARGETS)}.",
        )
    network = _require_llama(decoder)
    num_blocks = network.config.num_layers
    if not 0 <= first_block < num_blocks:
        raise BadInput(f"The network has no block {first_block}.", advice=f"Its blocks are 0 to {num_blocks - 1}.")
    generator = torch.Generator().manual_seed(seed)
    factors = {}
    for name, layer in _linear_layers(network).items():
        if name.rpartition(".")[2] in targets and int(name.split(".")[2]) >= first_block:
            bound = 1 / math.sqrt(layer.in_features)
            a = torch.empty(rank, layer.in_features).uniform_(-bound, bound, generator=generator)
            factors[name] = (a, torch.zeros(layer.out_features, rank))
    return Adapter(factors, rank, float(alpha), base_sha256)


def attach(decoder: Decoder, adapter: Adapter, *, base_sha256: str) -> Adapter:
    """Insert the adapter into the network, in place, and freeze everything but its factors.

    Returns the attached adapter, whose factors are the parameters to train. Raises Untrusted if it was made for other weights
    than `base_sha256`, BadInput if its layers do not fit or an adapter is attached already.
    """
    network = _require_llama(decoder)
    check_adapter_base(adapter, base_sha256)
    if any(isinstance(module, LoRALinear) for module in network.modules()):
        raise BadInput("The network has an adapter already.", advice="Detach or merge it first.")
    layers = _linear_layers(network)
    device = network.model.embed_tokens.weight.device
    for name, (a, b) in adapter.factors.items():
        layer = layers.get(name)
        if layer is None or a.shape != (adapter.rank, layer.in_features) or b.shape != (layer.out_features, adapter.rank):
            raise BadInput(f"The adapter does not fit the model: {name}.", advice="Use the model that it was trained on.")
    network.requires_grad_(False)
    attached = {}
    for name, (a, b) in adapter.factors.items():
        wrapped = LoRALinear(layers[name], a.detach().clone().to(device), b.detach().clone().to(device), adapter.scale)
        network.set_submodule(name, wrapped)
        attached[name] = (wrapped.lora_a, wrapped.lora_b)
    return Adapter(attached, adapter.rank, adapter.alpha, adapter.base_sha256, adapter.base_source_sha256)


def detach(decoder: Decoder) -> None:
    """Remove the adapter: the network is the bare model again, with all parameters still frozen."""
    network = _require_llama(decoder)
    for name, layer in _adapted_layers(network).items():
        network.set_submodule(name, layer.base)


def merge(decoder: Decoder) -> None:
    """Add the attached adapter's change to the weights permanently: W + scale · b a, computed in float32 or wider."""
    network = _require_llama(decoder)
    with torch.no_grad():
        for layer in _adapted_layers(network).values():
            weight = layer.base.weight
            wide = torch.promote_types(weight.dtype, torch.float32)
            change = (layer.lora_b.to(wide) @ layer.lora_a.to(wide)) * layer.scale
            # Assigned, not changed in place: other users of the old tensor keep the bare model.
            layer.base.weight = nn.Parameter((weight.to(wide) + change).to(weight.dtype), requires_grad=False)
    detach(network)


@contextmanager
def disabled(decoder: Decoder) -> Iterator[None]:
    """Inside the block, the network is the bare model, so that the reference of a KL term needs no second copy."""
    layers = list(_adapted_layers(_require_llama(decoder)).values())
    before = [layer.enabled for layer in layers]
    for layer in layers:
        layer.enabled = False
    try:
        yield
    finally:
        for layer, enabled in zip(layers, before, strict=True):
            layer.enabled = enabled


def check_adapter_base(adapter: Adapter, base_sha256: str, source_sha256: str = "") -> None:
    """Raises Untrusted if the adapter was made for other weights: neither these nor, if `source_sha256` is given, another
    layout of the same source.
    """
    if not adapter_fit(adapter.base_sha256, adapter.base_source_sha256, model_sha256=base_sha256, source_sha256=source_sha256):
        made_for = adapter.base_sha256[:12] or "an unnamed model"
        raise Untrusted(
            f"The adapter was made for the weights {made_for}, not for {base_sha256[:12]}.",
            advice="Use the model that it was trained on.",
        )


def llama_config(decoder: Decoder) -> DecoderConfig:
    """The configuration of a decoder that can have adapters. Raises Unsupported for others."""
    return _require_llama(decoder).config


def _require_llama(decoder: Decoder) -> LlamaDecoder:
    if not isinstance(decoder, LlamaDecoder):
        raise Unsupported(f"Adapters on the architecture {decoder.config.family!r} are not supported.")
    return decoder


def _linear_layers(network: LlamaDecoder) -> dict[str, nn.Linear]:
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in LORA_TARGETS
    }


def _adapted_layers(network: LlamaDecoder) -> dict[str, LoRALinear]:
    return {name: module for name, module in network.named_modules() if isinstance(module, LoRALinear)}
