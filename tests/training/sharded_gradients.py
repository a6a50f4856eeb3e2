"""One process of `test_sharding.py`: gradients of a loss over a step's batches, sharded over all processes.

torchrun --nproc-per-node 2 -m tests.training.sharded_gradients OUT.pt KIND...

Kinds: `full` trains all weights, and `float32` computes in float32, as real models do.
"""

from __future__ import annotations

import sys
from collections.abc import Collection

import torch
from torch import Tensor

from tests.training.networks import random_pairs, tiny_policy
from yearling.training.data.packing import PackedBatch, TrainingExample, pack_examples
from yearling.training.policy.dtensors import gather_full
from yearling.training.policy.policy import Policy


def step_batches(examples: list[TrainingExample]) -> list[PackedBatch]:
    """One batch per group. With an odd number of groups, one of two processes has a pass that does not count."""
    return pack_examples(examples, budget_tokens=1, shared_prompts=True)


def policy_of_kind(kinds: Collection[str]) -> Policy:
    return tiny_policy(torch.float32 if "float32" in kinds else torch.float64, full="full" in kinds)


def batch_loss(policy: Policy, batch: PackedBatch, total: int) -> Tensor:
    logps_N = policy.token_logprobs(batch)
    return (logps_N.square() - logps_N).sum() / total


def main(path: str, kinds: Collection[str]) -> None:
    """Write the loss and all gradients, summed over the processes, to a file."""
    torch.distributed.init_process_group("gloo")
    policy = policy_of_kind(kinds)
    policy.shard()
    examples = random_pairs(5)
    total, loss_sum = sum(example.num_targets for example in examples), torch.zeros((), dtype=torch.float64)
    for batch, weight in policy.local_batches(step_batches(examples)):
        loss = weight * batch_loss(policy, batch, total)
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += loss.detach().double()
    torch.distributed.all_reduce(loss_sum)
    gradients = {
        name: gather_full(parameter.grad) for name, parameter in policy.named_parameters().items() if parameter.grad is not None
    }
    if torch.distributed.get_rank() == 0:
        torch.save({"loss": loss_sum, "gradients": gradients}, path)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
