"""A model that one thread steps, and the asyncio side that talks to it.

For engines that compute in this process by blocking steps (llama.cpp, torch, OpenVINO). Requests and cancellations enter
between two steps; the tokens of a step return to the event loop in one batch. What a step computes is the core's concern.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, Protocol, TypeAlias, TypeVar

from yearling.errors import Unavailable, UserError
from yearling.inference.detokenizer import IncrementalDetokenizer
from yearling.inference.engine import Delta, GenerationRequest, Token
from yearling.inference.served_model import TokenizerLike
from yearling.records import FinishReason

log = logging.getLogger(__name__)

IDLE_PAUSE_S = 0.5
"""How long an engine must be idle before each idle step."""

T = TypeVar("T")
Core = TypeVar("Core", bound="EngineCore")
Outbox: TypeAlias = "list[tuple[InFlightRequest, Delta | Exception]]"


class EngineCore(Protocol):
    """The part of an engine that lives in the thread. Only the thread calls its methods."""

    def add(self, in_flight: InFlightRequest) -> None:
        """Accept a request. Raises UserError to refuse it."""
        ...

    def remove(self, in_flight: InFlightRequest) -> None:
        """Drop a request; harmless if it has ended already."""
        ...

    def has_work(self) -> bool:
        """Whether `step` has anything to do."""
        ...

    def step(self) -> None:
        """Do one step for all requests and pass their tokens to `InFlightRequest.emit`."""
        ...

    def has_idle_work(self) -> bool:
        """Whether `idle_step` has anything to do."""
        ...

    def idle_step(self) -> None:
        """Do a little of what makes later requests faster. Called while there are no requests; it delays those that come."""
        ...

    def abort_all(self) -> None:
        """Drop every request after a failed step. The caller has already failed them."""
        ...


class InFlightRequest:
    """One request that is being answered: its limits, its detokenizer and the queue of its deltas."""

    def __init__(
        self,
        request: GenerationRequest,
        max_new_tokens: int,
        tokenizer: TokenizerLike,
        outbox: list[tuple[InFlightRequest, Delta | Exception]],
    ) -> None:
        self.request = request
        self.prompt_ids = request.prompt_ids or ()
        self.max_new_tokens = max_new_tokens
        """Maximum number of tokens of the answer."""
        self.is_finished = False
        self.queue: asyncio.Queue[Delta | Exception] = asyncio.Queue()
        self._outbox = outbox
        self._stop_ids = tokenizer.stop_ids
        self._text = IncrementalDetokenizer(tokenizer.new_stream_decoder(), request.sampling.stop)
        self._emitted = 0

    def emit(self, token: Token, *, last: bool = False) -> bool:
        """Add one token to the answer; returns whether the answer has ended. `last` ends it whatever the token is."""
        self._emitted += 1
        text = ""
        finish: FinishReason | None
        if token.id in self._stop_ids:
            finish = "stop"
        else:
            text = self._text.push(token.id)
            finish = "stop" if self._text.is_stopped or last else "length" if self._emitted >= self.max_new_tokens else None
        self._send(text, (token,), finish)
        return self.is_finished

    def finish(self, reason: FinishReason) -> None:
        """End the answer without another token."""
        self._send("", (), reason)

    def fail(self, error: Exception) -> None:
        """End the answer with an error; harmless if it has ended already."""
        if not self.is_finished:
            self.is_finished = True
            self._outbox.append((self, error))

    def _send(self, text: str, tokens: tuple[Token, ...], finish: FinishReason | None) -> None:
        if self.is_finished:
            raise RuntimeError("a token was emitted after the answer had ended")
        self.is_finished = finish is not None
        delta = Delta(
            text=text + (self._text.flush() if self.is_finished else ""),
            tokens=tokens,
            finish_reason=finish,
            prompt_tokens=len(self.prompt_ids) if self.is_finished else 0,
            completion_tokens=self._emitted if self.is_finished else 0,
        )
        self._outbox.append((self, delta))


class EngineThread(Generic[Core]):
    """Runs an engine core in its own thread. Use from one event loop.

    `steps` counts finished steps, so that a watchdog can tell a working thread from a hanging one. `has_failed` tells it that
    the thread has ended although nobody closed it, so that every request raises Unavailable.
    """

    def __init__(self, build: Callable[[], Core], *, name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._inbox: list[Callable[[], None]] = []
        self._outbox: Outbox = []
        self._closing = False
        self._in_flight: set[InFlightRequest] = set()
        self._core_future: Future[Core] = Future()
        self.steps = 0
        self.has_failed = False
        self._thread = threading.Thread(target=self._run, args=(build,), name=name, daemon=True)
        self._thread.start()

    async def core(self) -> Core:
        """The core, once it is built. Raises what building it raised."""
        return await asyncio.shield(asyncio.wrap_future(self._core_future))

    async def stream(
        self, request: GenerationRequest, max_new_tokens: int, tokenizer: TokenizerLike
    ) -> AsyncGenerator[Delta, None]:
        """The deltas of one request. Raises the UserError with which the core refuses it, and Unavailable if a step fails."""
        self._check_open()
        in_flight = InFlightRequest(request, max_new_tokens, tokenizer, self._outbox)
        self._post(lambda: self._add(in_flight))
        try:
            while True:
                item = await in_flight.queue.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if item.finish_reason is not None:
                    return
        finally:
            self._post(lambda: self._remove(in_flight))

    async def run_between_steps(self, function: Callable[[Core], T]) -> T:
        """Call `function` with the core, in the thread, between two steps; returns its result or raises its exception."""
        self._check_open()
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(self._core_future.result()))
                except BaseException as error:
                    future.set_exception(error)

        self._post(run)
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """End the thread after the current step; open streams raise Unavailable. Closing twice is harmless."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _check_open(self) -> None:
        if self.has_failed:
            raise Unavailable("The engine has failed.", advice="Try again when it has been started again.")
        if self._closing:
            raise Unavailable("The engine is closed.")

    def _post(self, action: Callable[[], None]) -> None:
        with self._wake:
            self._inbox.append(action)
            self._wake.notify()

    def _add(self, in_flight: InFlightRequest) -> None:
        try:
            self._core_future.result().add(in_flight)
        except UserError as error:
            in_flight.fail(error)
        except Exception:
            log.exception("The %s engine failed to accept a request.", self._name)
            in_flight.fail(Unavailable("The engine failed to accept the request.", advice="Try again. The log has the cause."))
        else:
            self._in_flight.add(in_flight)

    def _remove(self, in_flight: InFlightRequest) -> None:
        if in_flight in self._in_flight:
            self._in_flight.discard(in_flight)
            in_flight.is_finished = True
            self._core_future.result().remove(in_flight)

    def _run(self, build: Callable[[], Core]) -> None:
        try:
            core = build()
        except BaseException as error:
            self._closing = True
            self._core_future.set_exception(error)
            return
        self._core_future.set_result(core)
        try:
            while self._run_posted_actions(core):
                if core.has_work():
                    self._step(core, core.step)
                elif core.has_idle_work() and not self._inbox and not self._closing:
                    self._step(core, core.idle_step)
                self._deliver()
        except Exception:
            # The core is in an unknown state: a request that it dropped would wait for ever.
            log.exception("The thread of the %s engine failed.", self._name)
            self.has_failed = True
        with self._wake:
            self._closing = True
            actions, self._inbox = self._inbox, []
        for action in actions if self.has_failed else []:
            with suppress(Exception):
                action()
        ended = "failed" if self.has_failed else "was closed"
        for in_flight in self._in_flight:
            in_flight.fail(Unavailable(f"The engine {ended} while it was answering."))
        self._deliver()

    def _run_posted_actions(self, core: Core) -> bool:
        """Run the posted actions; wait if there is nothing to do. Returns False when the thread must end."""
        with self._wake:
            while not self._inbox and not self._closing and not core.has_work():
                if not self._wake.wait(IDLE_PAUSE_S if core.has_idle_work() else None):
                    break
            actions, self._inbox = self._inbox, []
            closing = self._closing
        for position, action in enumerate(actions):
            try:
                action()
            except Exception:
                with self._wake:
                    self._inbox[:0] = actions[position + 1 :]
                raise
        return not closing

    def _step(self, core: Core, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            log.exception("A step of the %s engine failed.", self._name)
            for in_flight in self._in_flight:
                in_flight.fail(
                    Unavailable("The engine failed while it was answering.", advice="Try again. The log has the cause.")
                )
            core.abort_all()
        self.steps += 1
        self._in_flight = {in_flight for in_flight in self._in_flight if not in_flight.is_finished}

    def _deliver(self) -> None:
        if not self._outbox:
            return
        batch = self._outbox[:]
        self._outbox.clear()
        try:
            self._loop.call_soon_threadsafe(_put_on_queues, batch)
        except RuntimeError:
            # The event loop has closed, so that nobody can read these deltas.
            log.debug("%s: the event loop closed before %d deltas were delivered", self._name, len(batch))


def _put_on_queues(batch: Outbox) -> None:
    for in_flight, item in batch:
        in_flight.queue.put_nowait(item)
