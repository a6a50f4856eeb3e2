"""`serve`: start a server from settings, and stop it cleanly.

The server binds its socket first, so that a port in use is reported before a model loads. Engines start before the server accepts
requests, and close however it ends.
"""

from __future__ import annotations

import asyncio
import errno
import faulthandler
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Protocol

import structlog
import uvicorn
from fastapi import FastAPI

from yearling.api.access.origins import check_binding, is_loopback
from yearling.api.app import create_app
from yearling.api.http.connections import ConnectionLimits, bounded_protocol
from yearling.api.http.logs import configure_logging
from yearling.api.release.service import ReleaseService
from yearling.api.services import ApiEnginePool
from yearling.config import Settings
from yearling.errors import BadInput, Conflict
from yearling.store import Store, find_exposed_data

_log = structlog.get_logger("yearling.api")

_RESERVED_FILES = 512
"""Files that the server may have open besides its connections: the database, blobs, workers, imports."""
_SHUTDOWN_GRACE_S = 5
"""How long running answers may take to finish after a stop signal."""
_SHUTDOWN_LIMIT_S = 9.0
"""The process ends this long after a stop signal at the latest, whatever still runs: the store survives that like a crash."""


class ManagedEnginePool(ApiEnginePool, Protocol):
    """A pool that the server starts and closes."""

    async def start(self) -> None:
        """Start the engines."""
        ...

    async def close(self) -> None:
        """Stop the engines."""
        ...


def serve(
    settings: Settings,
    pool: ManagedEnginePool,
    *,
    announce: Callable[[str, str], None] = lambda address, model: None,
    releases: ReleaseService | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> None:
    """Serve until SIGINT or SIGTERM, and end within ten seconds of it, if need be by ending the process.

    Calls `announce(address, model)` with the default model, or an empty name if it cannot answer, once the server accepts
    requests, and then `warn` with each thing that needs attention. With `releases`, whose callables the pool must have, the
    default model is the released one.

    Raises BadInput for a host that other machines could use without signing in, Conflict for a port in use, and what opening the
    store and starting the engines raise.
    """
    if not is_loopback(settings.host) and not settings.api_keys:
        with Store.open(settings) as store:
            check_binding(settings, has_accounts=store.people.has_accounts())
    with closing(_listen(settings)) as listener, Store.open(settings) as store:
        _run(_serve(settings, store, pool, listener, announce, releases, warn))


async def _serve(
    settings: Settings,
    store: Store,
    pool: ManagedEnginePool,
    listener: socket.socket,
    announce: Callable[[str, str], None],
    releases: ReleaseService | None,
    warn: Callable[[str], None],
) -> None:
    def on_started() -> None:
        default = settings.model if releases is None else "" if releases.problems() else pool.default()
        announce(_server_url(listener, settings), default)
        for message in releases.start_messages() if releases is not None else ():
            warn(message)

    configure_logging(settings.log_level)
    exposed = await asyncio.to_thread(find_exposed_data, settings, recursive=False)
    if exposed.count:
        examples = [str(path) for path in exposed.examples]
        advice = f"Other users of this machine may read it. {exposed.advice(settings.data_dir)}"
        _log.warning("data_is_exposed", count=exposed.count, examples=examples, advice=advice)
    try:
        if releases is None:
            await pool.start()
        else:
            await releases.start(store, pool)
        server = _Server(server_config(create_app(settings, store, pool, releases=releases), settings), on_started)
        with _absorb_stop_signals():
            await server.serve([listener])
    finally:
        if releases is not None:
            await releases.close()
        await pool.close()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application, with the limits of the settings."""
    limits = ConnectionLimits(
        max_header_bytes=settings.max_header_bytes,
        header_timeout_s=settings.header_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        max_connections=_available_connections(settings.max_connections),
        max_connections_per_address=settings.max_connections_per_address,
        trusted_proxies=settings.trusted_proxies,
    )
    return uvicorn.Config(
        app,
        http=bounded_protocol(limits),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.idle_timeout_s,
        timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
        backlog=1024,
    )


def _available_connections(wanted: int) -> int:
    """How many of the wanted connections the operating system allows, after raising the limit on open files as far as needed."""
    if sys.platform == "win32":
        return wanted
    import resource

    needed = wanted + _RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        _log.warning("fewer_connections", wanted=wanted, allowed=max(1, allowed - _RESERVED_FILES), advice="Raise `ulimit -n`.")
    return min(wanted, max(1, allowed - _RESERVED_FILES))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._deadline = _Deadline()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._deadline.start()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


class _Deadline:
    """Ends the process a fixed time after the first stop signal, unless it has ended by then.

    The deadline outlives `serve`: the interpreter waits for its threads before it ends, and one of them may hang.
    """

    def __init__(self) -> None:
        self._timer = threading.Timer(_SHUTDOWN_LIMIT_S, _end_process)
        self._timer.daemon = True

    def start(self) -> None:
        if self._timer.ident is None:
            self._timer.start()


def _end_process() -> None:
    faulthandler.dump_traceback()  # tells what still runs
    os._exit(1)


def _listen(settings: Settings) -> socket.socket:
    """A listening socket. Raises Conflict for a port in use, BadInput for an address that this machine does not have."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise _cannot_listen_error(settings, error) from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {settings.port} on {settings.host} is in use.",
                advice="Stop the other program, or choose another port with --port.",
                param="port",
            ) from None
        raise _cannot_listen_error(settings, error) from None
    return listener


def _cannot_listen_error(settings: Settings, error: OSError) -> BadInput:
    return BadInput(
        f"The server cannot listen on {settings.host}, port {settings.port}: {error.strerror or error}.",
        advice="Choose another --host or --port.",
        param="host",
    )


def _server_url(listener: socket.socket, settings: Settings) -> str:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


@contextmanager
def _absorb_stop_signals() -> Iterator[None]:
    """Ignore stop signals that uvicorn raises again after it has stopped: the engines and the store still have to close."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield
        return
    previous = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run(main: Coroutine[object, None, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
