"""`serve`: from settings to a listening server, and back to a clean stop.

The socket is taken first, so that a port in use is known before a model is loaded. Engines start before the first request is
accepted and are closed whatever happens.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

import uvicorn

from yearling.api.access.credentials import check_binding, is_loopback
from yearling.api.app import create_app
from yearling.api.http.logs import configure_logging
from yearling.api.services import ApiEnginePool
from yearling.config import Settings
from yearling.errors import BadInput, Conflict
from yearling.store import Store

_SHUTDOWN_GRACE_S = 10
"""How long running answers may take to end when the server is told to stop."""


class ManagedEnginePool(ApiEnginePool, Protocol):
    """A pool that the server starts and closes."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


def serve(
    settings: Settings,
    pool: ManagedEnginePool,
    *,
    announce: Callable[[str, str], None] = lambda address, model: None,
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the address and the default model's name once requests are accepted.

    Raises BadInput for a host that strangers could use without a password or a key, Conflict for a port in use, and what
    opening the store and starting the engines raise.
    """
    if not is_loopback(settings.host) and not settings.api_keys:
        with Store.open(settings) as store:
            check_binding(settings, has_accounts=store.people.has_accounts())
    with closing(_listen(settings)) as listener, Store.open(settings) as store:
        _run(_serve(settings, store, pool, listener, announce))


async def _serve(
    settings: Settings, store: Store, pool: ManagedEnginePool, listener: socket.socket, announce: Callable[[str, str], None]
) -> None:
    configure_logging(settings.log_level)
    try:
        await pool.start()
        config = uvicorn.Config(
            create_app(settings, store, pool),
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_GRACE_S,
            backlog=1024,
        )
        server = _Server(config, lambda: announce(_server_url(listener, settings), settings.model))
        with _absorb_stop_signals():
            await server.serve([listener])
    finally:
        await pool.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


def _listen(settings: Settings) -> socket.socket:
    """Raises Conflict for a port in use, BadInput for an address that is not this machine's."""
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
                f"The port {settings.port} of {settings.host} is in use.",
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
    """Let a stop signal end the serving and nothing else: uvicorn raises it again, before engines and store are closed."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    for one in (signal.SIGINT, signal.SIGTERM):
        before[one] = signal.signal(one, lambda *_: None)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _run(main: Any) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
