"""The parent's side of `sandbox_worker.py`: one child process compiles and renders every chat template of this process.

The child starts with the first request and ends with this process. A request that exceeds a limit ends the child, and the next
request starts another one, so a hostile template costs one error and a few seconds of another process's CPU time. Requests take
turns. Call these functions from a worker thread: a template may take as long as its limits allow.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from yearling.models.templates import sandbox_worker

MEMORY_LIMIT_BYTES = 1 << 30
"""Address space of the child process (Linux; other systems have the template's own budget)."""
CPU_LIMIT_S = 10.0
"""CPU time of one request, after which the operating system ends the child."""
WALL_LIMIT_S = 60.0
"""Duration of one request on a busy machine, after which this process ends the child."""
START_LIMIT_S = 60.0
MAX_SOURCE_CHARS = 1_000_000
"""Length of a template. Published ones have up to 20,000 characters."""

_INHERITED_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "TMPDIR", "TEMP")


class TemplateError(Exception):
    """The template failed or exceeded a limit. The message says why and is safe to show."""


class TemplateRefusal(TemplateError):
    """The template called `raise_exception`: the messages are not of a form that the model was made for."""


class TemplateSyntaxError(TemplateError):
    """The template is not valid Jinja."""


def compile_template(source: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """(the variables that a template reads, its literal texts). Raises TemplateSyntaxError and TemplateError."""
    if len(source) > MAX_SOURCE_CHARS:
        raise TemplateError(f"it has more than {MAX_SOURCE_CHARS} characters")
    reply = _worker.ask({"compile": source})
    return frozenset(reply["variables"]), tuple(reply["literals"])


def render_template(source: str, variables: Mapping[str, Any]) -> str:
    """The text of a template that compiles. Raises TemplateRefusal and TemplateError."""
    text: str = _worker.ask({"render": source, "variables": dict(variables)})["text"]
    return text


class _TemplateWorker:
    """The child process, started when it is needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner_pid = 0
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a request. Raises TemplateError, of the kind that the reply names."""
        try:
            line = json.dumps(request)
        except (ValueError, TypeError, RecursionError) as error:
            raise TemplateError(f"the messages cannot be passed on: {error}") from None
        with self._lock:
            reply = self._exchange(line)
        if "error" not in reply:
            return reply
        kinds = {"syntax": TemplateSyntaxError, "refusal": TemplateRefusal}
        raise kinds.get(reply["error"], TemplateError)(reply["message"])

    def stop(self) -> None:
        """End the child process."""
        process, self._process = self._process, None
        if process is None or self._owner_pid != os.getpid():  # after a fork, the child belongs to the parent
            return
        process.kill()
        process.wait()
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()

    def _exchange(self, line: str) -> dict[str, Any]:
        process = self._running_process()
        with suppress(OSError):  # if the process has ended, receiving says how
            if process.stdin is not None:
                process.stdin.write(line + "\n")
                process.stdin.flush()
        return self._receive(WALL_LIMIT_S)

    def _running_process(self) -> subprocess.Popen[str]:
        if self._process is not None and self._owner_pid == os.getpid() and self._process.poll() is None:
            return self._process
        self.stop()
        environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        self._process = subprocess.Popen(
            # -P keeps the worker's own folder off the import path.
            [sys.executable, "-P", sandbox_worker.__file__, str(MEMORY_LIMIT_BYTES), str(CPU_LIMIT_S)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"PYTHONUTF8": "1"},
            encoding="utf-8",
        )
        self._owner_pid = os.getpid()
        self._replies = queue.SimpleQueue()
        threading.Thread(target=_read_lines, args=(self._process.stdout, self._replies), daemon=True).start()
        if "ready" not in self._receive(START_LIMIT_S, on_end="the process for chat templates does not start"):
            raise RuntimeError("the worker did not say that it is ready")
        return self._process

    def _receive(self, limit_s: float, *, on_end: str = "") -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=limit_s)
        except queue.Empty:
            self.stop()
            raise TemplateError(f"it took longer than {limit_s:g} s") from None
        if not line:
            self.stop()
            raise TemplateError(on_end or f"it exceeded the limit of {CPU_LIMIT_S:g} s of CPU time, or its memory or stack")
        reply: dict[str, Any] = json.loads(line)
        return reply


def _read_lines(output: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Forward lines until the process ends, then an empty one."""
    with output:
        for line in output:
            lines.put(line)
    lines.put("")


_worker = _TemplateWorker()
atexit.register(_worker.stop)
