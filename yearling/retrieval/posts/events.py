"""What happens in a stream of posts, whatever network it comes from.

A post is known by its URI, so that a stream may repeat or reorder itself. Times of the author are not trusted: a post is never
newer than the moment at which the network or this program saw it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from yearling.errors import Unavailable
from yearling.unicode_repair import mend_surrogates

MAX_POST_CHARS = 10_000
MAX_NAME_CHARS = 200
MAX_URI_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A post as its author wrote it. Saving a post whose URI is known replaces its text: it was edited."""

    uri: str
    """The name of the post in its network, unique in the world."""
    author: str
    """The id of the author, which stays the same when the name changes."""
    author_name: str
    text: str
    created_utc: datetime
    url: str
    """Where people can open it; empty if nowhere."""
    language: str = ""
    reply_to: str = ""
    """The URI of the post that it answers; empty if none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDeleted:
    """A post is gone, whether it was seen before or not."""

    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorDeleted:
    """An account is gone or closed, and so are all its posts."""

    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorRenamed:
    """An author has another name."""

    author: str
    name: str


PostEvent: TypeAlias = Post | PostDeleted | AuthorDeleted | AuthorRenamed


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamItem:
    """One message of a stream. `event` is None for a message that says nothing about a post."""

    event: PostEvent | None = None
    cursor: str = ""
    """Where to go on after this message; empty if the stream does not say."""
    gap: str = ""
    """Why posts before this message are missing, in a sentence; empty if none are."""
    is_malformed: bool = False
    """Whether the message cannot be read. It is counted and skipped."""


class CursorTooOldError(Unavailable):
    """The stream no longer has what came after the cursor: what is in between is missing, and people are told."""


class PostSource(Protocol):
    """One stream or feed."""

    def read(self, cursor: str) -> AsyncGenerator[StreamItem, None]:
        """The messages after `cursor`, and those that follow, until the connection ends; from now on if it is empty.

        Raises Unavailable if the connection fails, CursorTooOldError if the stream cannot go on from there.
        """
        ...


def bounded_time(stated: object, seen_utc: datetime) -> datetime:
    """The time that an author states in ISO 8601, unless it is missing, unreadable or later than the post was seen."""
    try:
        time = datetime.fromisoformat(str(stated)[:40])
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return seen_utc
    return min(time, seen_utc) if time.year >= 2000 else seen_utc


def clean_text(text: object, limit: int = MAX_POST_CHARS) -> str:
    """Text of limited length without halves of surrogate pairs and NUL, which no database takes; empty for anything else."""
    if not isinstance(text, str):
        return ""
    return mend_surrogates(text[:limit]).replace("\x00", "").strip()


def clean_url(url: object) -> str:
    """The address of a web page; empty for anything else."""
    text = clean_text(url, MAX_URI_CHARS)
    return text if text.startswith(("https://", "http://")) else ""
