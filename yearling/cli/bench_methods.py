"""`yearling bench consensus`, `gates`, `learn`, `preference` and `train`: the options of the measurements in `benchmarks/`.

`bench.py` registers the commands. The measurements themselves need the source checkout: see `load_benchmark`.
"""

from __future__ import annotations

from pathlib import Path

import typer

from yearling.cli.checkout import load_benchmark
from yearling.cli.options import AS_JSON, DATA_DIR, DEVICE, MODEL

RANK = typer.Option(16, "--rank", min=1, help="Rank of the LoRA adapter on every linear layer.")
THREADS = typer.Option(2, "--threads", min=1, help="Number of CPU threads.")


def consensus(
    polis: Path = typer.Option(
        ..., "--polis", help="Folder with one subfolder per Polis conversation.", exists=True, file_okay=False
    ),
    seeds: int = typer.Option(5, min=1, help="Number of random samples per conversation; intervals are over these."),
    attacks: bool = typer.Option(True, help="Run the attack suite as well, which takes minutes."),
    speed: bool = typer.Option(True, help="Measure time and memory as well."),
    million: bool = typer.Option(
        False, "--million", help="Also measure a run over a log of a million ratings: one minute, 3 GB of memory."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object per line."),
) -> None:
    """Compare bridged consensus with majority vote, pooled bound, Polis' measure and plain ALS.

    Needs the source checkout."""
    load_benchmark("consensus.command").run(
        polis=polis,
        seeds=seeds,
        attacks=attacks,
        speed=speed,
        million=million,
        as_json=as_json,
    )


def gates(
    count: int = typer.Option(1000, "--gates", min=100, help="Number of simulated gates or canaries per guarantee."),
    seed: int = typer.Option(0, help="Seed of the simulation."),
    as_json: bool = AS_JSON,
) -> None:
    """Check the error rates of gates and canaries by simulation.

    Real gates and canaries use the same functions.

    Exit code 1 if a guarantee does not hold. Needs the source checkout."""
    load_benchmark("gates.command").run(
        count=count,
        seed=seed,
        as_json=as_json,
    )


def learn(
    method: str = typer.Argument(help="Training method: grpo, ppo or rejection."),
    task: str = typer.Option("chain_sum", "--task", help="Environment to train on: chain_sum, running_totals or instructions."),
    setting: list[str] = typer.Option([], "--set", help="A setting of the method as NAME=VALUE; can be given several times."),
    seeds: str = typer.Option("0", "--seeds", help="Seeds, separated by commas; each makes one run."),
    cpu_minutes: float = typer.Option(
        120.0, "--cpu-minutes", help="CPU minutes per run, summed over all cores: 120 are an hour on two cores."
    ),
    rank: int = RANK,
    exam_tasks: int = typer.Option(
        300, "--exam-tasks", min=1, help="Number of held-out tasks to test before and after training."
    ),
    threads: int = THREADS,
    device: str = DEVICE,
    model: str | None = MODEL,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Train on tasks of an environment; report the solved held-out tasks before and after, with 95 % Wilson intervals.

    Needs the source checkout."""
    load_benchmark("training.learn_command").run(
        method=method,
        task=task,
        setting=setting,
        seeds=seeds,
        cpu_minutes=cpu_minutes,
        rank=rank,
        exam_tasks=exam_tasks,
        threads=threads,
        device=device,
        model=model,
        data_dir=data_dir,
        as_json=as_json,
    )


def preference(
    question: str = typer.Argument(
        help="dpo: train on clean labels; soft: flip one label in five, and compare soft labels with hard ones."
    ),
    pairs: Path = typer.Option(..., "--pairs", help="A .jsonl file of the data set hh-rlhf.", exists=True, dir_okay=False),
    count: int = typer.Option(500, "--count", min=2, help="Number of pairs to train on."),
    num_held_out: int = typer.Option(0, "--held", min=0, help="Number of held-out pairs to rank; 0 ranks all others."),
    seeds: str = typer.Option("0,1,2", "--seeds", help="Seeds, separated by commas; each draws its own pairs."),
    max_tokens: int = typer.Option(256, "--max-tokens", min=16, help="Most tokens of a dialogue; longer ones are left out."),
    passes: float = typer.Option(1.0, "--passes", help="Number of passes over the pairs."),
    learning_rate: float = typer.Option(2e-4, "--learning-rate", help="Peak learning rate."),
    beta: float = typer.Option(0.1, "--beta", help="β of DPO: how strongly the policy is held to its reference."),
    rank: int = RANK,
    threads: int = THREADS,
    device: str = DEVICE,
    model: str | None = MODEL,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object per run."),
) -> None:
    """Train on some pairs and rank held-out pairs before and after. Intervals are over seeds (95 %, Student's t).

    Needs the source checkout."""
    load_benchmark("training.preference_command").run(
        question=question,
        pairs=pairs,
        count=count,
        num_held_out=num_held_out,
        seeds=seeds,
        max_tokens=max_tokens,
        passes=passes,
        learning_rate=learning_rate,
        beta=beta,
        rank=rank,
        threads=threads,
        device=device,
        model=model,
        data_dir=data_dir,
        as_json=as_json,
    )


def train(
    trl_python: Path | None = typer.Option(
        None, "--trl-python", help="Python of an environment with TRL, as `make trl` creates it; without it, only ours is timed."
    ),
    method: str = typer.Option(
        "dpo", "--method", help="Method to time: dpo, or grpo with 8 prompts and 8 answers each of 64 tokens."
    ),
    pairs: int = typer.Option(64, "--pairs", min=2, help="Preference pairs per step, with about 200 tokens per sequence."),
    rank: int = RANK,
    budget_tokens: int = typer.Option(512, "--budget-tokens", min=64, help="Tokens per micro-batch of ours."),
    rounds: int = typer.Option(
        3, "--rounds", min=1, help="Timed steps of each trainer after one warm-up step; the medians are printed."
    ),
    trl: list[str] = typer.Option([], "--trl", help="Settings of TRL as JSON; can be given several times to compare them."),
    threads: int = THREADS,
    profile: bool = typer.Option(
        False, "--profile", help="Print where the time of one of our DPO steps goes, instead of a comparison."
    ),
    model: str | None = MODEL,
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Time optimiser steps of DPO or GRPO with LoRA: ours and TRL's, in turns, on the same weights and token ids.

    Needs the source checkout."""
    load_benchmark("training.train_command").run(
        trl_python=trl_python,
        method=method,
        pairs=pairs,
        rank=rank,
        budget_tokens=budget_tokens,
        rounds=rounds,
        trl=trl,
        threads=threads,
        profile=profile,
        model=model,
        data_dir=data_dir,
        as_json=as_json,
    )
