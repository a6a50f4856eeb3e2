"""Torch parts of this room that training draws rollouts with, without making everyone who opens the door pay for torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from yearling.models import Decoder


def sample_from_probabilities(probs_BV: Tensor, uniforms: Sequence[float]) -> list[int]:
    """The token at which each row's cumulative probability first exceeds its uniform number; see `sampler.invert`."""
    from yearling.inference.torch_sampler import sample_inverse_cdf

    return sample_inverse_cdf(probs_BV, uniforms)


def random_stream(seed: int) -> np.random.Generator:
    """The random numbers in [0, 1) that belong to a seed, the same as in every local engine. Any integer is a seed."""
    from yearling.inference.numpy_sampler import random_stream as new_stream

    return new_stream(seed)


def make_decoding_view(network: Decoder, *, packed: bool) -> Decoder:
    """The same network for decoding in batches: its tensors are the original's, so that it follows every change of an adapter.
    `packed` lays the frozen linear layers out for small batches besides, an adapter added to them: `follow_adapter` then takes
    its changes over. Weights that are trained must not be packed."""
    from yearling.inference.torch_weights import copy_sharing_weights, pack_linears, replace_adapter_linears

    view = copy_sharing_weights(network)
    if packed:
        replace_adapter_linears(view)
        pack_linears(view)
    return view


def refresh_decoding_view(view: Decoder) -> None:
    """Make a packed `decoding_view` decode with the adapter as it is now. Does nothing to other views, which always do."""
    from yearling.inference.torch_weights import MergedAdapterLinear

    for module in view.modules():
        if isinstance(module, MergedAdapterLinear):
            module.refresh()
