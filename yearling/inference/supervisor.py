"""Runs an engine in its own process and keeps it running, so that a crash or a hang in C++ does not affect the server.

`SupervisedEngine` is itself an `Engine`. If the process crashes, or makes no step for `stall_timeout_s` while it has work, it
is ended and started again with growing pauses. Running requests then fail with Unavailable; later ones wait for the new
process. The process dies with the server (see `worker.py`). Its output is captured, not shown; the last line becomes part of
the error.

To run under supervision, an engine needs a factory, `module:function`, whose keyword arguments are JSON values. It also needs a
growing `steps` counter if it can work for long without a delta (prefill).
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
    Token,
    collect_completion,
    validate_request,
)
from yearling.inference.wire import (
    MAX_FRAME_BYTES,
    WireFrame,
    capabilities_from_json,
    decode_frame,
    delta_from_json,
    encode_frame,
    error_from_json,
    request_to_json,
    tokens_from_json,
)

START_TIMEOUT_S = 600.0
MAX_BACKOFF_S = 30.0
INITIAL_BACKOFF_S = 0.25
MAX_FAILED_STARTS = 3
"""After this many failed starts in a row, requests fail at once instead of waiting for the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """Which engine a process runs: `factory` is `module:function` of this program, `options` its keyword arguments."""

    factory: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _EngineProcess:
    """One process and the requests that it is working on."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lines: deque[str]
    listener: threading.Thread
    pending: dict[int, asyncio.Queue[WireFrame | UserError]] = field(default_factory=dict)
    last_progress_s: float = field(default_factory=time.monotonic)
    kill_reason: str = ""

    def send(self, frame: WireFrame) -> None:
        self.writer.write(encode_frame(frame))

    async def exit_status(self, timeout_s: float | None = None) -> int:
        """Wait for the process to end and its output to be captured; negative if a signal ended it. Raises TimeoutError."""
        try:
            status = await asyncio.to_thread(self.process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        # If a child of the engine's process holds the pipe open, its output is not worth waiting for.
        await asyncio.to_thread(self.listener.join, 1.0)
        return status


class SupervisedEngine:
    """An `Engine` in its own process. Use from one event loop; call `start` first."""

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
        """`ready`, `starting`, `failed` (the last starts failed; more will be tried) or `closed`."""
        if self._closed:
            return "closed"
        if self._ready.is_set():
            return "ready"
        return "failed" if self._failures >= MAX_FAILED_STARTS else "starting"

    @property
    def pid(self) -> int | None:
        """Id of the process, or None if none is running."""
        return self._child.process.pid if self._child else None

    @property
    def active(self) -> int:
        """Number of requests in the process."""
        return len(self._child.pending) if self._child else 0

    @property
    def queued(self) -> int:
        """Number of requests in the process that wait to share the engine's steps."""
        return max(0, self.active - self.capabilities.max_sequences) if self._child else 0

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`. Raises Unavailable if the process ends or cannot be restarted."""
        validate_request(request, self.capabilities)
        child = await self._wait_until_ready()
        request_id, queue = self._send_request(child, {"stream": request_to_json(request)})
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
            # The engine is free only once it confirms: wait for that, or for the end of the process.
            if not ended and request_id in child.pending:
                child.send({"id": request_id, "cancel": True})
                while not isinstance(frame := await queue.get(), UserError) and "ended" not in frame:
                    pass
            child.pending.pop(request_id, None)

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """As `Engine.score`."""
        pairs = [[list(prompt), list(answer)] for prompt, answer in sequences]
        scores: list[list[float]] = await self._call("score", sequences=pairs, adapter_hash=adapter_hash)
        return scores

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`."""
        fields = {"ids": list(ids), "first": first, "num_top": num_top, "adapter_hash": adapter_hash}
        return tokens_from_json(await self._call("score_tokens", **fields))

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """As `Engine.embed`."""
        vectors: list[list[float]] = await self._call("embed", sequences=[list(ids) for ids in sequences])
        return vectors

    async def load_adapter(self, path: Path) -> str:
        """As `Engine.load_adapter`. The adapter is loaded again after a restart."""
        adapter_hash: str = await self._call("load_adapter", path=str(path))
        self._adapters[adapter_hash] = path
        return adapter_hash

    async def unload_adapter(self, adapter_hash: str) -> None:
        """As `Engine.unload_adapter`."""
        self._adapters.pop(adapter_hash, None)
        await self._call("unload_adapter", adapter_hash=adapter_hash)

    async def close(self) -> None:
        """End the process; running requests raise Unavailable."""
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

    async def _call_in(self, child: _EngineProcess, method: str, arguments: WireFrame) -> Any:
        request_id, queue = self._send_request(child, {"call": method, "arguments": arguments})
        try:
            frame = await queue.get()
            if isinstance(frame, UserError):
                raise frame
            if "error" in frame:
                raise error_from_json(frame["error"])
            return frame["result"]
        finally:
            if child.pending.pop(request_id, None) is not None:
                child.send({"id": request_id, "cancel": True})

    def _send_request(self, child: _EngineProcess, frame: WireFrame) -> tuple[int, asyncio.Queue[WireFrame | UserError]]:
        request_id = next(self._request_ids)
        queue: asyncio.Queue[WireFrame | UserError] = asyncio.Queue()
        if not child.pending:
            child.last_progress_s = time.monotonic()
        child.pending[request_id] = queue
        child.send({"id": request_id} | frame)
        return request_id, queue

    async def _wait_until_ready(self) -> _EngineProcess:
        """The process that accepts requests, after a restart if necessary. Raises Unavailable if there is none."""
        if self._closed:
            raise Unavailable("The engine is closed.")
        if not self._ready.is_set():
            if self._failures >= MAX_FAILED_STARTS or self._restart_task is None:
                reason = f" {self._last_error.message}" if self._last_error else ""
                raise Unavailable(f"The engine is not running.{reason}", advice="Run `yearling doctor` and see the server's log.")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ready.wait(), self._start_timeout_s)
        if self._child is None or self._closed:
            raise Unavailable("The engine is not running.", advice="Try again in a moment.")
        return self._child

    async def _restart_on_failure(self, child: _EngineProcess) -> None:
        """Watch the process and start another whenever it ends, as long as this engine is open."""
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
        """Pass frames to their requests until the process has ended; returns the error for the requests that it left."""
        stall = asyncio.create_task(self._kill_on_stall(child))
        try:
            while line := await child.reader.readline():
                frame = decode_frame(line)
                child.last_progress_s = time.monotonic()
                if "delta" in frame or "result" in frame:
                    # The process has done work, so the next crash counts as a first one.
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
            advice="It is being restarted. Try again.",
        )

    async def _kill_on_stall(self, child: _EngineProcess) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_timeout_s / 4))
            if child.pending and time.monotonic() - child.last_progress_s > self._stall_timeout_s:
                child.kill_reason = f"made no step for {self._stall_timeout_s:g} seconds and was stopped"
                child.process.kill()
                return

    async def _spawn(self) -> _EngineProcess:
        """Start a process and wait until its engine is ready, with its adapters.

        Raises what opening the engine raises, and Unavailable if the process ends or takes too long.
        """
        server_socket, worker_socket = socket.socketpair()
        with worker_socket:
            process = await asyncio.to_thread(
                subprocess.Popen,
                [sys.executable, "-m", "yearling.inference.worker", str(worker_socket.fileno())],
                pass_fds=(worker_socket.fileno(),),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # A session of its own, so that Ctrl-C in the terminal reaches the server only.
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._spec.environment,
            )
        reader, writer = await asyncio.open_unix_connection(sock=server_socket, limit=MAX_FRAME_BYTES)
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
        """Load the adapters again. Replies are read here, because nothing else reads from a process that is not ready."""
        # An adapter without a file was removed by a person; requests for it will find that it is not loaded.
        self._adapters = {adapter_hash: path for adapter_hash, path in self._adapters.items() if path.exists()}
        for path in self._adapters.values():
            child.send({"id": next(self._request_ids), "call": "load_adapter", "arguments": {"path": str(path)}})
            while "ended" not in (frame := decode_frame(await child.reader.readline())):
                if "error" in frame:
                    raise error_from_json(frame["error"])

    async def _terminate(self, child: _EngineProcess, error: UserError) -> None:
        """Fail the running requests, then end the process, by force after two seconds."""
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
    """Capture the output until the process ends, in a separate thread, so that a full pipe never blocks the process."""
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
    return f" Its last output was: {last[:300]}" if last else ""
