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

_STUDENT_T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""97.5 % points of Student's t, by the number of seeds."""

_MEASURES = {"log π": "by_logprob", "log π per token": "by_logprob_per_token", "implicit reward": "by_reward"}


def run(
    *,
    question: str,
    pairs: Path,
    count: int,
    held: int,
    seeds: str,
    max_tokens: int,
    passes: float,
    learning_rate: float,
    beta: float,
    rank: int,
    threads: int,
    device: str,
    model: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """See `yearling bench preference --help`."""
    from benchmarks.training.preference_experiment import read_hh_rlhf, run_preference_experiment
    from yearling.models import ModelLibrary

    if question not in ("dpo", "soft"):
        raise BadInput(f"There is no question {question!r}.", advice="Ask dpo or soft.", param="question")
    settings = load_settings(data_dir=data_dir)
    chosen = ModelLibrary(settings.models_dir).get(model or settings.model)
    config = {"max_tokens": max_tokens, "passes": passes, "learning_rate": learning_rate, "beta": beta}
    read = read_hh_rlhf(pairs)
    found = []
    for seed in (int(part) for part in seeds.split(",")):
        for arm in ("clean",) if question == "dpo" else ("soft", "hard"):
            trial = run_preference_experiment(
                arm,
                chosen,
                read,
                seed=seed,
                num_pairs=count,
                num_held_out=held,
                config=config,
                rank=rank,
                threads=threads,
                device=device,
                cache_folder=settings.data_dir / "bench" / "references",
                report=lambda text, arm=arm, seed=seed: err.print(f"{arm}, seed {seed}: {text}", highlight=False),  # type: ignore[misc]
            )
            found.append(trial)
            if as_json:
                typer.echo(json.dumps(trial.to_dict()))
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
    if len(values) not in _STUDENT_T_975:
        return f"{mean(values):.3f}"
    return f"{mean(values):.3f} ± {_STUDENT_T_975[len(values)] * stdev(values) / math.sqrt(len(values)):.3f}"
