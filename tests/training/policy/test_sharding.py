from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.networks import random_pairs
from tests.training.sharded_gradients import batch_loss, policy_of_kind, step_batches
from tests.training.sharded_run import SETTINGS, main
from yearling.training import RunFolder
from yearling.training.setup import MULTI_PROCESS_METHODS

ROOT = Path(__file__).parents[3]


def run_in_two_processes(module: str, *arguments: str) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command = [*torchrun, "--rdzv-endpoint", "127.0.0.1:0", "-m", module, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert process.returncode == 0, process.stderr[-3000:]


def new_run(folder: Path, method: str) -> RunFolder:
    return RunFolder.create(folder, SETTINGS, method=method, seed=0, options={"validate_every": 2})


@pytest.mark.slow
def test_runs_in_two_processes_end_as_in_one_process(tmp_path: Path) -> None:
    """Three steps in two processes, the rest in one: checkpoints do not depend on the number of processes."""
    single = [new_run(tmp_path / "single" / name, name) for name in MULTI_PROCESS_METHODS]
    distributed = [new_run(tmp_path / "distributed" / name, name) for name in MULTI_PROCESS_METHODS]
    run_in_two_processes("tests.training.sharded_run", "3", *(str(run.folder) for run in distributed))
    for run, distributed_run in zip(single, distributed, strict=True):
        assert [checkpoint.step for checkpoint in distributed_run.checkpoints.all()][-1] == 3
        main(distributed_run.folder, 99)
        main(run.folder, 99)
        expected, latest = run.checkpoints.latest(), distributed_run.checkpoints.latest()
        assert expected is not None
        assert latest is not None
        assert expected[0].step == latest[0].step == 6
        for key, tensor in expected[1]["policy"].items():
            torch.testing.assert_close(latest[1]["policy"][key], tensor, rtol=1e-7, atol=1e-9)
        expected_lines, lines = run.read_metrics(), distributed_run.read_metrics()
        assert [line["step"] for line in lines] == [line["step"] for line in expected_lines] == list(range(7))
        for name in ("loss", "kl", "accuracy", "validation_score"):
            # Before the first update, all margins are rounding errors of zero, and so is the accuracy.
            steps = [step for step in range(7) if (name, step) != ("accuracy", 1)]
            expected_values = [expected_lines[step].get(name, 0.0) for step in steps]
            assert [lines[step].get(name, 0.0) for step in steps] == pytest.approx(expected_values, rel=1e-7, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "full", "float32"])
def test_loss_and_gradients_of_two_processes_equal_those_of_one(tmp_path: Path, kind: str) -> None:
    run_in_two_processes("tests.training.sharded_gradients", str(tmp_path / "out.pt"), kind)
    distributed = torch.load(tmp_path / "out.pt", weights_only=True)

    policy = policy_of_kind([kind])
    examples = random_pairs(5)
    batches = step_batches(examples)
    assert len(batches) == 5
    total = sum(example.num_targets for example in examples)
    loss = torch.stack([batch_loss(policy, batch, total) for batch in batches]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    tolerance: dict[str, float] = {"rtol": 1e-4, "atol": 1e-5} if kind == "float32" else {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(distributed["loss"], loss.detach().double(), **tolerance)
    gradients = {name: parameter.grad for name, parameter in policy.named_parameters().items()}
    assert gradients.keys() == distributed["gradients"].keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(distributed["gradients"][name], gradient, **tolerance)
