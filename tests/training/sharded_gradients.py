"""One of the processes of `test_sharding.py`: gradients of a loss over a step's batches, sharded over all processes.

torchrun --nproc-per-node 2 -m tests.training.sharded_gradients OUT.pt KIND...

Of the kinds `full` trains all weights, `float32` computes as real models do.
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
from yearling.training.policy.sharding import batches_of_rank


def step_batches(examples: list[TrainingExample]) -> list[PackedBatch]:
    """Five batches, an odd number, so that one process of two has a pass without a share."""
    return pack_examples(examples, budget_tokens=1, shared_prompts=True)


def policy_of(kinds: Collection[str]) -> Policy:
    return tiny_policy(torch.float32 if "float32" in kinds else torch.float64, full="full" in kinds)


def loss_of(policy: Policy, batch: PackedBatch, total: int) -> Tensor:
    logprobs = policy.token_logprobs(batch)
    return (logprobs.square() - logprobs).sum() / total


def main(path: str, kinds: Collection[str]) -> None:
    torch.distributed.init_process_group("gloo")
    policy = policy_of(kinds)
    policy.shard()
    examples = random_pairs(5)
    total, loss_sum = sum(example.num_targets for example in examples), torch.zeros((), dtype=torch.float64)
    for batch, weight in batches_of_rank(step_batches(examples)):
        loss = weight * loss_of(policy, batch, total)
        loss.backward()  # type: ignore[no-untyped-call]
        loss_sum += loss.detach().double()
    torch.distributed.all_reduce(loss_sum)
    found = {
        name: gather_full(parameter.grad) for name, parameter in policy.named_parameters().items() if parameter.grad is not None
    }
    if torch.distributed.get_rank() == 0:
        torch.save({"loss": loss_sum, "gradients": found}, path)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
