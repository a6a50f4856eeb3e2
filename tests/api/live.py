"""A real server in a thread, for clients that bring no event loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

KEY = "a-key-for-tests"
"""Of the server with the real model."""


@contextmanager
def live(app: Any) -> Iterator[str]:
    """The application on a free port of loopback, its start and stop included; yields the address."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else small writes wait for each other
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)  # who connects before the server is up waits
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
