"""How fast training is beside TRL: contenders in processes of their own take turns, one optimiser step each.

A contender is a command that speaks lines of JSON: first `{"ready": …}`, then for each line that it reads one step and
`{"seconds": …}`, and at the end of its input `{"peak_bytes": …}`. Taking turns within one run lets a machine that slows down
slow all of them; while one computes, the others wait for a line. Knows processes and numbers, no methods: what a contender does
is in the job file whose path it is given.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from yearling.errors import BadInput, NotFound, Unavailable
from yearling.models import LocalModel, export_decoder, load_decoder

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class TrainingContender:
    """`command` is run with the path of a file that holds `job`."""

    label: str
    command: tuple[str, ...]
    job: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpeed:
    """One contender's figures. `tokens` are those of the examples of a step, each example by itself and without padding;
    `prepare_s` is what came once before the first step (reference log-probabilities)."""

    label: str
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    """CPU time of the same steps over all cores, which other work on the machine changes less; empty where it was not told."""
    tokens: int
    prepare_s: float
    peak_bytes: int
    facts: Mapping[str, Any]

    @property
    def step_s(self) -> float:
        return median(self.seconds)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.step_s


def run_interleaved(
    contenders: Sequence[TrainingContender],
    *,
    tokens: int,
    rounds: int,
    threads: int,
    report: Callable[[str], None] = lambda text: None,
) -> list[TrainingSpeed]:
    """One step each to warm up, then `rounds` steps each, another one beginning in each round. Raises Unavailable with a
    contender's own words when it ends before its time."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = []
        for number, contender in enumerate(contenders):
            report(f"{contender.label}: starting")
            worker = _Worker(contender, folder / f"{number}.json", threads)
            stack.callback(worker.kill)
            worker.facts = worker.request(None)
            workers.append(worker)
        for round_number in range(rounds + 1):
            shift = round_number % len(workers)
            for worker in (*workers[shift:], *workers[:shift]):
                answer = worker.request("step")
                seconds = float(answer["seconds"])
                report(f"{worker.contender.label}: {seconds:.1f} s{'' if round_number else ' (warm-up)'}")
                if round_number:
                    worker.seconds.append(seconds)
                    worker.cpu_seconds += [float(answer["cpu_s"])] if "cpu_s" in answer else []
        return [worker.finish(tokens) for worker in workers]


@dataclass(eq=False)
class _Worker:
    contender: TrainingContender
    job_path: Path
    threads: int
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.job_path.write_text(json.dumps({**self.contender.job, "threads": self.threads}), encoding="utf-8")
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        self._log = self.job_path.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self.contender.command, str(self.job_path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True, cwd=ROOT,
            )  # fmt: skip

    def request(self, line: str | None) -> dict[str, Any]:
        """The next line of JSON. What else is printed is passed over."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a worker has pipes")
        try:
            if line is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise self._exit_error() from None
        for answer in self._process.stdout:
            if answer.startswith("{"):
                found: dict[str, Any] = json.loads(answer)
                return found
        raise self._exit_error()

    def finish(self, tokens: int) -> TrainingSpeed:
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is None:
            raise RuntimeError("a worker has pipes")
        last = [json.loads(line) for line in self._process.stdout if line.startswith("{")]
        if not last:
            raise self._exit_error()
        self._process.wait()
        return TrainingSpeed(
            label=self.contender.label,
            seconds=tuple(self.seconds),
            cpu_seconds=tuple(self.cpu_seconds),
            tokens=tokens,
            prepare_s=float(self.facts.get("prepare_s", 0.0)),
            peak_bytes=int(last[-1]["peak_bytes"]),
            facts=self.facts,
        )

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _exit_error(self) -> Unavailable:
        self._process.wait()
        words = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        return Unavailable(f"{self.contender.label} ended with code {self._process.returncode}: {' | '.join(words)}")


def peak_memory_bytes() -> int:
    """The most memory that this process ever held (VmHWM), which a process does not inherit from the one that started it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def generate_pairs(count: int, *, vocab_size: int, seed: int = 0) -> list[dict[str, list[int]]]:
    """Pairs of random ids whose sequences have about 200 tokens: a system message of 24 that all share, a prompt of 30 to 100
    tokens besides, answers of 60 to 160."""
    rng = random.Random(seed)

    def draw(length: int) -> list[int]:
        return rng.choices(range(100, vocab_size), k=length)

    system = draw(24)
    return [
        {
            "prompt_ids": [*system, *draw(rng.randint(30, 100))],
            "chosen_ids": draw(rng.randint(60, 160)),
            "rejected_ids": draw(rng.randint(60, 160)),
        }
        for _ in range(count)
    ]


TRL_DPO_DEFAULTS: dict[str, Any] = {"batch_size": 4, "bf16": False, "compile": False, "group_by_length": True}
"""TRL's settings for DPO on a CPU; dev/LOG.md says what else was tried."""


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
    """(Yearling, and TRL in each of its settings, on the same weights and ids; tokens of a step). The weights that TRL needs as a
    folder are written to `folder`. Raises NotFound without TRL's Python."""
    decoder = load_decoder(model.weights)
    data = generate_pairs(pairs, vocab_size=decoder.config.vocab_size)
    tokens = sum(2 * len(pair["prompt_ids"]) + len(pair["chosen_ids"]) + len(pair["rejected_ids"]) for pair in data)
    common = {"pairs": data, "rank": rank, "beta": 0.1, "learning_rate": 1e-4}
    ours = {**common, "weights": str(model.weights), "sha256": model.sha256, "budget_tokens": budget_tokens}
    contenders = [TrainingContender("Yearling", (sys.executable, "-m", "benchmarks.training.dpo_worker"), ours)]
    if trl_python is not None:
        if not trl_python.is_file():
            raise NotFound(f"There is no Python at {trl_python}.", advice="`make trl` makes an environment with TRL.")
        export_decoder(decoder, folder, source=model.weights)
        script = Path(__file__).with_name("trl_dpo_worker.py")
        for settings in trl_settings or [TRL_DPO_DEFAULTS]:
            unknown = set(settings) - set(TRL_DPO_DEFAULTS)
            if unknown:
                raise BadInput(
                    f"There is no setting {sorted(unknown)[0]!r} for TRL.", advice=f"Settings: {', '.join(TRL_DPO_DEFAULTS)}."
                )
            job = {**common, "model": str(folder), **TRL_DPO_DEFAULTS, **settings}
            label = "TRL" + "".join(f" {name}={value}" for name, value in settings.items())
            contenders.append(TrainingContender(label, (str(trl_python), str(script)), job))
    return contenders, tokens
