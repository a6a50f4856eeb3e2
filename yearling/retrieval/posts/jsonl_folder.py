"""Posts from files that another program writes: one JSON object a line, appended to files `*.jsonl` of one folder at any time.

    {"uri": "…", "author": "…", "text": "…", "created": "2026-12-01T10:00:00Z", "author_name": "…", "url": "…", "language": "en",
     "reply_to": "…"}
    {"uri": "…", "deleted": true}

`uri` and `text` are needed. A later line with the same `uri` replaces the post.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from yearling.clock import now_utc
from yearling.errors import BadInput, Unavailable
from yearling.retrieval.posts.events import (
    MAX_NAME_CHARS,
    MAX_URI_CHARS,
    Post,
    PostDeleted,
    StreamItem,
    bounded_time,
    clean_text,
    clean_url,
)

MAX_LINE_BYTES = 1 << 20
MAX_FILES = 10_000
_LINES_AT_ONCE = 500
_POLL_S = 0.2


class JsonlFolderSource:
    """The files of one folder. A cursor is the JSON object of how many bytes of each file were read."""

    def __init__(self, folder: Path, *, poll_s: float = _POLL_S) -> None:
        self._folder, self._poll_s = folder, poll_s

    async def read(self, cursor: str) -> AsyncGenerator[StreamItem, None]:
        """As `PostSource.read`; goes on for ever."""
        offsets = _read_cursor(cursor)
        while True:
            items = await asyncio.to_thread(self._read_more, offsets)
            for item in items:
                yield item
            if not items:
                await asyncio.sleep(self._poll_s)

    def _read_more(self, offsets: dict[str, int]) -> list[StreamItem]:
        """The next lines of all files; moves `offsets` on. The cursor stands on the last item. Raises Unavailable."""
        items: list[StreamItem] = []
        try:
            files = sorted(self._folder.glob("*.jsonl"))[:MAX_FILES]
            for path in files:
                offset = offsets.get(path.name, 0)
                size = path.stat().st_size
                if size < offset:
                    offset = 0  # another file has this name now
                if size > offset:
                    offsets[path.name] = self._read_file(path, offset, items)
                if len(items) >= _LINES_AT_ONCE:
                    break
        except OSError as error:
            raise Unavailable(f"The folder cannot be read: {error.strerror}.") from None
        if items:
            last = items[-1]
            items[-1] = StreamItem(event=last.event, is_malformed=last.is_malformed, cursor=json.dumps(offsets, sort_keys=True))
        return items

    def _read_file(self, path: Path, offset: int, items: list[StreamItem]) -> int:
        """Read whole lines from `offset` on. Returns the offset after them."""
        with path.open("rb") as file:
            file.seek(offset)
            while len(items) < _LINES_AT_ONCE:
                line = file.readline(MAX_LINE_BYTES)
                if not line.endswith(b"\n"):
                    if len(line) < MAX_LINE_BYTES:
                        break  # its writer has not finished it
                    while line and not line.endswith(b"\n"):  # longer than a line may be: skip the rest of it
                        line = file.readline(MAX_LINE_BYTES)
                    items.append(StreamItem(is_malformed=True))
                else:
                    items.append(read_line(line))
                offset = file.tell()
        return offset


def read_line(line: bytes) -> StreamItem:
    """One line as a message."""
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError):
        return StreamItem(is_malformed=bool(line.strip()))
    uri = clean_text(values.get("uri"), MAX_URI_CHARS) if isinstance(values, dict) else ""
    if not uri:
        return StreamItem(is_malformed=True)
    if values.get("deleted") is True:
        return StreamItem(event=PostDeleted(uri=uri))
    text = clean_text(values.get("text"))
    if not text:
        return StreamItem(is_malformed=True)
    author = clean_text(values.get("author"), MAX_NAME_CHARS)
    post = Post(
        uri=uri,
        author=author,
        author_name=clean_text(values.get("author_name"), MAX_NAME_CHARS) or author,
        text=text,
        created_utc=bounded_time(values.get("created"), now_utc()),
        url=clean_url(values.get("url")),
        language=clean_text(values.get("language"), 20),
        reply_to=clean_text(values.get("reply_to"), MAX_URI_CHARS),
    )
    return StreamItem(event=post)


def _read_cursor(cursor: str) -> dict[str, int]:
    try:
        values = json.loads(cursor) if cursor else {}
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, int) and value >= 0 for value in values.values()):
        raise BadInput(f"{cursor[:40]!r} is no cursor of a folder.")
    return values
