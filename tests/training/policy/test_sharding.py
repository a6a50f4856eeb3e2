from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.networks import random_pairs
from tests.training.sharded_gradients import loss_of, policy_of, step_batches
from tests.training.sharded_run import SETTINGS, main
from yearling.training import RunFolder
from yearling.training.setup import MULTI_PROCESS_METHODS

ROOT = Path(__file__).parents[3]


def in_two_processes(module: str, *arguments: str) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command = [*torchrun, "--rdzv-endpoint", "127.0.0.1:0", "-m", module, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def new_run(folder: Path, name: str) -> RunFolder:
    return RunFolder.create(folder, SETTINGS, method=name, seed=0, options={"validate_every": 2})


@pytest.mark.slow
def test_runs_in_two_processes_end_as_those_in_one(tmp_path: Path) -> None:
    """Three steps together, then the rest alone: checkpoints are the same whoever writes them."""
    alone = [new_run(tmp_path / "alone" / name, name) for name in MULTI_PROCESS_METHODS]
    together = [new_run(tmp_path / "together" / name, name) for name in MULTI_PROCESS_METHODS]
    in_two_processes("tests.training.sharded_run", "3", *(str(run.folder) for run in together))
    for run, other in zip(alone, together, strict=True):
        assert [checkpoint.step for checkpoint in other.checkpoints.all()][-1] == 3
        main(other.folder, 99)
        main(run.folder, 99)
        mine, theirs = run.checkpoints.latest(), other.checkpoints.latest()
        assert mine is not None
        assert theirs is not None
        assert mine[0].step == theirs[0].step == 6
        for key, tensor in mine[1]["policy"].items():
            torch.testing.assert_close(theirs[1]["policy"][key], tensor, rtol=1e-7, atol=1e-9)
        lines, others = run.read_metrics(), other.read_metrics()
        assert [line["step"] for line in others] == [line["step"] for line in lines] == list(range(7))
        for name in ("loss", "kl", "accuracy", "validation_score"):
            numbers = [line.get(name, 0.0) for line in lines]
            assert [line.get(name, 0.0) for line in others] == pytest.approx(numbers, rel=1e-7, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "full", "float32"])
def test_two_sharded_processes_have_the_loss_and_gradients_of_one(tmp_path: Path, kind: str) -> None:
    in_two_processes("tests.training.sharded_gradients", str(tmp_path / "out.pt"), kind)
    theirs = torch.load(tmp_path / "out.pt", weights_only=True)

    policy = policy_of([kind])
    examples = random_pairs(5)
    batches = step_batches(examples)
    assert len(batches) == 5
    loss = torch.stack([loss_of(policy, batch, sum(each.num_targets for each in examples)) for batch in batches]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    close: dict[str, float] = {"rtol": 1e-4, "atol": 1e-5} if kind == "float32" else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(theirs["loss"], loss.detach().double(), **close)
    ours = {name: parameter.grad for name, parameter in policy.named_parameters().items()}
    assert ours.keys() == theirs["gradients"].keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(theirs["gradients"][name], gradient, **close)
