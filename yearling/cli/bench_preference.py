"""`yearling bench preference`: whether DPO learns what people prefer, and what soft labels are worth. `bench` registers it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import mean, stdev

import typer

from yearling.cli.console import err, print_table
from yearling.config import load_settings
from yearling.errors import BadInput

_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""97.5 % points of Student's t, by the number of seeds."""

_MEASURES = {"log π": "by_logprob", "log π per token": "by_logprob_per_token", "implicit reward": "by_reward"}


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
    from yearling.models import Library
    from yearling.training import read_dialogues, run_trial

    if question not in ("dpo", "soft"):
        raise BadInput(f"There is no question {question!r}.", advice="Ask dpo or soft.", param="question")
    settings = load_settings(data_dir=data_dir)
    chosen = Library(settings.models_dir).get(model or settings.model)
    config = {"max_tokens": max_tokens, "passes": passes, "learning_rate": learning_rate, "beta": beta}
    read = read_dialogues(pairs)
    found = []
    for seed in (int(part) for part in seeds.split(",")):
        for arm in ("clean",) if question == "dpo" else ("soft", "hard"):
            trial = run_trial(
                arm,
                chosen,
                read,
                seed=seed,
                num_pairs=count,
                num_held=held,
                config=config,
                rank=rank,
                threads=threads,
                device=device,
                cache_folder=settings.data_dir / "bench" / "references",
                report=lambda text, arm=arm, seed=seed: err.print(f"{arm}, seed {seed}: {text}", highlight=False),  # type: ignore[misc]
            )
            found.append(trial)
            if as_json:
                typer.echo(json.dumps(trial.plain()))
    if as_json:
        return
    rows = []
    for arm in dict.fromkeys(trial.arm for trial in found):
        runs = [trial for trial in found if trial.arm == arm]
        for name, field in (
            ("log π", "by_logprob"),
            ("log π per token", "by_logprob_per_token"),
            ("implicit reward", "by_reward"),
        ):
            before = [getattr(trial.before, field) for trial in runs]
            after = [getattr(trial.after, field) for trial in runs]
            gain = [right - left for left, right in zip(before, after, strict=True)]
            rows.append([arm, name, *map(_interval, (before, after, gain)), f"{runs[0].before.pairs}"])
    print_table(["Labels", "Ranked by", "Before>", "After>", "Gain>", "Held-out pairs>"], rows)
    if question == "soft":
        soft, hard = ([trial.after.by_reward for trial in found if trial.arm == arm] for arm in ("soft", "hard"))
        print_table(["Soft minus hard, by implicit reward>"], [[_interval([a - b for a, b in zip(soft, hard, strict=True)])]])


def _interval(values: list[float]) -> str:
    if len(values) not in _STUDENT:
        return f"{mean(values):.3f}"
    return f"{mean(values):.3f} ± {_STUDENT[len(values)] * stdev(values) / math.sqrt(len(values)):.3f}"
