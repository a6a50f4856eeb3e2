"""Runs an engine in its own process and keeps it running, so that a crash or a hang in C++ does not affect the server.

`SupervisedEngine` is itself an `Engine`. If the process crashes, or makes no step for `stall_timeout_s` while it has work, it
is ended and started again with growing pauses, for as long as the engine is open: whatever goes wrong in a start, another
follows. Running requests fail with Unavailable. Later ones wait for the new process, until several starts in a row have failed:
then they fail at once, until a start succeeds. The process dies with the server (see `worker.py`). Its output is captured, not
shown; the last line becomes part of the error.

To run under supervision, an engine needs a factory, `module:function`, whose keyword arguments are JSON values. It also needs a
growing `steps` counter if it can work for long without a delta (prefill).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
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
from yearling.inference.engine_process import EngineProcess, EngineSpec, ProcessEnded, unavailable_because
from yearling.inference.guarding.file_check import CheckedFile, FileCheck
from yearling.inference.wire import (
    WireFrame,
    capabilities_from_json,
    delta_from_json,
    error_from_json,
    request_to_json,
    tokens_from_json,
)

log = logging.getLogger(__name__)

START_TIMEOUT_S = 600.0
MAX_BACKOFF_S = 30.0
INITIAL_BACKOFF_S = 0.25
MAX_FAILED_STARTS = 3
"""After this many failed starts in a row, requests fail at once instead of waiting for the next start."""

STABLE_AFTER_S = 60.0
"""A process that ran for so long was started well, even if nobody asked it for anything."""


class SupervisedEngine:
    """An `Engine` in its own process. Use from one event loop; call `start` first."""

    name: str
    model_hash: str
    capabilities: EngineCapabilities

    def __init__(
        self,
        spec: EngineSpec,
        *,
        stall_timeout_s: float = 60.0,
        start_timeout_s: float = START_TIMEOUT_S,
        files: Sequence[Path] = (),
        file_check: FileCheck | None = None,
    ) -> None:
        """`file_check` checks `files`, which the process loads, before every start, and adapters whenever they are loaded."""
        self._spec = spec
        self._files = files
        self._file_check = file_check
        self.checked_files: tuple[CheckedFile, ...] = ()
        """The files that the process has loaded, as they were checked."""
        self._stall_timeout_s = stall_timeout_s
        self._start_timeout_s = start_timeout_s
        self._request_ids = itertools.count()
        self._child: EngineProcess | None = None
        """The process that accepts requests; None while there is none."""
        self._state_changed = asyncio.Event()
        self._supervision: asyncio.Task[None] | None = None
        self._adapters: dict[str, Path] = {}
        self._closed = False
        self._failures = 0
        """Processes in a row that did not start, or ended before they had done any work."""
        self._cause = ""
        self._next_start_s: float | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start the process and wait until its engine is ready. Raises what opening the engine raises."""
        child = await self._spawn()
        self._set_ready(child)
        self._supervision = asyncio.create_task(self._supervise(child))

    @property
    def state(self) -> str:
        """`ready`, `starting`, `failed` (the last starts failed; more will be tried) or `closed`."""
        if self._closed:
            return "closed"
        if self._child is not None:
            return "ready"
        return "failed" if self._failures >= MAX_FAILED_STARTS else "starting"

    @property
    def outage(self) -> str:
        """Why the engine is not ready and when the next start is, for people without access to the log; empty if it is ready."""
        if self._closed or self._child is not None or not self._cause:
            return ""
        failures = f"{self._failures} failures in a row, the last: " if self._failures > 1 else ""
        pause_s = 0.0 if self._next_start_s is None else self._next_start_s - time.monotonic()
        next_start = f"the next start is in {pause_s:.0f} s" if pause_s > 0 else "it is being started again"
        return f"{failures}{self._cause}; {next_start}"

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
        """As `Engine.load_adapter`. The adapter is loaded again after a restart. Raises Untrusted if it may not be loaded."""
        checked = await self._check_files([path])
        adapter_hash: str = await self._call("load_adapter", path=str(path))
        try:
            await self._require_unchanged(checked)
        except UserError:
            await self._call("unload_adapter", adapter_hash=adapter_hash)
            raise
        self._adapters[adapter_hash] = path
        return adapter_hash

    async def unload_adapter(self, adapter_hash: str) -> None:
        """As `Engine.unload_adapter`."""
        self._adapters.pop(adapter_hash, None)
        await self._call("unload_adapter", adapter_hash=adapter_hash)

    async def close(self) -> None:
        """End the process; running and waiting requests raise Unavailable."""
        self._closed = True
        child, self._child = self._child, None
        self._announce_state()
        if self._supervision is not None:
            self._supervision.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervision
        if child is not None:
            await child.terminate(Unavailable("The engine was stopped."))

    async def _call(self, method: str, **arguments: Any) -> Any:
        return await self._call_in(await self._wait_until_ready(), method, arguments)

    async def _call_in(self, child: EngineProcess, method: str, arguments: WireFrame) -> Any:
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

    def _send_request(self, child: EngineProcess, frame: WireFrame) -> tuple[int, asyncio.Queue[WireFrame | UserError]]:
        request_id = next(self._request_ids)
        queue: asyncio.Queue[WireFrame | UserError] = asyncio.Queue()
        if not child.pending:
            child.last_progress_s = time.monotonic()
        child.pending[request_id] = queue
        child.send({"id": request_id} | frame)
        return request_id, queue

    async def _wait_until_ready(self) -> EngineProcess:
        """The process that accepts requests, after a restart if necessary. Raises Unavailable if there is none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._start_timeout_s):
                while self.state == "starting" and self._supervision is not None:
                    await self._state_changed.wait()
        if self._closed:
            raise Unavailable("The engine is closed.")
        if self._child is None:
            reason = f": {self.outage}" if self.outage else ""
            raise Unavailable(f"The engine is not running{reason}.", advice="Run `yearling doctor` and see the server's log.")
        return self._child

    def _announce_state(self) -> None:
        """Wake the requests that wait for another state."""
        changed, self._state_changed = self._state_changed, asyncio.Event()
        changed.set()

    def _set_ready(self, child: EngineProcess) -> None:
        self._child = child
        self._next_start_s = None
        self._announce_state()

    def _record_failure(self, cause: str) -> None:
        self._failures += 1
        self._cause = cause
        self._announce_state()

    async def _supervise(self, child: EngineProcess) -> None:
        """Watch the process and replace it whenever it ends, as long as this engine is open. No exception ends this task."""
        while True:
            try:
                ended = await self._dispatch_frames(child)
            except Exception as error:
                # Whatever it is, the process cannot be used any more: nobody would pass its frames on.
                log.exception("The supervision of the engine's process %d failed.", child.process.pid)
                ended = ProcessEnded(f"was stopped after a fault in its supervision ({type(error).__name__})")
            self._child = None
            log.warning("The engine %s. It is being started again. Its last output was: %s", ended.reason, ended.last_output)
            if child.has_done_work or time.monotonic() - child.started_s > STABLE_AFTER_S:
                self._failures, self._cause = 0, f"the engine {ended.reason}"
                self._announce_state()
            else:
                self._record_failure(f"the engine {ended.reason}")
            doing = " while it answered" if child.pending else ""
            try:
                await child.terminate(unavailable_because(ended, doing, advice="It is being restarted. Try again."))
            except Exception:
                log.exception("The engine's process %d could not be ended.", child.process.pid)
            child = await self._spawn_until_ready()
            self.restarts += 1
            self._set_ready(child)

    async def _spawn_until_ready(self) -> EngineProcess:
        """Start processes until one is ready, with growing pauses."""
        while True:
            if self._failures:
                pause_s = backoff_s(self._failures)
                self._next_start_s = time.monotonic() + pause_s
                await asyncio.sleep(pause_s)
            try:
                return await self._spawn()
            except UserError as error:
                log.warning("The engine could not be started again: %s", error)
                self._record_failure(_as_clause(error.message))
            except Exception as error:
                log.exception("The engine could not be started again.")
                self._record_failure(f"a start failed ({type(error).__name__})")

    async def _dispatch_frames(self, child: EngineProcess) -> ProcessEnded:
        """Pass frames to their requests until the process has ended; returns how it ended."""
        stall = asyncio.create_task(self._kill_on_stall(child))
        try:
            while True:
                frame = await child.read_frame()
                child.last_progress_s = time.monotonic()
                if "delta" in frame or "result" in frame:
                    # The process has done work, so the next crash counts as a first one.
                    child.has_done_work, self._failures = True, 0
                if (queue := child.pending.get(frame.get("id", -1))) is not None:
                    queue.put_nowait(frame)
        except ProcessEnded as ended:
            return ended
        finally:
            stall.cancel()

    async def _kill_on_stall(self, child: EngineProcess) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_timeout_s / 4))
            if child.pending and time.monotonic() - child.last_progress_s > self._stall_timeout_s:
                child.kill_reason = f"made no step for {self._stall_timeout_s:g} seconds and was stopped"
                child.process.kill()
                return

    async def _spawn(self) -> EngineProcess:
        """Start a process and wait until its engine is ready, with its adapters.

        Raises what opening the engine raises, Untrusted if its files may not be loaded, and Unavailable if the process ends,
        cannot be started or takes too long.
        """
        checked = await self._check_files(self._files)
        try:
            child = await EngineProcess.launch(self._spec)
        except (OSError, RuntimeError) as error:
            raise Unavailable(
                f"The system refused a process for the engine: {error}.", advice="Close other programs, or raise its limits."
            ) from error
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._open_engine(child)
                await self._require_unchanged(checked)
                await self._reload_adapters(child)
        except BaseException as error:
            await child.terminate(Unavailable("The engine did not start."))
            if isinstance(error, TimeoutError):
                raise Unavailable(f"The engine did not start within {self._start_timeout_s:g} seconds.") from None
            if isinstance(error, ProcessEnded):
                raise unavailable_because(error, " while it started") from None
            raise
        self.checked_files = checked
        return child

    async def _check_files(self, files: Sequence[Path]) -> tuple[CheckedFile, ...]:
        return await self._file_check.check(files) if self._file_check is not None else ()

    async def _require_unchanged(self, checked: Sequence[CheckedFile]) -> None:
        if self._file_check is not None:
            await self._file_check.require_unchanged(checked)

    async def _open_engine(self, child: EngineProcess) -> None:
        """Let the process open its engine, and take over what it reports. Raises what opening raises, and ProcessEnded."""
        child.send({"factory": self._spec.factory, "options": self._spec.options})
        frame = await child.read_frame()
        if "error" in frame:
            raise error_from_json(frame["error"])
        try:
            ready = frame["ready"]
            name, model_hash, capabilities = ready["name"], ready["model_hash"], capabilities_from_json(ready["capabilities"])
        except (KeyError, TypeError) as error:
            raise ProcessEnded(f"sent a report that is not understood ({error!r})", child.last_output()) from None
        self.name, self.model_hash, self.capabilities = name, model_hash, capabilities

    async def _reload_adapters(self, child: EngineProcess) -> None:
        """Load the adapters again. Replies are read here, because nothing else reads from a process that is not ready.

        An adapter that is gone or refused is forgotten: requests for it find that it is not loaded, and all others go on.
        """
        for adapter_hash, path in list(self._adapters.items()):
            try:
                await self._check_files([path])
            except UserError as error:
                log.warning("The adapter %s was not loaded again: %s", adapter_hash, error)
                self._adapters.pop(adapter_hash, None)
                continue
            child.send({"id": next(self._request_ids), "call": "load_adapter", "arguments": {"path": str(path)}})
            while "ended" not in (frame := await child.read_frame()):
                if "error" in frame:
                    log.warning("The adapter %s was not loaded again: %s", adapter_hash, error_from_json(frame["error"]))
                    self._adapters.pop(adapter_hash, None)


def backoff_s(failures: int) -> float:
    """The pause before the next start after so many failures in a row."""
    return min(MAX_BACKOFF_S, INITIAL_BACKOFF_S * 2.0 ** min(failures, 30))


def _as_clause(message: str) -> str:
    """The message as a part of a sentence, with each absolute path shortened to its last name."""
    shortened = re.sub(r"(?<![\w.])(?:/[^\s/:'\"]+)*/([^\s/:'\"]+)", r"\1", message.rstrip("."))
    return shortened[:1].lower() + shortened[1:]
