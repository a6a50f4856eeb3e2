"""One worker process: how it is launched, spoken to and ended. `supervisor.py` decides when; `worker.py` is the other end.

Nothing is left behind: if a step of the launch fails or is cancelled, the process, its pipes and its socket are closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from yearling.errors import Unavailable, UserError
from yearling.inference.wire import MAX_FRAME_BYTES, WireFrame, decode_frame, encode_frame

log = logging.getLogger(__name__)

EXIT_TIMEOUT_S = 2.0
"""How long a process may take to end by itself before it is killed."""

MAX_OUTPUT_CHARS = 300
"""How much of the last line of output becomes part of an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """Which engine a process runs: `factory` is `module:function` of this program, `options` its keyword arguments."""

    factory: str
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


class ProcessEnded(Exception):
    """The process ended, or its connection broke. `reason` completes the sentence "The engine …"."""

    def __init__(self, reason: str, last_output: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.last_output = last_output


@dataclass(eq=False, slots=True)
class EngineProcess:
    """One process and the requests that it is working on."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lines: deque[str]
    listener: threading.Thread
    pending: dict[int, asyncio.Queue[WireFrame | UserError]] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)
    last_progress_s: float = field(default_factory=time.monotonic)
    has_done_work: bool = False
    kill_reason: str = ""

    @classmethod
    async def launch(cls, spec: EngineSpec) -> EngineProcess:
        """Start a process and connect to it. Raises OSError if the system refuses a process, a socket or a thread."""
        server_socket, worker_socket = socket.socketpair()
        process: subprocess.Popen[bytes] | None = None
        writer: asyncio.StreamWriter | None = None
        try:
            with worker_socket:
                process = await _start_process(
                    worker_socket, os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | spec.environment
                )
            reader, writer = await asyncio.open_unix_connection(sock=server_socket, limit=MAX_FRAME_BYTES)
            lines: deque[str] = deque(maxlen=50)
            listener = threading.Thread(target=_capture_output, args=(process, lines), name="engine-log", daemon=True)
            listener.start()
        except BaseException:
            if writer is not None:
                writer.close()
            else:
                server_socket.close()
            if process is not None:
                await asyncio.to_thread(_discard_process, process)
            raise
        return cls(process, reader, writer, lines, listener)

    def send(self, frame: WireFrame) -> None:
        """Send a frame. If the process has ended, reading says so: a frame that can no longer be sent is dropped."""
        # uvloop raises RuntimeError for a transport that the other end closed, asyncio's own loop nothing.
        with suppress(OSError, RuntimeError):
            self.writer.write(encode_frame(frame))

    async def read_frame(self) -> WireFrame:
        """The next frame. Raises ProcessEnded if there will be none, because the process ended or sent nonsense."""
        try:
            line = await self.reader.readline()
        except ConnectionError:
            line = b""
        except ValueError as error:
            raise ProcessEnded(f"sent a frame that is too long ({error})") from None
        if not line:
            raise ProcessEnded(await self.end_description(), self.last_output())
        try:
            frame = decode_frame(line)
        except ValueError:
            frame = None
        if not isinstance(frame, dict):
            raise ProcessEnded("sent a frame that is not a JSON object", self.last_output())
        return frame

    async def end_description(self) -> str:
        """How the process ended, as the predicate of a sentence. Kills it if it has closed its connection and goes on."""
        try:
            status = await self.exit_status(EXIT_TIMEOUT_S)
        except TimeoutError:
            self.process.kill()
            await self.exit_status()
            return self.kill_reason or "closed its connection"
        return self.kill_reason or describe_exit(status)

    async def exit_status(self, timeout_s: float | None = None) -> int:
        """Wait for the process to end and its output to be captured; negative if a signal ended it. Raises TimeoutError."""
        try:
            status = await asyncio.to_thread(self.process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        # If a child of the engine's process holds the pipe open, its output is not worth waiting for.
        await asyncio.to_thread(self.listener.join, 1.0)
        return status

    def last_output(self) -> str:
        """The last line that the process wrote, shortened; empty if it wrote nothing."""
        return next((line for line in reversed(self.lines) if line.strip()), "")[:MAX_OUTPUT_CHARS]

    async def terminate(self, error: UserError) -> None:
        """Fail the running requests, then end the process, by force after two seconds. Raises nothing of its own."""
        for queue in self.pending.values():
            queue.put_nowait(error)
        try:
            self.writer.close()
            if self.process.stdin is not None:
                self.process.stdin.close()
            with suppress(TimeoutError):
                await self.exit_status(EXIT_TIMEOUT_S)
        except Exception:
            log.exception("The engine's process %d could not be asked to end.", self.process.pid)
        finally:
            self.process.kill()
        await self.exit_status()


def worker_command(socket_fd: int) -> list[str]:
    """The command line of a worker that speaks on that socket."""
    return [sys.executable, "-m", "yearling.inference.worker", str(socket_fd)]


async def _start_process(worker_socket: socket.socket, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            worker_command(worker_socket.fileno()),
            pass_fds=(worker_socket.fileno(),),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A session of its own, so that Ctrl-C in the terminal reaches the server only.
            start_new_session=True,
            env=environment,
        )

    starting = asyncio.ensure_future(asyncio.to_thread(start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The thread cannot be stopped: wait for the process, so that it does not outlive this call.
        with suppress(Exception):
            await asyncio.to_thread(_discard_process, await starting)
        raise


def _discard_process(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that nobody listens to, and close its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _capture_output(process: subprocess.Popen[bytes], lines: deque[str]) -> None:
    """Capture the output until the process ends, in a separate thread, so that a full pipe never blocks the process."""
    if process.stdout is None:
        raise RuntimeError("the engine's process has no standard output")
    with process.stdout as output:
        for line in output:
            lines.append(line.decode(errors="replace").rstrip())


def describe_exit(status: int) -> str:
    """How a process with this exit status ended, as the predicate of a sentence."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"crashed ({signal.Signals(-status).name})"
    except ValueError:
        return f"crashed (signal {-status})"


def unavailable_because(ended: ProcessEnded, doing: str, *, advice: str = "") -> Unavailable:
    """The error for a request or a start: what the engine did, while doing what, and the last line of its output."""
    output = f" Its last output was: {ended.last_output}" if ended.last_output else ""
    return Unavailable(f"The engine {ended.reason}{doing}.{output}", advice=advice)
