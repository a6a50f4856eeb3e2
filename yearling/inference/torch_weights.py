"""The layout of a network's weights for serving on this processor. The networks themselves are in `yearling.models`.

Linear layers may be packed: their weights are stored a second time in the blocked order of oneDNN's kernels, which then need
not reorder them at every call. That speeds up batches and costs memory. Single rows keep the plain kernel, which is faster for
them.

Shapes: B sequences, T tokens, E model width, V vocabulary.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yearling.models import Decoder

PACKED_BATCH_SIZES = range(2, 129)
"""Batch sizes that use packed weights. With more rows, the plain kernel's reordering no longer matters."""

FLOAT32_MEMORY_FRACTION = 0.5
"""Part of the memory that is free at start which float32 weights may take."""

_PACKING_BATCH_SIZE = 32
"""The batch size that packing optimises for."""


def compute_logits(decoder: Decoder, hidden_BE: Tensor) -> Tensor:
    """Logits in float32, (B, V)."""
    logits: Tensor = decoder.lm_head(hidden_BE)
    return logits.float()


def choose_weight_dtype(num_parameters: int, *, available_bytes: int, cpu_flags: frozenset[str]) -> str:
    """The type to serve weights in: `float32`, unless only `bfloat16` fits into memory and the processor multiplies it.

    Float32 is the default although bfloat16 doubles the speed of large batches where there is AMX: with it, an answer does not
    depend on the requests that share its steps, and `score` finds the log-probabilities of an answer again.
    """
    if 4 * num_parameters <= FLOAT32_MEMORY_FRACTION * available_bytes:
        return "float32"
    return "bfloat16" if cpu_flags & {"amx_bf16", "avx512_bf16"} else "float32"


class PackedLinear(nn.Linear):
    """A linear layer that shares another layer's parameters and also holds a packed copy of its weights."""

    def __init__(self, linear: nn.Linear, packed: Tensor) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self._packed = packed

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, from the packed weights for the batch sizes that they suit."""
        if x.numel() // x.shape[-1] in PACKED_BATCH_SIZES:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
            return out
        return F.linear(x, self.weight, self.bias)


class MergedAdapterLinear(nn.Module):
    """A linear layer with its adapter as one packed matrix, for small batches. Other batches go to the layer itself.

    The matrix is W + scale · b a as of the last `refresh`, so that a decoding step needs no products with the factors.
    """

    def __init__(self, adapted: Any) -> None:
        super().__init__()
        self._adapted = (adapted,)  # in a tuple, so that packing does not find the layer below this module
        self._factors: tuple[Tensor, Tensor] | None = None
        self._packed: Tensor | None = None

    def refresh(self) -> None:
        """Update the matrix to the current factors. Cheap if they have not changed."""
        (adapted,) = self._adapted
        a, b = adapted.lora_a.detach(), adapted.lora_b.detach()
        if self._factors is not None and torch.equal(a, self._factors[0]) and torch.equal(b, self._factors[1]):
            return
        self._factors = (a.clone(), b.clone())
        weight = torch.addmm(adapted.base.weight.detach(), b, a, alpha=adapted.scale)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, _PACKING_BATCH_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output, adapter included."""
        (adapted,) = self._adapted
        if self._packed is not None and x.numel() // x.shape[-1] in PACKED_BATCH_SIZES:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, adapted.base.bias, "none", [], "")
            return out
        plain: Tensor = adapted(x)
        return plain


def replace_adapter_linears(network: nn.Module) -> None:
    """Replace every layer that has an adapter by a `MergedAdapterLinear`. Call `refresh` on each before use."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "lora_a"):
                setattr(parent, name, MergedAdapterLinear(child))


def pack_linears(network: nn.Module) -> int:
    """Give every linear layer a packed copy of its weights for small batches; returns the size of the copies in bytes.

    For networks that are not trained: a packed copy does not follow its weights.
    """
    packed: dict[int, Tensor] = {}
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child.weight.device.type == "cpu":
                weight = child.weight.detach()
                if weight.data_ptr() not in packed:
                    packed[weight.data_ptr()] = torch.ops.mkldnn._reorder_linear_weight(weight, _PACKING_BATCH_SIZE)
                setattr(parent, name, PackedLinear(child, packed[weight.data_ptr()]))
    return sum(weight.numel() * weight.element_size() for weight in packed.values())


def copy_sharing_weights(network: Decoder) -> Decoder:
    """A copy of a network whose layers can be replaced one by one, while all tensors remain those of the original."""
    shared: dict[int, object] = {}
    for module in network.modules():
        for value in [*vars(module).values(), *module._parameters.values(), *module._buffers.values()]:
            if isinstance(value, Tensor):
                shared[id(value)] = value
    return copy.deepcopy(network, shared)
