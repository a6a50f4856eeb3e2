"""The engine's own process: reads requests from a socket, runs them on the engine, writes deltas back.

    python -m yearling.inference.worker FD

The first line on the socket names the engine to open. The process ends when the socket or its standard input closes, so that it
never outlives the server, even if the server is killed. `supervisor.py` is the other end.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import inspect
import os
import select
import socket
import sys
import traceback
from collections.abc import Coroutine
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from yearling.errors import Unavailable, UserError
from yearling.inference.engine import Engine
from yearling.inference.wire import (
    MAX_FRAME_BYTES,
    WireFrame,
    decode_frame,
    delta_to_json,
    encode_frame,
    engine_to_json,
    error_to_json,
    request_from_json,
    tokens_to_json,
)

HEARTBEAT_INTERVAL_S = 0.5
"""How often the process reports progress that no delta shows."""


def exit_with_parent(parent_pipe_fd: int = 0) -> None:
    """Let the kernel end this process when the other end of the pipe closes, even if Python never runs again.

    A pipe in asynchronous mode raises SIGIO when its writer closes it, and SIGIO ends a process that does not handle it.
    """
    fcntl.fcntl(parent_pipe_fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent_pipe_fd, fcntl.F_SETFL, fcntl.fcntl(parent_pipe_fd, fcntl.F_GETFL) | os.O_ASYNC)
    poll = select.poll()
    poll.register(parent_pipe_fd, select.POLLHUP)
    if poll.poll(0):
        os._exit(1)


async def open_engine_from_factory(factory: str, options: dict[str, Any]) -> Engine:
    """Call `module:function` with the options. The function may be a coroutine function."""
    module, _, function = factory.partition(":")
    opened = getattr(importlib.import_module(module), function)(**options)
    engine: Engine = await opened if inspect.isawaitable(opened) else opened
    return engine


class EngineWorker:
    """Serves one engine to one supervisor."""

    def __init__(self, engine: Engine, writer: asyncio.StreamWriter) -> None:
        self._engine = engine
        self._writer = writer
        self._running: dict[int, asyncio.Task[None]] = {}

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Handle frames until the supervisor closes the connection, then close the engine."""
        heartbeat = asyncio.create_task(self._send_heartbeats())
        while line := await reader.readline():
            frame = decode_frame(line)
            request_id = int(frame["id"])
            if "cancel" in frame:
                task = self._running.get(request_id)
                if task is None:
                    self._send({"id": request_id, "ended": True})
                else:
                    task.cancel()
                continue
            work = self._stream(request_id, frame["stream"]) if "stream" in frame else self._call(request_id, frame)
            task = asyncio.create_task(self._report_outcome(request_id, work))
            self._running[request_id] = task
            task.add_done_callback(partial(self._done, request_id))
        heartbeat.cancel()
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._engine.close()

    def _done(self, request_id: int, _: asyncio.Task[None]) -> None:
        self._running.pop(request_id, None)

    def _send(self, frame: WireFrame) -> None:
        self._writer.write(encode_frame(frame))

    async def _report_outcome(self, request_id: int, work: Coroutine[None, None, None]) -> None:
        """Report the outcome of a request, whatever it is: the supervisor must never wait for ever."""
        try:
            await work
        except asyncio.CancelledError:
            pass
        except UserError as error:
            self._send({"id": request_id, "error": error_to_json(error)})
        except Exception:
            traceback.print_exc()
            failure = Unavailable(
                f"The engine failed: {traceback.format_exc(limit=0).strip().splitlines()[-1]}",
                advice="Try again. The server's log has the details.",
            )
            self._send({"id": request_id, "error": error_to_json(failure)})
        self._send({"id": request_id, "ended": True})

    async def _stream(self, request_id: int, fields: WireFrame) -> None:
        async with aclosing(self._engine.stream(request_from_json(fields))) as stream:
            async for delta in stream:
                self._send({"id": request_id, "delta": delta_to_json(delta)})

    async def _call(self, request_id: int, frame: WireFrame) -> None:
        engine, arguments = self._engine, frame["arguments"]
        result: Any
        match frame["call"]:
            case "score":
                result = await engine.score(arguments["sequences"], adapter_hash=arguments["adapter_hash"])
            case "score_tokens":
                result = tokens_to_json(await engine.score_tokens(**arguments))
            case "embed":
                result = await engine.embed(arguments["sequences"])
            case "load_adapter":
                result = await engine.load_adapter(Path(arguments["path"]))
            case "unload_adapter":
                await engine.unload_adapter(arguments["adapter_hash"])
                result = None
            case other:
                raise RuntimeError(f"unknown call {other}")
        self._send({"id": request_id, "result": result})

    async def _send_heartbeats(self) -> None:
        """Report steps that produce no delta: the prefill of a long prompt, scoring. Ends the process if the engine has failed
        for good, so that the supervisor starts another.
        """
        reported_steps = -1
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)
            if getattr(self._engine, "has_failed", False):
                print("The engine has failed and cannot go on.", file=sys.stderr, flush=True)
                os._exit(1)
            steps = getattr(self._engine, "steps", -1)
            if steps != reported_steps:
                reported_steps = steps
                self._send({"steps": steps})


async def run_worker(connection: socket.socket) -> None:
    """Open the engine that the first frame names and serve it until the connection closes."""
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_FRAME_BYTES)
    spec = decode_frame(await reader.readline())
    try:
        engine = await open_engine_from_factory(spec["factory"], spec["options"])
    except UserError as error:
        writer.write(encode_frame({"error": error_to_json(error)}))
        await writer.drain()
        return
    writer.write(encode_frame({"ready": engine_to_json(engine)}))
    await EngineWorker(engine, writer).serve(reader)


def main() -> None:
    """Run the worker on the socket whose file descriptor is the first argument."""
    exit_with_parent()
    asyncio.run(run_worker(socket.socket(fileno=int(sys.argv[1]))))
    # Threads of a C++ engine may still wait for work. Nothing is left to save.
    os._exit(0)


if __name__ == "__main__":
    main()
