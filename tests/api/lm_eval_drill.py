"""lm-eval against a running server: a log-likelihood task through `/v1/completions` gives what the engine itself computes.

    python -m tests.api.lm_eval_drill ADDRESS MODEL_FOLDER [LM_EVAL]

ADDRESS is that of a server that has the model in MODEL_FOLDER; with API keys, set `OPENAI_API_KEY`. LM_EVAL is the program
`lm_eval` (`pip install "lm_eval[api]"`, best in an environment of its own). The task lies in `lm_eval_task/` and needs no
network. The drill compares every log-likelihood that lm-eval reports with the score of the same tokens by llama.cpp in this
process.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from yearling.inference.llamacpp import open_llamacpp
from yearling.models import ModelLibrary, Tokenizer

TASK = Path(__file__).parent / "lm_eval_task"
MAX_DIFFERENCE_NATS = 0.5
"""Kernels round activations to eight bits in blocks that depend on the number of rows."""


def write_tokenizer(model: Path, folder: Path) -> None:
    """Write the model's tokenizer in the form that lm-eval reads."""
    tokenizer = Tokenizer.load(ModelLibrary.open_folder(model))
    tokenizer._pipeline.save(str(folder / "tokenizer.json"))
    ends = tokenizer.token_bytes(min(tokenizer.stop_ids)).decode()
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": ends, "pad_token": ends}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def run_lm_eval(program: str, address: str, model: Path, tokenizer: Path, output: Path) -> list[dict[str, Any]]:
    """The samples of the task, as lm-eval logs them."""
    arguments = f"model={model.name},base_url={address}/v1/completions,tokenizer={tokenizer},num_concurrent=2,max_retries=1"
    command = [program, "--model", "local-completions", "--model_args", arguments, "--tasks", "yearling_capitals"]
    command += ["--include_path", str(TASK), "--batch_size", "4", "--output_path", str(output), "--log_samples"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(output / "cache")}
    subprocess.run(command, check=True, cwd=TASK, env={**os.environ, **offline})
    (log,) = output.rglob("samples_yearling_capitals_*.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


async def score(model: Path, samples: list[dict[str, Any]]) -> list[list[float]]:
    """The log-likelihood of each choice of each sample, by the engine itself."""
    engine = await open_llamacpp(folder=str(model))
    tokenizer = Tokenizer.load(ModelLibrary.open_folder(model))
    scores = []
    try:
        for sample in samples:
            pairs = []
            for request in sample["arguments"].values() if isinstance(sample["arguments"], dict) else sample["arguments"]:
                context, choice = request.values() if isinstance(request, dict) else request
                pairs.append((tokenizer.encode(context), tokenizer.encode(choice)))
            scores.append([sum(logprobs) for logprobs in await engine.score(pairs)])
    finally:
        await engine.close()
    return scores


def main(address: str, model_folder: str, program: str = "lm_eval") -> None:
    model = Path(model_folder)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer, output = Path(folder) / "tokenizer", Path(folder) / "output"
        tokenizer.mkdir()
        write_tokenizer(model, tokenizer)
        samples = run_lm_eval(program, address, model, tokenizer, output)
    expected = asyncio.run(score(model, samples))
    worst = 0.0
    for sample, scores in zip(samples, expected, strict=True):
        reported = [float(response[0][0]) for response in sample["resps"]]
        worst = max(worst, *(abs(a - b) for a, b in zip(reported, scores, strict=True)))
    accuracy = sum(sample["acc"] for sample in samples) / len(samples)
    print(f"{len(samples)} questions, accuracy {accuracy:.2f}, largest difference {worst:.4f} nats")
    if worst > MAX_DIFFERENCE_NATS:
        raise SystemExit("lm-eval and the engine disagree")


if __name__ == "__main__":
    main(*sys.argv[1:])
