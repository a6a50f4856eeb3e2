"""Random numbers of a training run: a pure function of the run's seed, the step and a purpose.

Because no generator survives a step, a resumed run draws the same numbers as an uninterrupted one. Independent of methods and
data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def step_generator(seed: int, step: int, purpose: int = 0) -> torch.Generator:
    """A CPU generator for one purpose in one step. It depends on the three arguments only, never on earlier draws."""
    import torch

    # The mixing constants of SplitMix64 (Steele, Lea and Flood 2014): neighbouring steps get unrelated streams.
    value = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + purpose * 0x94D049BB133111EB) & (1 << 64) - 1
    value = (value ^ value >> 31) * 0xD6E8FEB86659FD93 & (1 << 64) - 1
    return torch.Generator().manual_seed((value ^ value >> 29) & (1 << 63) - 1)
