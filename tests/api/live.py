"""A real server in a thread, for clients without an event loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

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
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, lifespan="on", http="httptools", loop="uvloop", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
