from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.networks import random_pairs, tiny_policy
from tests.training.sharded_gradients import loss_of, step_batches

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_two_sharded_processes_have_the_loss_and_gradients_of_one(tmp_path: Path, kind: str) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    worker = ["--rdzv-endpoint", "127.0.0.1:0", "-m", "tests.training.sharded_gradients", str(tmp_path / "out.pt"), kind]
    command = [*torchrun, *worker]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = torch.load(tmp_path / "out.pt", weights_only=True)

    policy = tiny_policy(full=kind == "full")
    examples = random_pairs(5)
    batches = step_batches(examples)
    assert len(batches) == 5
    loss = torch.stack([loss_of(policy, batch, sum(each.num_targets for each in examples)) for batch in batches]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(theirs["loss"], loss.detach(), rtol=1e-12, atol=0)
    ours = {name: parameter.grad for name, parameter in policy.named_parameters().items()}
    assert ours.keys() == theirs["gradients"].keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(theirs["gradients"][name], gradient, rtol=1e-9, atol=1e-12)
