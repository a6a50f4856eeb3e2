"""A worker with kinds of its own, as processes: `python -m tests.loop.jobs.fake_worker work|execute DATA [JOB PARENT]`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from yearling.config import Settings
from yearling.errors import BadInput
from yearling.loop import JobContext, Worker, execute_job, register_job_kind


@dataclass(frozen=True, slots=True, kw_only=True)
class CountOptions:
    """Count to `steps`, and wait `pause_s` at each."""

    steps: int = 3
    pause_s: float = 0.0
    die_at: int = -1
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise BadInput("steps must not be negative.", param="steps")


def count(context: JobContext) -> Mapping[str, object]:
    """Append one line per step to a file, and die at a step on the first attempt if the options say so."""
    path = context.folder / "lines"
    done = len(path.read_text().splitlines()) if path.exists() else 0
    for step in range(done, context.options.steps):
        context.report(step / context.options.steps, f"step {step}")
        if step == context.options.die_at and context.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        with path.open("a") as file:
            file.write(f"{context.attempt}\n")
        time.sleep(context.options.pause_s)
    return {"lines": path.read_text().split() if path.exists() else []}


def compute(context: JobContext) -> Mapping[str, object]:
    """Tick a clock file every hundredth of a second: in blocks that may be stopped, or outside of them if `names` says so."""
    path, is_outside = context.folder / "ticks", "outside" in context.options.names
    for step in range(context.options.steps):
        context.check_cancelled()
        with nullcontext() if is_outside else context.computing():
            for _ in range(20):
                with path.open("a") as file:
                    file.write(f"{step}\n")
                time.sleep(0.01)
    return {}


def fail(context: JobContext) -> Mapping[str, object]:
    if context.options.steps == 0:
        raise BadInput("It cannot be done.", advice="Do something else.")
    raise RuntimeError("secret")


def die(context: JobContext) -> Mapping[str, object]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def ignore(context: JobContext) -> Mapping[str, object]:
    """Never look whether it shall end."""
    time.sleep(60)
    return {}


def register() -> None:
    register_job_kind("count", count, title="Count", options=CountOptions, is_resumable=True)
    register_job_kind("anew", count, title="Count anew", options=CountOptions)
    register_job_kind("compute", compute, title="Compute", options=CountOptions)
    register_job_kind("fail", fail, title="Fail", options=CountOptions)
    register_job_kind("die", die, title="Die", options=CountOptions)
    register_job_kind("ignore", ignore, title="Ignore", options=CountOptions)


def fake_worker_command(data_dir: Path) -> list[str]:
    return [sys.executable, "-m", "tests.loop.jobs.fake_worker", "work", str(data_dir)]


def make_worker(data_dir: Path) -> Worker:
    def execute(job_id: str) -> list[str]:
        return [sys.executable, "-m", "tests.loop.jobs.fake_worker", "execute", str(data_dir), job_id, str(os.getpid())]

    return Worker(Settings(data_dir=data_dir, job_priority="normal"), execute, cancel_grace_s=1.0, pause_grace_s=1.0)


def main(action: str, data: str, job_id: str = "", parent: str = "0") -> None:
    register()
    if action == "work":
        worker = make_worker(Path(data))
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()
    else:
        os._exit(execute_job(Settings(data_dir=Path(data), job_priority="normal"), job_id, parent=int(parent)))


if __name__ == "__main__":
    main(*sys.argv[1:])
