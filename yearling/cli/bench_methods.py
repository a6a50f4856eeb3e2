"""`yearling bench consensus | gates | learn | preference | train`: the options of the measurements in `benchmarks/`.

`bench` registers them. The measurements themselves need the source checkout: see `load_benchmark`.
"""

from __future__ import annotations

from pathlib import Path

import typer

from yearling.cli.checkout import load_benchmark


def consensus(
    polis: Path = typer.Option(
        ..., "--polis", help="Folder with one folder per Polis conversation.", exists=True, file_okay=False
    ),
    seeds: int = typer.Option(5, min=1, help="Random samples per conversation; intervals are over these."),
    attacks: bool = typer.Option(True, help="Run the attack suite too (minutes)."),
    speed: bool = typer.Option(True, help="Measure time and memory too."),
    million: bool = typer.Option(False, "--million", help="Also the whole run over a log of a million ratings (a minute, 3 GB)."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
) -> None:
    """Print what bridged consensus achieves beside majority, pooled bound, Polis' measure and plain ALS."""
    load_benchmark("consensus.command").run(
        polis=polis,
        seeds=seeds,
        attacks=attacks,
        speed=speed,
        million=million,
        as_json=as_json,
    )


def gates(
    count: int = typer.Option(1000, "--gates", min=100, help="Simulated gates (or canaries) per promise."),
    seed: int = typer.Option(0, help="Another seed draws another sample of the same truth."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Simulate gates and canaries through the functions that decide real ones. Exit code 1 when a promise is not kept."""
    load_benchmark("gates.command").run(
        count=count,
        seed=seed,
        as_json=as_json,
    )


def learn(
    method: str = typer.Argument(help="grpo, ppo or rejection."),
    task: str = typer.Option("chain_sum", "--task", help="Which tasks: chain_sum, running_totals, instructions."),
    setting: list[str] = typer.Option([], "--set", help="NAME=VALUE, any setting of the method; may be repeated."),
    seeds: str = typer.Option("0", "--seeds", help="Seeds, separated by commas: a run for each."),
    cpu_minutes: float = typer.Option(120.0, "--cpu-minutes", help="CPU time of a run over all cores: 120 are an hour on two."),
    rank: int = typer.Option(16, "--rank", min=1, help="Of the adapter."),
    exam_tasks: int = typer.Option(300, "--exam-tasks", min=1, help="Held-out tasks before and after."),
    threads: int = typer.Option(2, "--threads", min=1, help="Threads."),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda: one GPU where there is one."),
    model: str | None = typer.Option(None, "--model", "-m", help="The model to train; by default the one that answers."),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models and data live."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Train on an environment's training tasks and count held-out ones solved before and after, with 95 % Wilson
    intervals."""
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
    question: str = typer.Argument(help="dpo: clean labels; soft: one in five flipped, learnt soft and hard."),
    pairs: Path = typer.Option(..., "--pairs", help="A .jsonl file of hh-rlhf.", exists=True, dir_okay=False),
    count: int = typer.Option(500, "--count", min=2, help="Pairs to learn from."),
    held: int = typer.Option(0, "--held", min=0, help="Held-out pairs to rank; 0: all others."),
    seeds: str = typer.Option("0,1,2", "--seeds", help="Seeds, separated by commas: each draws its own pairs."),
    max_tokens: int = typer.Option(256, "--max-tokens", min=16, help="Longer dialogues are left out."),
    passes: float = typer.Option(1.0, "--passes", help="Over the pairs."),
    learning_rate: float = typer.Option(2e-4, "--learning-rate", help="Peak."),
    beta: float = typer.Option(0.1, "--beta", help="Of DPO."),
    rank: int = typer.Option(16, "--rank", min=1, help="Of the adapter."),
    threads: int = typer.Option(2, "--threads", min=1, help="Threads."),
    device: str = typer.Option("auto", "--device", help="auto, cpu or cuda: one GPU where there is one."),
    model: str | None = typer.Option(None, "--model", "-m", help="The model to train; by default the one that answers."),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models and data live."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a run."),
) -> None:
    """Train on some pairs and rank the others before and after; intervals are over seeds (95 %, Student's t)."""
    load_benchmark("training.preference_command").run(
        question=question,
        pairs=pairs,
        count=count,
        held=held,
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
    trl_python: Path | None = typer.Option(None, "--trl-python", help="The Python of an environment with TRL (`make trl`)."),
    method: str = typer.Option("dpo", "--method", help="dpo, or grpo: 8 prompts, 8 answers each of 64 tokens."),
    pairs: int = typer.Option(64, "--pairs", min=2, help="Preference pairs of a step, of about 200 tokens a sequence."),
    rank: int = typer.Option(16, "--rank", min=1, help="Of the adapter, on every linear layer."),
    budget_tokens: int = typer.Option(512, "--budget-tokens", min=64, help="Tokens of one of our micro-batches."),
    rounds: int = typer.Option(3, "--rounds", min=1, help="Steps of each, in turns, after one to warm up; medians are printed."),
    trl: list[str] = typer.Option([], "--trl", help="JSON of settings for TRL; each use adds a contender."),
    threads: int = typer.Option(2, "--threads", min=1, help="Threads of each."),
    where: bool = typer.Option(False, "--profile", help="Say where the time of one of our DPO steps goes, and compare nothing."),
    model: str | None = typer.Option(None, "--model", "-m", help="The model to train; by default the one that answers."),
    data_dir: Path | None = typer.Option(None, "--data-dir", help="Where models and data live."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Time optimiser steps of DPO or GRPO with LoRA: ours and TRL's on the same weights and token ids, taking turns."""
    load_benchmark("training.train_command").run(
        trl_python=trl_python,
        method=method,
        pairs=pairs,
        rank=rank,
        budget_tokens=budget_tokens,
        rounds=rounds,
        trl=trl,
        threads=threads,
        where=where,
        model=model,
        data_dir=data_dir,
        as_json=as_json,
    )
