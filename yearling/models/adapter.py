"""The record of a LoRA adapter, and which models it fits. `lora.py` attaches it, `lora_files.py` reads and writes it.

Needs no torch, so that any module can name the type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Every linear layer of a block."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank factors by layer, for example `model.layers.0.self_attn.q_proj`: (a (R, I), b (O, R)), where R is the rank and I
    and O are the layer's input and output widths.

    The layer's output gains `scale · b a x` with `scale` = alpha / R. `base_sha256` is the hash of the weights that the adapter
    was made for, as they were loaded. `base_source_sha256`, if known, is the hash of the published file from which those
    weights were converted: it identifies other layouts of the same file. While the adapter is attached, the factors are the
    network's trainable parameters.
    """

    factors: Mapping[str, tuple[Tensor, Tensor]]
    rank: int
    alpha: float
    base_sha256: str
    base_source_sha256: str = ""

    @property
    def scale(self) -> float:
        """Factor of the low-rank change: alpha / R."""
        return self.alpha / self.rank

    @property
    def num_parameters(self) -> int:
        """Number of weights in all factors."""
        return sum(a.numel() + b.numel() for a, b in self.factors.values())


def adapter_fit(
    base_sha256: str, base_source_sha256: str, *, model_sha256: str, source_sha256: str
) -> Literal["same", "layout", ""]:
    """How an adapter made for `base_sha256` (converted from `base_source_sha256`) fits a model.

    `same` means that it was made for these very weights, `layout` that it was made for another layout of the same published file
    (`source_sha256`, if that is known), and an empty string that it was made for other weights.
    """
    if base_sha256 == model_sha256:
        return "same"
    return "layout" if source_sha256 and source_sha256 in (base_source_sha256, base_sha256) else ""
