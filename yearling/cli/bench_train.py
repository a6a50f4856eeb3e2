"""`yearling bench train`: training speed and memory beside TRL, in one run. `bench` registers it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

import typer

from yearling.cli.console import err, human_size, print_json, print_table
from yearling.config import load_settings
from yearling.errors import BadInput

_SHOWN = 14
"""Operations of a profile."""


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
    from yearling.models import Library
    from yearling.training import dpo_contenders, grpo_contenders, profile_dpo, take_turns

    if where and method != "dpo":
        raise BadInput("Only a step of DPO can be profiled.", advice="Leave out --method.", param="profile")
    if method not in ("dpo", "grpo"):
        raise BadInput(f"There is no measurement of {method!r}.", advice="Measure dpo or grpo.", param="method")

    settings = load_settings(data_dir=data_dir)
    chosen = Library(settings.models_dir).get(model or settings.model)
    try:
        variants = [json.loads(text) for text in trl]
    except ValueError as error:
        raise BadInput(f"--trl is no JSON: {error}.", advice="""For example --trl '{"batch_size": 8}'.""", param="trl") from None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        if method == "dpo":
            contenders, tokens = dpo_contenders(
                chosen,
                target,
                pairs=pairs,
                rank=rank,
                budget_tokens=budget_tokens,
                trl_python=trl_python,
                trl_settings=variants,
            )
        else:
            contenders, tokens = grpo_contenders(
                chosen, target, rank=rank, budget_tokens=budget_tokens, trl_python=trl_python, trl_settings=variants
            )
        if where:
            found = profile_dpo({**contenders[0].job, "threads": threads})[:_SHOWN]
            shares = [[name, f"{calls:,}", f"{share:.1%}"] for name, calls, share in found]
            print_table(["Operation", "Calls>", "Processor time>"], shares, title=f"One DPO step of {tokens} tokens")
            return
        speeds = take_turns(
            contenders,
            tokens=tokens,
            rounds=rounds,
            threads=threads,
            report=lambda text: err.print(text, highlight=False, markup=False),
        )
    if as_json:
        print_json([asdict(speed) | {"step_s": speed.step_s, "tokens_per_s": speed.tokens_per_s} for speed in speeds])
        return
    ours = speeds[0]
    rows = [
        [speed.label, f"{speed.step_s:.1f}", _median(speed.cpu_seconds), f"{speed.tokens_per_s:.0f}",
         f"{ours.tokens_per_s / speed.tokens_per_s:.2f}×",
         human_size(speed.peak_bytes), f"{ours.peak_bytes / speed.peak_bytes:.2f}×", f"{speed.prepare_s:.1f}"]
        for speed in speeds
    ]  # fmt: skip
    columns = ["", "Step (s)>", "CPU (s)>", "Tokens/s>", "Ours is>", "Peak memory>", "Ours needs>", "Reference, once (s)>"]
    print_table(columns, rows, title=f"{method.upper()}, LoRA rank {rank}, {tokens} tokens a step")


def _median(values: tuple[float, ...]) -> str:
    return f"{median(values):.1f}" if values else "–"
