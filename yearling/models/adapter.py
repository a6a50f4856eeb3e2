"""The record of a LoRA adapter: what `lora.py` attaches and `lora_files.py` reads and writes. Needs no torch to be named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Every linear layer of a block."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank factors by layer, for example `model.layers.0.self_attn.q_proj`: (a (R, I), b (O, R)), R being the rank, I and O
    the layer's input and output widths.

    The layer's output gains `scale · b a x` with `scale` = alpha / R. `base_sha256` is the hash of the weights that it was made
    for, exactly as they were loaded; `base_source_sha256`, where it is known, that of the published file which those weights were
    laid out from, so that other layouts of the same file can be told from other models. While the adapter is attached the factors
    are the network's trainable parameters themselves.
    """

    factors: Mapping[str, tuple[Tensor, Tensor]]
    rank: int
    alpha: float
    base_sha256: str
    base_source_sha256: str = ""

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    @property
    def num_parameters(self) -> int:
        return sum(a.numel() + b.numel() for a, b in self.factors.values())
