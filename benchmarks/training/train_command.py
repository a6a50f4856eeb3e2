"""`yearling bench train`: training speed and memory of Yearling and TRL, measured in one run."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median

from yearling.cli.console import err, format_size, print_json, print_table
from yearling.config import load_settings
from yearling.errors import BadInput

_NUM_PROFILE_ROWS = 14
"""Operations in a profile's table."""


def run(
    *,
    trl_python: Path | None,
    method: str,
    pairs: int,
    rank: int,
    budget_tokens: int,
    rounds: int,
    trl: list[str],
    threads: int,
    profile: bool,
    model: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Run the command; `yearling bench train --help` describes the options.

    Raises BadInput for an unknown method, for settings of TRL that are not JSON, and for a profile of GRPO."""
    from benchmarks.training.contenders import dpo_contenders, grpo_contenders
    from benchmarks.training.dpo_worker import profile_dpo_step
    from benchmarks.training.speed import run_interleaved
    from yearling.models import ModelLibrary

    if profile and method != "dpo":
        raise BadInput("Only DPO can be profiled.", advice="Leave out --method.", param="profile")
    if method not in ("dpo", "grpo"):
        raise BadInput(f"There is no measurement of {method!r}.", advice="Use dpo or grpo.", param="method")

    settings = load_settings(data_dir=data_dir)
    base = ModelLibrary(settings.models_dir).get(model or settings.model)
    try:
        variants = [json.loads(text) for text in trl]
    except ValueError as error:
        raise BadInput(f"--trl is not JSON: {error}.", advice="""For example --trl '{"batch_size": 8}'.""", param="trl") from None
    with tempfile.TemporaryDirectory() as folder:
        weights_folder = Path(folder) / "model"
        if method == "dpo":
            contenders, tokens = dpo_contenders(
                base,
                weights_folder,
                pairs=pairs,
                rank=rank,
                budget_tokens=budget_tokens,
                trl_python=trl_python,
                trl_settings=variants,
            )
        else:
            contenders, tokens = grpo_contenders(
                base, weights_folder, rank=rank, budget_tokens=budget_tokens, trl_python=trl_python, trl_settings=variants
            )
        if profile:
            operations = profile_dpo_step({**contenders[0].job, "threads": threads})[:_NUM_PROFILE_ROWS]
            profile_rows = [[name, f"{calls:,}", f"{share:.1%}"] for name, calls, share in operations]
            print_table(["Operation", "Calls>", "Processor time>"], profile_rows, title=f"One DPO step of {tokens} tokens")
            return
        speeds = run_interleaved(
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
        [
            speed.label,
            f"{speed.step_s:.1f}",
            _format_median(speed.cpu_seconds),
            f"{speed.tokens_per_s:.0f}",
            f"{ours.tokens_per_s / speed.tokens_per_s:.2f}×",
            format_size(speed.peak_bytes),
            f"{ours.peak_bytes / speed.peak_bytes:.2f}×",
            f"{speed.prepare_s:.1f}",
        ]
        for speed in speeds
    ]
    columns = ["", "Step (s)>", "CPU (s)>", "Tokens/s>", "Ours is>", "Peak memory>", "Ours needs>", "Reference, once (s)>"]
    print_table(columns, rows, title=f"{method.upper()}, LoRA rank {rank}, {tokens} tokens per step")


def _format_median(values: tuple[float, ...]) -> str:
    return f"{median(values):.1f}" if values else "–"
