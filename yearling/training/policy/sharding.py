"""Shards a network over several processes with FSDP2 (`torch.distributed.fsdp.fully_shard`), as `torchrun` starts them.

Each process holds a part of every weight and computes its own batches. Losses are divided by the totals of the whole optimiser
step over all processes, so gradients are summed, not averaged: the result equals that of one process with all batches. Sharded
blocks are computed by the decoder's own code, never by `fused.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from yearling.training.data.packing import PackedBatch


def shard_network(network: nn.Module) -> None:
    """Shard a decoder over all processes of the default group, in place.

    Every process must hold the same network. Afterwards all of them must call `hidden` and `backward` equally often."""
    from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

    decoder: Any = network
    for block in decoder.model.layers:
        fully_shard(block)
    fully_shard(network)
    register_fsdp_forward_method(network, "hidden")
    for module in network.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo cannot scale during a reduction, as float32 would need


def batches_of_rank(batches: Sequence[PackedBatch]) -> list[tuple[PackedBatch, float]]:
    """This process's share of a step's batches, each with its weight.

    The weight is 1, or 0 for a batch that another process counts: it is computed only so that all processes make as many
    passes."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    num_rounds = -(-len(batches) // world)
    indices = [round_index * world + rank for round_index in range(num_rounds)]
    return [(batches[min(index, len(batches) - 1)], float(index < len(batches))) for index in indices]
