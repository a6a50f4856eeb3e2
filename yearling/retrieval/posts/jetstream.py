"""Bluesky's posts, from a Jetstream server over WebSocket: version 1 (`/subscribe`) and version 2 (`subscribeEvents`).

Version 1 sends bare objects, and its cursor is a time in microseconds, so reading rewinds a few seconds. Version 2 sends
envelopes with sequence numbers, repeats the message of the cursor, and refuses a cursor that is too old before it connects.
Specification: the lexicon `network.bsky.jetstream.subscribeEvents` and the README of bluesky-social/jetstream.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from yearling.clock import now_utc
from yearling.errors import BadInput, Unavailable
from yearling.retrieval.posts.events import (
    MAX_NAME_CHARS,
    MAX_URI_CHARS,
    AuthorDeleted,
    AuthorRenamed,
    CursorTooOldError,
    Post,
    PostDeleted,
    PostEvent,
    StreamItem,
    bounded_time,
    clean_text,
)

COLLECTION = "app.bsky.feed.post"
REWIND_US = 5_000_000
"""How far version 1 goes back when it reconnects: its cursors are times, and several messages can have the same one."""
MAX_FRAME_BYTES = 1 << 20
_OPEN_TIMEOUT_S = 15.0
_TOO_OLD = "The server no longer has all posts since the last connection."
_SILENCE_S = 120.0
_V2_PATH = "/xrpc/network.bsky.jetstream.subscribeEvents"
_V2_PREFIX = "network.bsky.jetstream.subscribeEvents#"
_V2_PROTOCOL = Subprotocol("xrpc.v1.json")

Protocol = Literal["v1", "v2"]


class JetstreamSource:
    """The posts of one Jetstream server."""

    def __init__(self, url: str, *, protocol: Protocol = "v2", silence_s: float = _SILENCE_S) -> None:
        """`url` begins with wss:// or ws:// and has no path. The connection ends after `silence_s` without a message."""
        if not url.startswith(("ws://", "wss://")):
            raise BadInput("The address of a Jetstream server begins with wss://.", param="url")
        self._url, self._protocol, self._silence_s = url.rstrip("/"), protocol, silence_s

    def address(self, cursor: str) -> str:
        """The address that is connected to. Raises BadInput for what is no cursor of this protocol."""
        if cursor and not (cursor.isascii() and cursor.isdigit()):
            raise BadInput(f"{cursor[:40]!r} is no cursor of a Jetstream server.")
        if self._protocol == "v1":
            place = {"cursor": max(0, int(cursor) - REWIND_US)} if cursor else {}
            query_v1 = {"wantedCollections": COLLECTION, "maxMessageSizeBytes": MAX_FRAME_BYTES, **place}
            return f"{self._url}/subscribe?{urlencode(query_v1)}"
        query = [("collections", COLLECTION), ("kinds", "commit"), ("kinds", "account"), ("kinds", "identity")]
        query.append(("maxMessageSizeBytes", str(MAX_FRAME_BYTES)))  # a larger frame would end every connection again
        return f"{self._url}{_V2_PATH}?{urlencode([*query, *([('cursor', cursor)] if cursor else [])])}"

    async def read(self, cursor: str) -> AsyncGenerator[StreamItem, None]:
        """As `PostSource.read`."""
        decode = decode_v1 if self._protocol == "v1" else decode_v2
        protocols = [_V2_PROTOCOL] if self._protocol == "v2" else None
        try:
            async with connect(
                self.address(cursor),
                subprotocols=protocols,
                max_size=MAX_FRAME_BYTES,
                open_timeout=_OPEN_TIMEOUT_S,
                ping_timeout=self._silence_s,
                proxy=None,
            ) as connection:
                is_first = True
                async for frame in connection:
                    item = decode(frame)
                    if is_first and item.cursor:
                        is_first = False
                        # Version 1 moves a cursor that is too old without a word. Otherwise it repeats the message of the cursor.
                        if self._protocol == "v1" and cursor and int(item.cursor) > int(cursor):
                            item = replace(item, gap=_TOO_OLD)
                    yield item
        except InvalidStatus as error:
            status = error.response.status_code
            if b"CursorTooOld" in (error.response.body or b""):
                raise CursorTooOldError(_TOO_OLD) from None
            raise Unavailable(f"The server refused the connection with status {status}.") from None
        except (WebSocketException, InvalidHandshake, OSError, TimeoutError) as error:
            raise Unavailable(f"The connection failed: {type(error).__name__}.") from None


