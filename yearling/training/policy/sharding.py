"""A policy over several processes with FSDP2 (`torch.distributed.fsdp.fully_shard`), as `torchrun` starts them.

Each process holds a part of every weight and learns from its own batches. Losses are divided by what the whole optimiser step
holds, over all processes, so gradients are summed, not averaged: the result is that of one process with all batches.
Sharded blocks are computed by the decoder's own code, never by `fused.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from yearling.training.data.packing import PackedBatch
from yearling.training.policy.policy import Policy


def shard(policy: Policy) -> Policy:
    """Shard the policy's network over all processes of the default group, in place. Every process must have made the same policy.
    Afterwards all of them must call `token_logprobs` and `backward` equally often."""
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    network: Any = policy.decoder
    for block in network.model.layers:
        fully_shard(block)
    fully_shard(network)
    register_fsdp_forward_method(network, "hidden")
    for module in network.modules():
        if hasattr(module, "set_gradient_divide_factor"):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)  # gloo cannot scale while it reduces, as float32 would have it
    policy.is_sharded = True
    return policy


def batches_of_rank(batches: Sequence[PackedBatch]) -> list[tuple[PackedBatch, float]]:
    """This process's share of a step's batches, with their weights: 1, or 0 for a batch that another process has, taken along so
    that all processes make as many passes."""
    rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    rounds = -(-len(batches) // world)
    places = [turn * world + rank for turn in range(rounds)]
    return [(batches[min(place, len(batches) - 1)], float(place < len(batches))) for place in places]
