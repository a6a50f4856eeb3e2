"""Runs IFEval's published checkers in a process of their own, since they are foreign code that reads whatever a model wrote.

One child process (`ifeval_worker.py`) serves a whole run. It starts with the first check, and is killed and replaced when an
answer crashes it or exceeds the limits of time and memory. Whatever goes wrong inside raises CheckError, which the grader turns
into data. This module knows the files and the process; it does not know cases or scores.
"""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from yearling.errors import NotFound, Unavailable, install_advice
from yearling.evals.exams import ifeval_worker
from yearling.evals.exams.sources import exam_downloads, verify_sha256

PACKAGES = ("nltk", "langdetect", "immutabledict")

START_TIME_LIMIT_S = 120.0
ANSWER_TIME_LIMIT_S = 30.0
MEMORY_LIMIT_BYTES = 512 * 2**20
"""Memory that checking may use on top of what loading the checkers uses."""

_INHERITED_VARIABLES = ("HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV")
"""The child's environment. Everything else, API keys above all, stays with the parent."""


class CheckError(Exception):
    """The checkers raised, stalled, crashed or ran out of memory on an answer."""


@dataclass(frozen=True, slots=True)
class InstructionResults:
    """Which instructions of one prompt an answer follows, in the order of the instructions."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


class InstructionCheckers:
    """IFEval's instruction checkers. `check` is deterministic; calls from several threads run one after another."""

    def __init__(
        self, folder: Path, *, time_limit_s: float = ANSWER_TIME_LIMIT_S, memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    ) -> None:
        self._folder, self._time_limit_s, self._memory_limit_bytes = folder, time_limit_s, memory_limit_bytes
        self._lock = threading.Lock()
        self._worker: _CheckerProcess | None = None
        self._start_error: Unavailable | None = None

    def check(
        self, prompt: str, instructions: Sequence[str], arguments: Sequence[Mapping[str, object]], answer: str
    ) -> InstructionResults:
        """Check which of the instructions an answer follows, strictly and loosely.

        Raises CheckError if the checkers raise, stall, crash or run out of memory on the answer, NotFound for an instruction
        without a checker or a missing file, Untrusted for a changed file, and Unavailable if the checkers cannot start.
        """
        request = {"prompt": prompt, "instructions": instructions, "arguments": arguments, "answer": answer}
        with self._lock:
            if self._start_error is not None:  # starting takes seconds, and would fail again for every answer
                raise self._start_error
            if self._worker is None:
                self._worker = self._start_worker()
            try:
                reply = self._worker.ask(request, self._time_limit_s)
            except CheckError:
                self._stop_worker()
                raise
            if reply.get("error") == "memory":
                self._stop_worker()
        match reply:
            case {"strict": strict, "loose": loose}:
                return InstructionResults(tuple(strict), tuple(loose))
            case {"error": "unknown_instruction", "message": message}:
                raise NotFound(message)
            case {"error": "memory"}:
                raise CheckError(f"IFEval's checkers needed more than {self._memory_limit_bytes // 2**20} MiB for this answer.")
            case _:
                raise CheckError(str(reply.get("message", reply)))

    def close(self) -> None:
        """End the child process. The next check starts a new one."""
        with self._lock:
            self._stop_worker()
            self._start_error = None

    def _start_worker(self) -> _CheckerProcess:
        for package in PACKAGES:
            if importlib.util.find_spec(package) is None:
                raise Unavailable(f"IFEval's checkers need the library {package}.", advice=install_advice("exams"))
        for file in exam_downloads()["ifeval"].files:
            verify_sha256(self._folder / file.path, file.sha256)
        worker = _CheckerProcess(self._folder, self._time_limit_s, self._memory_limit_bytes)
        try:
            worker.wait_until_ready(START_TIME_LIMIT_S)
        except CheckError as error:
            worker.kill()
            self._start_error = Unavailable(f"IFEval's checkers cannot start: {error}", advice=install_advice("exams"))
            raise self._start_error from None
        return worker

    def _stop_worker(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None


class _CheckerProcess:
    """One child process, with a thread that reads its replies so that waiting for one can time out."""

    def __init__(self, folder: Path, time_limit_s: float, memory_limit_bytes: int) -> None:
        environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        self._process = subprocess.Popen(
            # -P keeps the worker's own folder off the import path.
            [sys.executable, "-P", ifeval_worker.__file__, str(folder), str(time_limit_s), str(memory_limit_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"},
            encoding="utf-8",
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the worker was started without pipes")
        self._requests = self._process.stdin
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=_read_lines, args=(self._process.stdout, self._replies), daemon=True)
        self._reader.start()

    def wait_until_ready(self, time_limit_s: float) -> None:
        """Raises CheckError if the worker does not load the checkers in time."""
        if "ready" not in (reply := self._receive(time_limit_s)):
            raise CheckError(str(reply.get("message", reply)))

    def ask(self, request: Mapping[str, object], time_limit_s: float) -> dict[str, Any]:
        """The reply to a request. Raises CheckError if none comes in time or the process ends."""
        with suppress(OSError):  # if the process has ended, receiving says how
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()
        return self._receive(time_limit_s)

    def kill(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with suppress(OSError):  # a request that was never read is lost with the process
            self._requests.close()

    def _receive(self, time_limit_s: float) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=time_limit_s)
        except queue.Empty:
            raise CheckError(f"IFEval's checkers took longer than {time_limit_s:g} s.") from None
        if not line:
            self._process.kill()
            raise CheckError(f"The process of IFEval's checkers ended unexpectedly (exit status {self._process.wait()}).")
        reply: dict[str, Any] = json.loads(line)
        return reply


def _read_lines(output: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Forward lines until the process ends, then an empty one."""
    with output:
        for line in output:
            lines.put(line)
    lines.put("")