def decode_v1(frame: str | bytes) -> StreamItem:
    """One message of version 1."""
    message = _object(frame)
    time_us = message.get("time_us") if message else None
    if message is None or not isinstance(time_us, int) or not 0 < time_us < 1 << 53:
        return StreamItem(is_malformed=True)
    seen_utc = datetime.fromtimestamp(time_us / 1e6, UTC)
    kind = message.get("kind")
    inner = message.get(kind) if kind in ("commit", "account", "identity") else None
    return _item(str(kind), message.get("did"), inner, seen_utc, str(time_us))


def decode_v2(frame: str | bytes) -> StreamItem:
    """One message of version 2. Raises Unavailable for an error message, after which the server closes the connection."""
    message = _object(frame)
    if message is None or not isinstance(message.get("$type"), str):
        return StreamItem(is_malformed=True)
    if message["$type"] == "error":
        raise Unavailable(f"The server ended the stream: {clean_text(message.get('error'), 100)}.")
    payload = message.get("payload")
    if message["$type"] != "message":
        return StreamItem()  # of a later revision of the protocol
    if not isinstance(payload, dict) or not isinstance(payload.get("$type"), str):
        return StreamItem(is_malformed=True)
    kind = payload["$type"].removeprefix(_V2_PREFIX)
    if kind == "info" and payload.get("name") in ("OutdatedCursor", "FutureCursor"):
        return StreamItem(gap=_TOO_OLD)
    if kind not in ("commit", "account", "identity"):
        return StreamItem()
    sequence = payload.get("seq")
    if not isinstance(sequence, int) or not 0 < sequence < 1 << 63:
        return StreamItem(is_malformed=True)
    inner = payload if kind == "commit" else payload.get(kind)
    return _item(kind, payload.get("did"), inner, bounded_time(payload.get("time"), now_utc()), str(sequence))


def _item(kind: str, did: object, inner: object, seen_utc: datetime, cursor: str) -> StreamItem:
    if kind not in ("commit", "account", "identity"):
        return StreamItem(cursor=cursor)
    if not isinstance(inner, dict) or not isinstance(did, str) or not did.startswith("did:") or len(did) > MAX_NAME_CHARS:
        return StreamItem(cursor=cursor, is_malformed=True)
    if kind == "account":
        return StreamItem(event=AuthorDeleted(author=did) if inner.get("active") is False else None, cursor=cursor)
    if kind == "identity":
        name = clean_text(inner.get("handle"), MAX_NAME_CHARS)
        return StreamItem(event=AuthorRenamed(author=did, name=name) if name else None, cursor=cursor)
    if inner.get("collection") != COLLECTION:
        return StreamItem(cursor=cursor)
    event = _commit(did, inner, seen_utc)
    return StreamItem(event=event, cursor=cursor, is_malformed=event is None)


def _commit(did: str, commit: Mapping[str, Any], seen_utc: datetime) -> PostEvent | None:
    key, operation, record = commit.get("rkey"), commit.get("operation"), commit.get("record")
    if not isinstance(key, str) or not key or len(key) > MAX_NAME_CHARS:
        return None
    uri = f"at://{did}/{COLLECTION}/{key}"
    if operation == "delete":
        return PostDeleted(uri=uri)
    if operation not in ("create", "update") or not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return None
    languages = record.get("langs")
    parent = record.get("reply")
    parent = parent.get("parent") if isinstance(parent, dict) else None
    return Post(
        uri=uri,
        author=did,
        author_name="",
        text=clean_text(record["text"]),
        created_utc=bounded_time(record.get("createdAt"), seen_utc),
        url=f"https://bsky.app/profile/{did}/post/{key}",
        language=clean_text(languages[0], 20) if isinstance(languages, list) and languages else "",
        reply_to=clean_text(parent.get("uri"), MAX_URI_CHARS) if isinstance(parent, dict) else "",
    )


def _object(frame: str | bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
