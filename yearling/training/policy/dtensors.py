"""Tensors of which each process holds a part (torch's DTensor), and ordinary ones: the same two functions for both."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def gather_full(tensor: Tensor) -> Tensor:
    """All of a tensor, on every process; all of them must ask together. An ordinary tensor is itself."""
    own: Any = tensor
    found: Tensor = own.full_tensor() if hasattr(own, "full_tensor") else tensor
    return found


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor, laid out as `like` is. The tensor itself where `like` is an ordinary one."""
    model: Any = like
    if not hasattr(model, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    found: Tensor = distribute_tensor(tensor, model.device_mesh, model.placements)
    return found
