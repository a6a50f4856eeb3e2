"""What the workers of `yearling bench train` share: the lines that they write, their memory, and the step timer of TRL's
trainers.

A worker reads a job file, writes `{"ready": true, ...}`, then performs one optimiser step for each line that it reads and writes
`{"seconds": ..., "cpu_s": ...}`, and at the end of its input writes `{"peak_bytes": ...}`; see `speed.py`. The Python of an
environment with TRL runs this module too, so importing it loads only the standard library.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO


def write_line(stream: TextIO, **values: Any) -> None:
    """Write one line of JSON."""
    stream.write(json.dumps(values) + "\n")
    stream.flush()


def claim_standard_output() -> TextIO:
    """The original standard output, for the protocol alone. Everything else that prints, such as a progress bar, goes to
    stderr."""
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return protocol


def peak_memory_bytes() -> int:
    """The most memory that this process ever held (VmHWM). A process does not inherit it from its parent."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


def load_model_and_tokenizer(job: Mapping[str, Any], **tokenizer_options: Any) -> tuple[Any, Any]:
    """(model, tokenizer) of a job for TRL, read by transformers from the job's folder."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if job["bf16"] else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype, attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(job["model"], **tokenizer_options)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


class StepTimer:
    """Wall-clock and processor time of one step, in seconds."""

    def __init__(self) -> None:
        self._started_s, self._started_cpu_s = time.perf_counter(), time.process_time()

    def elapsed(self) -> dict[str, float]:
        """`seconds` and `cpu_s` (over all cores) since the timer was created."""
        return {"seconds": time.perf_counter() - self._started_s, "cpu_s": time.process_time() - self._started_cpu_s}


def step_timer_callback(callback_class: Any, stream: TextIO) -> Any:
    """A callback for TRL's trainers: it waits for a line before each step and writes the step's times after it.

    `callback_class` is transformers' TrainerCallback. At the end of the input the process ends, in the middle of TRL's loop."""

    class StepTimerCallback(callback_class):  # type: ignore[misc]
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not sys.stdin.readline():
                write_line(stream, peak_bytes=peak_memory_bytes())
                sys.stdout.flush()
                os._exit(0)
            self._timer = StepTimer()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            write_line(stream, **self._timer.elapsed())

    return StepTimerCallback()
