"""Wire models of share links. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.conversations.schemas import RecordId
from yearling.api.feedback.schemas import OwnRating
from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.records import Role


class ShareRequest(StrictModel):
    """A link to one branch of a conversation as it is now. Later messages do not appear behind the link."""

    conversation: RecordId
    """ID of the conversation."""
    leaf: RecordId | None = None
    """ID of the last message to show. Default: the end of the branch in use."""


class ShareView(ResponseModel):
    """A share link."""

    object: Literal["share"]
    """Always `share`."""
    id: str
    """Secret of the link. Whoever has it can read the branch."""
    path: str
    """URL path of the page that shows the branch."""
    conversation: str
    """ID of the conversation."""
    leaf: str
    """ID of the last message that the link shows."""
    title: str
    """Title of the conversation."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""


class ShareList(ResponseModel):
    """The caller's share links, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[ShareView]
    """The links."""


class SharedMessage(ResponseModel):
    """A message behind a share link."""

    role: Role
    """Author of the message."""
    text: str
    """The text, in Markdown."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    model: str | None
    """Name of the model that wrote the message; null for questions and in open comparisons."""
    item: str | None
    """ID of the answer, to rate it with the link's secret as `share`; null unless the caller is signed in and may rate it."""
    rating: OwnRating | None
    """The caller's rating of the answer; null if none."""


class SharedView(ResponseModel):
    """The branch behind a share link. It does not reveal whose conversation it is."""

    object: Literal["shared"]
    """Always `shared`."""
    title: str
    """Title of the conversation."""
    created_utc: str
    """Creation time of the link, ISO 8601 in UTC."""
    messages: list[SharedMessage]
    """The questions and answers, oldest first."""
