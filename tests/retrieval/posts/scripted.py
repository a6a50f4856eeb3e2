"""A Jetstream server that follows a script, and a sink that keeps posts in memory, as a database would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from yearling.errors import StorageFailed
from yearling.retrieval.posts.events import AuthorDeleted, AuthorRenamed, Post, PostDeleted, PostEvent

COLLECTION = "app.bsky.feed.post"
DAY_US = 1_700_000_000_000_000


def commit(
    number: int, operation: str = "create", *, text: str | None = None, did: str = "did:plc:a", key: str = ""
) -> dict[str, Any]:
    """The message with this number in version 1."""
    record = {
        "$type": COLLECTION,
        "text": text if text is not None else f"post {number}",
        "createdAt": "2023-11-14T22:13:20Z",
        "langs": ["en"],
    }
    inner: dict[str, Any] = {"rev": "r", "operation": operation, "collection": COLLECTION, "rkey": key or f"k{number}"}
    if operation != "delete":
        inner |= {"record": record, "cid": "c"}
    return {"did": did, "time_us": DAY_US + number, "kind": "commit", "commit": inner}


def account(number: int, *, did: str, active: bool) -> dict[str, Any]:
    return {"did": did, "time_us": DAY_US + number, "kind": "account", "account": {"active": active, "did": did}}


def identity(number: int, *, did: str, handle: str) -> dict[str, Any]:
    return {"did": did, "time_us": DAY_US + number, "kind": "identity", "identity": {"did": did, "handle": handle}}


def as_v2(message: dict[str, Any]) -> dict[str, Any]:
    """The same message in version 2, whose sequence number is its number."""
    kind = message["kind"]
    payload = {
        "$type": f"network.bsky.jetstream.subscribeEvents#{kind}",
        "seq": message["time_us"] - DAY_US,
        "did": message["did"],
    }
    payload["time"] = "2023-11-14T22:13:20.000001Z"
    payload |= message["commit"] if kind == "commit" else {kind: message[kind]}
    return {"$type": "message", "payload": payload}


class ScriptedJetstream:
    """Sends `messages`, as version 1 or 2, from the cursor of the client on, and cuts connections where it is told to."""

    def __init__(
        self, messages: Sequence[dict[str, Any]], *, cut_after: Sequence[int] = (), oldest: int = 0, seed: int = 0
    ) -> None:
        """`cut_after`: how many messages each connection gets before it is cut. `oldest`: the oldest message that it has."""
        self.messages, self.oldest = list(messages), oldest
        self.cuts = list(cut_after)
        self.garbage: list[str | bytes] = []
        self.connections: list[str] = []
        self.arrived = asyncio.Event()

    async def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        query = parse_qs(parts.query)
        is_v2 = parts.path.startswith("/xrpc/")
        self.connections.append(connection.request.path)
        start = int(query["cursor"][0]) - (0 if is_v2 else DAY_US) if "cursor" in query else 0
        left = self.cuts.pop(0) if self.cuts else 1 << 60
        for frame in self.garbage:
            await connection.send(frame)
        position = 0
        while True:
            while position < len(self.messages):
                message = self.messages[position]
                position += 1
                number = message["time_us"] - DAY_US
                if number < max(start, self.oldest):
                    continue
                if not left:
                    connection.transport.abort()
                    return
                left -= 1
                await connection.send(json.dumps(as_v2(message) if is_v2 else message))
            self.arrived.clear()
            waiting = [asyncio.create_task(wait()) for wait in (self.arrived.wait, connection.wait_closed)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if waiting[1].done():
                return

    def add(self, *messages: dict[str, Any]) -> None:
        self.messages += messages
        self.arrived.set()

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """Version 2 refuses a cursor that is too old before the connection is made."""
        parts = urlsplit(request.path)
        cursor = parse_qs(parts.query).get("cursor")
        if parts.path.startswith("/xrpc/") and cursor and int(cursor[0]) < self.oldest:
            body = json.dumps({"error": "CursorTooOld", "message": f"the floor is {self.oldest}"}).encode()
            return Response(400, "Bad Request", Headers({"content-length": str(len(body))}), body)
        return None


@asynccontextmanager
async def serving(server: ScriptedJetstream) -> AsyncIterator[str]:
    """The address of a scripted server."""

    def select(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return offered[0] if offered else None

    async with serve(server.handle, "127.0.0.1", 0, process_request=server.refuse, select_subprotocol=select) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


class MemorySink:
    """Keeps posts by their URI, as the store does, with failures where a test wants them. Made in a running event loop."""

    def __init__(self, failures: int = 0) -> None:
        self.posts: dict[str, Post] = {}
        self.names: dict[str, str] = {}
        self.cursor = ""
        self.failures = failures
        self.num_applied = 0
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def apply(self, source_id: str, events: Sequence[PostEvent], cursor: str) -> None:
        if self.failures:
            self.failures -= 1
            raise StorageFailed("The disk is full.")
        for event in events:
            if isinstance(event, Post):
                self.posts[event.uri] = event
            elif isinstance(event, PostDeleted):
                self.posts.pop(event.uri, None)
            elif isinstance(event, AuthorDeleted):
                self.posts = {uri: post for uri, post in self.posts.items() if post.author != event.author}
            elif isinstance(event, AuthorRenamed):
                self.names[event.author] = event.name
        self.cursor = cursor or self.cursor
        self.num_applied += len(events)
        self._loop.call_soon_threadsafe(self.changed.set)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        """Wait for a condition that a batch may meet. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.changed.clear()
                if not condition():
                    await self.changed.wait()
