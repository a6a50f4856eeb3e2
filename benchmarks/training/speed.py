"""Measures how fast contenders train: processes of their own that take turns, one optimiser step each.

A contender is a command that speaks lines of JSON (`worker_protocol.py`). Taking turns within one run makes a machine that slows
down slow all contenders; while one computes, the others wait for a line. Knows processes and numbers, no methods: the job file,
whose path a contender receives, describes what it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

from yearling.errors import Unavailable

ROOT = Path(__file__).parents[2]
"""The source checkout, in which contenders run so that they find `benchmarks`."""


@dataclass(frozen=True, slots=True)
class TrainingContender:
    """A command to measure. It receives the path of a file that holds `job`."""

    label: str
    command: tuple[str, ...]
    job: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpeed:
    """The measurements of one contender."""

    label: str
    seconds: tuple[float, ...]
    """Wall-clock time of each step."""
    cpu_seconds: tuple[float, ...]
    """Processor time of the same steps over all cores, which other work on the machine affects less. Empty if not reported."""
    tokens: int
    """Tokens of the examples of a step, each example counted separately and without padding."""
    prepare_s: float
    """Time spent once before the first step (reference log-probabilities), in seconds."""
    peak_bytes: int
    facts: Mapping[str, Any]
    """What the contender reported when it was ready."""

    @property
    def step_s(self) -> float:
        """Median time of a step, in seconds."""
        return median(self.seconds)

    @property
    def tokens_per_s(self) -> float:
        """Tokens of a step divided by its median time."""
        return self.tokens / self.step_s


def run_interleaved(
    contenders: Sequence[TrainingContender],
    *,
    tokens: int,
    rounds: int,
    threads: int,
    report: Callable[[str], None] = lambda text: None,
) -> list[TrainingSpeed]:
    """Measure `rounds` steps of each contender, after one step to warm up. Another contender begins each round.

    Raises Unavailable, with the last lines of its log, if a contender ends early."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers = []
        for index, contender in enumerate(contenders):
            report(f"{contender.label}: starting")
            worker = _Worker(contender, folder / f"{index}.json", threads)
            stack.callback(worker.kill)
            worker.facts = worker.request(None)
            workers.append(worker)
        for round_number in range(rounds + 1):
            shift = round_number % len(workers)
            for worker in (*workers[shift:], *workers[:shift]):
                response = worker.request("step")
                seconds = float(response["seconds"])
                report(f"{worker.contender.label}: {seconds:.1f} s{'' if round_number else ' (warm-up)'}")
                if round_number:
                    worker.seconds.append(seconds)
                    worker.cpu_seconds += [float(response["cpu_s"])] if "cpu_s" in response else []
        return [worker.finish(tokens) for worker in workers]


@dataclass(eq=False)
class _Worker:
    """A contender's process."""

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
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
                cwd=ROOT,
            )

    def request(self, line: str | None) -> dict[str, Any]:
        """Send a line, unless it is None, and return the next line of JSON. Other output is ignored."""
        stdin, stdout = self._pipes()
        try:
            if line is not None:
                stdin.write(line + "\n")
                stdin.flush()
        except BrokenPipeError:
            raise self._exit_error() from None
        for output in stdout:
            if output.startswith("{"):
                response: dict[str, Any] = json.loads(output)
                return response
        raise self._exit_error()

    def finish(self, tokens: int) -> TrainingSpeed:
        """Close the input, wait for the process to end, and return its measurements."""
        stdin, stdout = self._pipes()
        stdin.close()
        lines = [json.loads(line) for line in stdout if line.startswith("{")]
        if not lines:
            raise self._exit_error()
        self._process.wait()
        return TrainingSpeed(
            label=self.contender.label,
            seconds=tuple(self.seconds),
            cpu_seconds=tuple(self.cpu_seconds),
            tokens=tokens,
            prepare_s=float(self.facts.get("prepare_s", 0.0)),
            peak_bytes=int(lines[-1]["peak_bytes"]),
            facts=self.facts,
        )

    def kill(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a worker process is started with pipes")
        return self._process.stdin, self._process.stdout

    def _exit_error(self) -> Unavailable:
        self._process.wait()
        last_lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
        return Unavailable(f"{self.contender.label} ended with exit code {self._process.returncode}: {' | '.join(last_lines)}")
