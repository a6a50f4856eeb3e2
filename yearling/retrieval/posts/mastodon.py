"""Posts of a Mastodon server, from its streaming API over Server-Sent Events: `update`, `status.update` and `delete`.

The stream has no cursor: what was posted while the connection was down is fetched from the public timeline, whose ids grow.
Specification: docs.joinmastodon.org, "streaming API methods" and "timelines".
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx

from yearling.clock import now_utc
from yearling.errors import BadInput, Unavailable
from yearling.retrieval.html_text import html_to_text
from yearling.retrieval.posts.events import (
    MAX_NAME_CHARS,
    CursorTooOldError,
    Post,
    PostDeleted,
    StreamItem,
    bounded_time,
    clean_text,
    clean_url,
)

MAX_EVENT_BYTES = 1 << 20
MAX_MISSED = 400
"""Posts that are fetched after the connection was down. If there are more, people are told that some are missing."""
_PAGE = 40
_TIMEOUT = httpx.Timeout(15.0, read=120.0)


class MastodonSource:
    """The public posts of one Mastodon server, or those with a hashtag."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        hashtag: str = "",
        local: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput("The address of a Mastodon server begins with https://.", param="url")
        self._url, self._hashtag, self._local, self._transport = url.rstrip("/"), hashtag, local, transport
        self._headers = {"accept": "text/event-stream"} | ({"authorization": f"Bearer {token}"} if token else {})

    async def read(self, cursor: str) -> AsyncGenerator[StreamItem, None]:
        """As `PostSource.read`. A cursor is the id of the newest post."""
        if cursor and not (cursor.isascii() and cursor.isdigit()):
            raise BadInput(f"{cursor[:40]!r} is no cursor of a Mastodon server.")
        try:
            async with (
                httpx.AsyncClient(transport=self._transport, headers=self._headers, timeout=_TIMEOUT, trust_env=False) as client,
                client.stream("GET", self._stream_url()) as response,
            ):
                if response.status_code != 200:
                    raise Unavailable(f"The server refused the connection with status {response.status_code}.")
                # The stream is open before the gap is filled: nothing falls in between, and what comes twice is one post.
                if cursor:
                    async for item in self._missed(client, cursor):
                        yield item
                async for name, data in _events(response):
                    yield self._decode(name, data)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise Unavailable(f"The connection failed: {type(error).__name__}.") from None

    def _stream_url(self) -> str:
        if self._hashtag:
            return f"{self._url}/api/v1/streaming/hashtag?{urlencode({'tag': self._hashtag})}"
        return f"{self._url}/api/v1/streaming/public{'/local' if self._local else ''}"

    async def _missed(self, client: httpx.AsyncClient, cursor: str) -> AsyncIterator[StreamItem]:
        """The posts after the cursor, oldest first. Raises CursorTooOldError after them if there were more."""
        path = f"tag/{self._hashtag}" if self._hashtag else "public"
        count = 0
        while count < MAX_MISSED:
            query = {"min_id": cursor, "limit": _PAGE, "local": str(self._local).lower()}
            address = f"{self._url}/api/v1/timelines/{path}?{urlencode(query)}"
            response = await client.get(address, headers={"accept": "application/json"})
            if response.status_code != 200:
                raise CursorTooOldError(f"The server does not give the posts since the last connection ({response.status_code}).")
            statuses = _json(response.content)
            if not isinstance(statuses, list) or not statuses:
                return
            for status in reversed(statuses):
                item = self._status(status)
                cursor = item.cursor or cursor
                yield item
            count += len(statuses)
            if len(statuses) < _PAGE:
                return
        raise CursorTooOldError(f"More than {MAX_MISSED} posts came since the last connection; the oldest of them were read.")

    def _decode(self, name: str, data: str) -> StreamItem:
        if name == "delete":
            is_id = data.isascii() and data.isdigit() and len(data) <= 40
            return StreamItem(event=PostDeleted(uri=self._uri(data)) if is_id else None, is_malformed=not is_id)
        return self._status(_json(data)) if name in ("update", "status.update") else StreamItem()

    def _uri(self, status_id: str) -> str:
        """The name of a post on this server: the stream names deleted posts by their ids here, wherever they come from."""
        return f"{self._url}/statuses/{status_id}"

    def _status(self, status: Any) -> StreamItem:
        if not isinstance(status, dict):
            return StreamItem(is_malformed=True)
        status_id, account = status.get("id"), status.get("account")
        is_id = isinstance(status_id, str) and status_id.isascii() and status_id.isdigit() and len(status_id) <= 40
        if not is_id or not isinstance(account, dict) or not isinstance(status.get("content"), str):
            return StreamItem(is_malformed=True)
        if status.get("reblog") is not None or status.get("visibility", "public") not in ("public", "unlisted"):
            return StreamItem(cursor=str(status_id))
        reply = status.get("in_reply_to_id")
        post = Post(
            uri=self._uri(str(status_id)),
            author=clean_text(account.get("url") or account.get("acct"), MAX_NAME_CHARS),
            author_name=clean_text(account.get("display_name") or account.get("acct"), MAX_NAME_CHARS),
            text=clean_text(html_to_text(status["content"])),
            created_utc=bounded_time(status.get("created_at"), now_utc()),
            url=clean_url(status.get("url")),
            language=clean_text(status.get("language"), 20),
            reply_to=self._uri(reply) if isinstance(reply, str) and reply.isdigit() and len(reply) <= 40 else "",
        )
        return StreamItem(event=post, cursor=str(status_id))


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """The events (name, data) of a stream. Raises Unavailable for one that is too long."""
    name, size = "", 0
    data: list[str] = []
    async for line in _lines(response):
        size += len(line)
        if size > MAX_EVENT_BYTES:
            raise Unavailable("The server sent an event that is too long.")
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if name and data:
                yield name, "\n".join(data)
            name, size, data = "", 0, []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """The lines of a response. Only LF and CRLF end one: JSON may contain the other line ends of Unicode."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise Unavailable("The server sent a line that is too long.")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
