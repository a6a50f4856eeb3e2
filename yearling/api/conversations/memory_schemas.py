"""Wire models of memories. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel


class MemoryRequest(StrictModel):
    """A new memory."""

    text: Annotated[str, Field(min_length=1, max_length=500)]
    """What to remember."""


class MemoryChange(StrictModel):
    """Changes to a memory. Absent fields stay as they are."""

    text: Annotated[str | None, Field(min_length=1, max_length=500)] = None
    """New text."""
    active: bool | None = None
    """Whether the assistant may use the memory."""


class MemoryView(ResponseModel):
    """Something that the assistant remembers about the person."""

    object: Literal["memory"]
    """Always `memory`."""
    id: str
    """ID of the memory."""
    text: str
    """What is remembered."""
    active: bool
    """Whether the assistant may use the memory."""
    origin: Literal["said", "added"]
    """`said`: extracted from a message. `added`: entered by the person."""
    edited: bool
    """Whether the person has reworded the memory."""
    conversation: str | None
    """ID of the conversation that the memory comes from; null if added or if the message was deleted."""
    message: str | None
    """ID of the message that the memory comes from; null if added or if the message was deleted."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    updated_utc: str
    """Time of the last change, ISO 8601 in UTC."""


class MemoryList(ResponseModel):
    """The caller's memories, newest first."""

    object: Literal["list"]
    """Always `list`."""
    on: bool
    """Whether memory is switched on in the settings."""
    data: list[MemoryView]
    """The memories."""
