"""Sharded tensors, of which each process holds a part (torch's DTensor), and ordinary tensors, through the same two functions."""

from __future__ import annotations

from torch import Tensor


def gather_full(tensor: Tensor) -> Tensor:
    """The complete tensor, on every process; all processes must call this together. An ordinary tensor is returned unchanged."""
    if not hasattr(tensor, "full_tensor"):
        return tensor
    full: Tensor = tensor.full_tensor()
    return full


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a complete tensor, laid out as `like`. Returned unchanged if `like` is an ordinary tensor."""
    if not (hasattr(like, "device_mesh") and hasattr(like, "placements")):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    sharded: Tensor = distribute_tensor(tensor, like.device_mesh, like.placements)
    return sharded
