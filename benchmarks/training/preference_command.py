"""`yearling bench preference`: does DPO learn what people prefer, and what are soft labels worth?"""

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

_RANKING_FIELDS = {"log π": "by_logprob", "log π per token": "by_logprob_per_token", "implicit reward": "by_reward"}
"""Label in the table -> field of `RankingAccuracy`."""


def run(
    *,
    question: str,
    pairs: Path,
    count: int,
    num_held_out: int,
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
    """Run the command; `yearling bench preference --help` describes the options. Raises BadInput for an unknown question."""
    from benchmarks.training.preference_experiment import read_hh_rlhf, run_preference_experiment
    from yearling.models import ModelLibrary

    if question not in ("dpo", "soft"):
        raise BadInput(f"There is no question {question!r}.", advice="Use dpo or soft.", param="question")
    settings = load_settings(data_dir=data_dir)
    base = ModelLibrary(settings.models_dir).get(model or settings.model)
    config = {"max_tokens": max_tokens, "passes": passes, "learning_rate": learning_rate, "beta": beta}
    all_pairs = read_hh_rlhf(pairs)
    results = []
    for seed in (int(part) for part in seeds.split(",")):
        for arm in ("clean",) if question == "dpo" else ("soft", "hard"):
            result = run_preference_experiment(
                arm,
                base,
                all_pairs,
                seed=seed,
                num_pairs=count,
                num_held_out=num_held_out,
                config=config,
                rank=rank,
                threads=threads,
                device=device,
                cache_folder=settings.data_dir / "bench" / "references",
                report=lambda text, arm=arm, seed=seed: err.print(f"{arm}, seed {seed}: {text}", highlight=False),  # type: ignore[misc]
            )
            results.append(result)
            if as_json:
                typer.echo(json.dumps(result.to_dict()))
    if as_json:
        return
    rows = []
    for arm in dict.fromkeys(result.arm for result in results):
        arm_results = [result for result in results if result.arm == arm]
        for label, field in _RANKING_FIELDS.items():
            before = [getattr(result.before, field) for result in arm_results]
            after = [getattr(result.after, field) for result in arm_results]
            gain = [right - left for left, right in zip(before, after, strict=True)]
            rows.append([arm, label, *map(_mean_interval, (before, after, gain)), f"{arm_results[0].before.pairs}"])
    print_table(["Labels", "Ranked by", "Before>", "After>", "Gain>", "Held-out pairs>"], rows)
    if question == "soft":
        soft, hard = ([result.after.by_reward for result in results if result.arm == arm] for arm in ("soft", "hard"))
        difference = _mean_interval([left - right for left, right in zip(soft, hard, strict=True)])
        print_table(["Soft minus hard, by implicit reward>"], [[difference]])


def _mean_interval(values: list[float]) -> str:
    """The mean with its 95 % interval; without one if there are too few or too many values."""
    if len(values) not in _STUDENT_T_975:
        return f"{mean(values):.3f}"
    return f"{mean(values):.3f} ± {_STUDENT_T_975[len(values)] * stdev(values) / math.sqrt(len(values)):.3f}"
