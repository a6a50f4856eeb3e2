"""Runs an engine in a process of its own and keeps it running, so that a crash or a wedged loop in C++ spares the server.

`Supervised` is itself an `Engine`. A crashed process, or one with work to do that makes no step for `stall_timeout_s`, is ended
and started again with growing pauses; requests that were running fail with `Unavailable`, later ones wait for the new process.
The process dies with the server (see `worker.py`). What it prints is kept, not shown; its last line is part of the error.

An engine made for this offers a factory, `module:function`, whose keyword arguments are JSON values, and a growing `steps`
counter if it can work for long without a delta (prefill).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yearling.errors import Unavailable, UserError
from yearling.inference.engine import (
    Completion,
    Delta,
    EngineCapabilities,
    GenerationRequest,
    collect_completion,
    validate_request,
)
from yearling.inference.wire import (
    MAX_FRAME_BYTES,
    capabilities_from_json,
    decode_frame,
    delta_from_json,
    encode_frame,
    error_from_json,
    request_to_json,
)

START_TIMEOUT_S = 600.0
MAX_BACKOFF_S = 30.0
INITIAL_BACKOFF_S = 0.25
MAX_FAILED_STARTS = 3
"""Failed starts in a row after which requests fail at once instead of waiting for the next try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """Which engine a process runs: `factory` is `module:function` of this program, `options` its keyword arguments."""

    factory: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _EngineProcess:
    """One process and what is under way in it."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lines: deque[str]
    listener: threading.Thread
    pending: dict[int, asyncio.Queue[dict[str, Any] | UserError]] = field(default_factory=dict)
    last_progress_s: float = field(default_factory=time.monotonic)
    kill_reason: str = ""

    def send(self, frame: dict[str, Any]) -> None:
        self.writer.write(encode_frame(frame))

    async def exit_status(self, timeout_s: float | None = None) -> int:
        """Wait for the process to end, and for its last words; negative when a signal ended it. Raises TimeoutError."""
        try:
            status = await asyncio.to_thread(self.process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        # Should a process of the engine's own hold the pipe open, its words are not worth waiting for.
        await asyncio.to_thread(self.listener.join, 1.0)
        return status


class SupervisedEngine:
    """An `Engine` in a process of its own. Use from one event loop; `start` before anything else."""

    name: str
    model_hash: str
    capabilities: EngineCapabilities

    def __init__(self, spec: EngineSpec, *, stall_timeout_s: float = 60.0, start_timeout_s: float = START_TIMEOUT_S) -> None:
        self._spec = spec
        self._stall_timeout_s = stall_timeout_s
        self._start_timeout_s = start_timeout_s
        self._request_ids = itertools.count()
        self._child: _EngineProcess | None = None
        self._ready = asyncio.Event()
        self._restart_task: asyncio.Task[None] | None = None
        self._adapters: dict[str, Path] = {}
        self._closed = False
        self._failures = 0
        self._last_error: UserError | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start the process and wait until its engine is ready. Raises what opening the engine raises."""
        child = await self._spawn()
        self._restart_task = asyncio.create_task(self._restart_on_failure(child))

    @property
    def state(self) -> str:
        """`ready`, `starting`, `failed` (its last starts failed; it is tried again) or `closed`."""
        if self._closed:
            return "closed"
        if self._ready.is_set():
            return "ready"
        return "failed" if self._failures >= MAX_FAILED_STARTS else "starting"

    @property
    def pid(self) -> int | None:
        return self._child.process.pid if self._child else None

    @property
    def active(self) -> int:
        """Requests under way in the process."""
        return len(self._child.pending) if self._child else 0

    @property
    def queued(self) -> int:
        """Requests there that wait for a place in the engine's steps."""
        return max(0, self.active - self.capabilities.max_sequences) if self._child else 0

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        validate_request(request, self.capabilities)
        child = await self._wait_until_ready()
        number, queue = self._send_request(child, {"stream": request_to_json(request)})
        ended = False
        try:
            while True:
                frame = await queue.get()
                if isinstance(frame, UserError):
                    ended = True
                    raise frame
                if "ended" in frame:
                    ended = True
                    return
                if "error" in frame:
                    raise error_from_json(frame["error"])
                yield delta_from_json(frame["delta"])
        finally:
            # The place is free only when the engine says so: wait for it, or for the end of the process.
            if not ended and number in child.pending:
                child.send({"id": number, "cancel": True})
                while not isinstance(frame := await queue.get(), UserError) and "ended" not in frame:
                    pass
            child.pending.pop(number, None)

    async def generate(self, request: GenerationRequest) -> Completion:
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        pairs = [[list(prompt), list(answer)] for prompt, answer in sequences]
        scores: list[list[float]] = await self._call("score", sequences=pairs, adapter_hash=adapter_hash)
        return scores

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        vectors: list[list[float]] = await self._call("embed", sequences=[list(ids) for ids in sequences])
        return vectors

    async def load_adapter(self, path: Path) -> str:
        adapter_hash: str = await self._call("load_adapter", path=str(path))
        self._adapters[adapter_hash] = path
        return adapter_hash

    async def unload_adapter(self, adapter_hash: str) -> None:
        self._adapters.pop(adapter_hash, None)
        await self._call("unload_adapter", adapter_hash=adapter_hash)

    async def close(self) -> None:
        self._closed = True
        self._ready.clear()
        if self._restart_task is not None:
            self._restart_task.cancel()
            with suppress(asyncio.CancelledError):
                await self._restart_task
        if self._child is not None:
            await self._terminate(self._child, Unavailable("The engine was stopped."))
            self._child = None

    async def _call(self, method: str, **arguments: Any) -> Any:
        return await self._call_in(await self._wait_until_ready(), method, arguments)

    async def _call_in(self, child: _EngineProcess, method: str, arguments: dict[str, Any]) -> Any:
        number, queue = self._send_request(child, {"call": method, "arguments": arguments})
        try:
            frame = await queue.get()
            if isinstance(frame, UserError):
                raise frame
            if "error" in frame:
                raise error_from_json(frame["error"])
            return frame["result"]
        finally:
            if child.pending.pop(number, None) is not None:
                child.send({"id": number, "cancel": True})

    def _send_request(
        self, child: _EngineProcess, frame: dict[str, Any]
    ) -> tuple[int, asyncio.Queue[dict[str, Any] | UserError]]:
        number = next(self._request_ids)
        queue: asyncio.Queue[dict[str, Any] | UserError] = asyncio.Queue()
        if not child.pending:
            child.last_progress_s = time.monotonic()
        child.pending[number] = queue
        child.send({"id": number} | frame)
        return number, queue

    async def _wait_until_ready(self) -> _EngineProcess:
        """The process that takes new requests, after a restart if need be. Raises Unavailable when there is none to wait for."""
        if self._closed:
            raise Unavailable("The engine is closed.")
        if not self._ready.is_set():
            if self._failures >= MAX_FAILED_STARTS or self._restart_task is None:
                why = f" {self._last_error.message}" if self._last_error else ""
                raise Unavailable(f"The engine is not running.{why}", advice="See `yearling doctor` and the server's log.")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), self._start_timeout_s)
        if self._child is None or self._closed:
            raise Unavailable("The engine is not running.", advice="Try again in a moment.")
        return self._child

    async def _restart_on_failure(self, child: _EngineProcess) -> None:
        """Watch the process; when it ends, start another, for as long as this engine is open."""
        while True:
            error = await self._dispatch_frames(child)
            self._ready.clear()
            self._child = None
            await self._terminate(child, error)
            self._last_error = error
            while True:
                if self._failures:
                    await asyncio.sleep(min(MAX_BACKOFF_S, INITIAL_BACKOFF_S * 2**self._failures))
                self._failures += 1
                try:
                    child = await self._spawn()
                    break
                except UserError as failure:
                    self._last_error = failure
            self.restarts += 1

    async def _dispatch_frames(self, child: _EngineProcess) -> Unavailable:
        """Hand frames to their requests until the process is gone; returns why it went."""
        stall = asyncio.create_task(self._kill_on_stall(child))
        try:
            while line := await child.reader.readline():
                frame = decode_frame(line)
                child.last_progress_s = time.monotonic()
                if "delta" in frame or "result" in frame:
                    # Work got done in this process, so the next crash is a first one again.
                    self._failures = 0
                if (queue := child.pending.get(frame.get("id", -1))) is not None:
                    queue.put_nowait(frame)
        except (OSError, ValueError) as error:
            child.kill_reason = f"its pipe broke ({error})"
        finally:
            stall.cancel()
        child.process.kill()
        status = await child.exit_status()
        return Unavailable(
            f"The engine {child.kill_reason or _describe(status)} while it answered.{_last_line(child.lines)}",
            advice="It is being restarted: try again.",
        )

    async def _kill_on_stall(self, child: _EngineProcess) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_timeout_s / 4))
            if child.pending and time.monotonic() - child.last_progress_s > self._stall_timeout_s:
                child.kill_reason = f"made no step for {self._stall_timeout_s:g} seconds and was stopped"
                child.process.kill()
                return

    async def _spawn(self) -> _EngineProcess:
        """A new process whose engine is ready, with its adapters. Raises what opening it raises, Unavailable when it dies."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.to_thread(
                subprocess.Popen,
                [sys.executable, "-m", "yearling.inference.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C in the terminal is for the server alone.
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._spec.environment,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=MAX_FRAME_BYTES)
        lines: deque[str] = deque(maxlen=50)
        listener = threading.Thread(target=_capture_output, args=(process, lines), name="engine-log", daemon=True)
        listener.start()
        child = _EngineProcess(process, reader, writer, lines, listener)
        try:
            child.send({"factory": self._spec.factory, "options": self._spec.options})
            line = await asyncio.wait_for(reader.readline(), self._start_timeout_s)
            if not line:
                status = await child.exit_status()
                raise Unavailable(f"The engine {_describe(status)} while it started.{_last_line(child.lines)}")
            frame = decode_frame(line)
            if "error" in frame:
                raise error_from_json(frame["error"])
            self.name, self.model_hash = frame["ready"]["name"], frame["ready"]["model_hash"]
            self.capabilities = capabilities_from_json(frame["ready"]["capabilities"])
            await self._reload_adapters(child)
        except TimeoutError:
            await self._terminate(child, Unavailable("The engine did not start."))
            raise Unavailable(f"The engine did not start within {self._start_timeout_s:g} seconds.") from None
        except BaseException:
            await self._terminate(child, Unavailable("The engine did not start."))
            raise
        self._child = child
        self._ready.set()
        return child

    async def _reload_adapters(self, child: _EngineProcess) -> None:
        """Answers to calls are read here: nobody else reads from a process that is not ready yet."""
        # Those whose files are gone were removed by a person: who asks for one is told that it is not loaded.
        self._adapters = {one: path for one, path in self._adapters.items() if path.exists()}
        for path in self._adapters.values():
            child.send({"id": next(self._request_ids), "call": "load_adapter", "arguments": {"path": str(path)}})
            while "ended" not in (frame := decode_frame(await child.reader.readline())):
                if "error" in frame:
                    raise error_from_json(frame["error"])

    async def _terminate(self, child: _EngineProcess, error: UserError) -> None:
        """Fail what is under way, then end the process: politely for a moment, then not."""
        for queue in child.pending.values():
            queue.put_nowait(error)
        child.writer.close()
        if child.process.stdin is not None:
            child.process.stdin.close()
        with suppress(TimeoutError):
            await child.exit_status(2.0)
        child.process.kill()
        await child.exit_status()


def _capture_output(process: subprocess.Popen[bytes], lines: deque[str]) -> None:
    """In a thread of its own, until the process ends: what it prints must never fill the pipe and block it."""
    if process.stdout is None:
        raise RuntimeError("the engine's process has no standard output")
    with process.stdout as output:
        for line in output:
            lines.append(line.decode(errors="replace").rstrip())


def _describe(status: int) -> str:
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})"
    return f"ended with status {status}"


def _last_line(lines: Sequence[str]) -> str:
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f" It last said: {last[:300]}" if last else ""
