"""The contenders of `yearling bench train`: Yearling, and TRL in one or more configurations, on the same weights and token ids.

Knows jobs and commands only; `speed.py` runs them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.training.speed import TrainingContender
from yearling.errors import BadInput, NotFound
from yearling.models import LocalModel, export_decoder, load_decoder

TRL_DPO_DEFAULTS: Mapping[str, Any] = {"batch_size": 4, "bf16": False, "compile": False, "group_by_length": True}
"""TRL's settings for DPO on a CPU. dev/LOG.md lists what else was tried."""
TRL_GRPO_DEFAULTS: Mapping[str, Any] = {"batch_size": 16, "bf16": False}
"""TRL's settings for GRPO on a CPU. dev/LOG.md lists what else was tried."""


def dpo_contenders(
    model: LocalModel,
    folder: Path,
    *,
    pairs: int,
    rank: int,
    budget_tokens: int,
    trl_python: Path | None,
    trl_settings: Sequence[Mapping[str, Any]] = (),
) -> tuple[list[TrainingContender], int]:
    """(contenders for DPO, tokens of a step). TRL takes part if `trl_python` is given, once for each of `trl_settings`.

    `folder` receives the weights in the format that TRL reads. Raises NotFound if there is no such Python, BadInput for an
    unknown setting of TRL."""
    decoder = load_decoder(model.weights)
    data = generate_pairs(pairs, vocab_size=decoder.config.vocab_size)
    tokens = sum(2 * len(pair["prompt_ids"]) + len(pair["chosen_ids"]) + len(pair["rejected_ids"]) for pair in data)
    job = {"pairs": data, "rank": rank, "beta": 0.1, "learning_rate": 1e-4}
    contenders = [_yearling_contender("dpo_worker", model, job, budget_tokens)]
    if trl_python is not None:
        export_decoder(decoder, folder, source=model.weights)
        contenders += _trl_contenders("trl_dpo_worker", trl_python, {**job, "model": str(folder)}, TRL_DPO_DEFAULTS, trl_settings)
    return contenders, tokens


def grpo_contenders(
    model: LocalModel,
    folder: Path,
    *,
    prompts: int = 8,
    samples: int = 8,
    new_tokens: int = 64,
    prompt_tokens: int = 64,
    rank: int = 16,
    budget_tokens: int = 1024,
    trl_python: Path | None = None,
    trl_settings: Sequence[Mapping[str, Any]] = (),
) -> tuple[list[TrainingContender], int]:
    """(contenders for GRPO, sampled tokens of a step). TRL takes part if `trl_python` is given, once for each of `trl_settings`.

    `folder` receives the weights in the format that TRL reads. Raises NotFound if there is no such Python, BadInput for an
    unknown setting of TRL."""
    decoder = load_decoder(model.weights)
    rng = random.Random(0)
    prompt_ids = [rng.choices(range(100, decoder.config.vocab_size), k=prompt_tokens) for _ in range(prompts)]
    job = {"prompts": prompt_ids, "samples": samples, "new_tokens": new_tokens, "rank": rank, "learning_rate": 1e-5}
    contenders = [_yearling_contender("grpo_worker", model, job, budget_tokens)]
    if trl_python is not None:
        export_decoder(decoder, folder, source=model.weights)
        contenders += _trl_contenders(
            "trl_grpo_worker", trl_python, {**job, "model": str(folder)}, TRL_GRPO_DEFAULTS, trl_settings
        )
    return contenders, prompts * samples * new_tokens


def generate_pairs(count: int, *, vocab_size: int, seed: int = 0) -> list[dict[str, list[int]]]:
    """Pairs of random token ids with about 200 tokens per sequence.

    All share a system message of 24 tokens, which is followed by 30 to 100 tokens of prompt and 60 to 160 of answer."""
    rng = random.Random(seed)

    def random_ids(length: int) -> list[int]:
        return rng.choices(range(100, vocab_size), k=length)

    system = random_ids(24)
    return [
        {
            "prompt_ids": [*system, *random_ids(rng.randint(30, 100))],
            "chosen_ids": random_ids(rng.randint(60, 160)),
            "rejected_ids": random_ids(rng.randint(60, 160)),
        }
        for _ in range(count)
    ]


def _yearling_contender(worker: str, model: LocalModel, job: Mapping[str, Any], budget_tokens: int) -> TrainingContender:
    own_job = {**job, "weights": str(model.weights), "sha256": model.sha256, "budget_tokens": budget_tokens}
    return TrainingContender("Yearling", (sys.executable, "-m", f"benchmarks.training.{worker}"), own_job)


def _trl_contenders(
    worker: str,
    python: Path,
    job: Mapping[str, Any],
    defaults: Mapping[str, Any],
    variants: Sequence[Mapping[str, Any]],
) -> list[TrainingContender]:
    if not python.is_file():
        raise NotFound(f"There is no Python at {python}.", advice="`make trl` makes an environment with TRL.")
    contenders = []
    for settings in variants or [defaults]:
        unknown = set(settings) - set(defaults)
        if unknown:
            raise BadInput(
                f"There is no setting {sorted(unknown)[0]!r} for TRL.", advice=f"Available settings: {', '.join(defaults)}."
            )
        label = "TRL" + "".join(f" {name}={value}" for name, value in settings.items())
        command = (str(python), "-m", f"benchmarks.training.{worker}")
        contenders.append(TrainingContender(label, command, {**job, **defaults, **settings}))
    return contenders
