"""A real server in a thread, for clients without an event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from tests.loop_watchdog import WATCHDOG

KEY = "a-key-for-tests"
"""API key of the server with the real model."""


@contextmanager
def live(app: Any) -> Iterator[str]:
    """Serve the application on a free loopback port, with its lifespan; yields the address."""
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # otherwise Nagle's algorithm delays small writes
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)  # early connections wait until the server is up
    server = _WatchedServer(
        uvicorn.Config(app, log_config=None, lifespan="on", http="httptools", loop="uvloop", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    with WATCHDOG.watching():
        thread.start()
        thread_id = thread.ident
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            listener.close()
    burns = [burn for burn in WATCHDOG.burns if burn.thread_id == thread_id]
    assert not burns, "\n".join(map(str, burns))


class _WatchedServer(uvicorn.Server):
    """A server whose event loop the watchdog watches once it is up."""

    async def main_loop(self) -> None:
        WATCHDOG.watch_loop(asyncio.get_running_loop(), threading.get_ident())
        try:
            await super().main_loop()
        finally:
            WATCHDOG.forget_loop(threading.get_ident())
