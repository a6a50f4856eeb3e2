"""The torch parts of this room that training samples rollouts with; torch is imported only when one of them is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from yearling.models import Decoder


def sample_from_probabilities(probs_BV: Tensor, uniforms: Sequence[float]) -> list[int]:
    """The first token of each row of (B, V) at which the cumulative probability exceeds the row's uniform number.

    See `torch_sampler.sample_inverse_cdf`.
    """
    from yearling.inference.torch_sampler import sample_inverse_cdf

    return sample_inverse_cdf(probs_BV, uniforms)


def random_stream(seed: int) -> np.random.Generator:
    """The random numbers in [0, 1) that belong to a seed, the same as in every local engine. Any integer is a seed."""
    from yearling.inference.numpy_sampler import random_stream as new_stream

    return new_stream(seed)


def make_decoding_view(network: Decoder, *, packed: bool) -> Decoder:
    """The same network laid out for decoding in batches. It shares the original's tensors, so it follows every change of an
    adapter.

    With `packed`, frozen linear layers are also stored in the layout for small batches, with the adapter added to them; call
    `refresh_decoding_view` after each change of the adapter. Weights that are trained must not be packed.
    """
    from yearling.inference.torch_weights import copy_sharing_weights, pack_linears, replace_adapter_linears

    view = copy_sharing_weights(network)
    if packed:
        replace_adapter_linears(view)
        pack_linears(view)
    return view


def refresh_decoding_view(view: Decoder) -> None:
    """Update a packed view to the adapter's current weights. Other views always follow; for them this does nothing."""
    from yearling.inference.torch_weights import MergedAdapterLinear

    for module in view.modules():
        if isinstance(module, MergedAdapterLinear):
            module.refresh()
