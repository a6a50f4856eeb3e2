"""Wire models of `/v1/conversations`. Data only; `schemas.py` states the rules for request fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.openai.response_items import ConversationInputItem

MAX_ITEMS_PER_REQUEST = 100

ConversationMetadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
]
ConversationItems = Annotated[list[ConversationInputItem], Field(max_length=MAX_ITEMS_PER_REQUEST)]


class NewConversationRequest(StrictModel):
    """Body of `POST /v1/conversations`."""

    items: ConversationItems | None = None
    """The first items. Default: none."""
    metadata: ConversationMetadata | None = None
    """Up to 16 texts by name, returned as they are. Default: none."""


class ConversationUpdate(StrictModel):
    """Body of `POST /v1/conversations/{conversation_id}`."""

    metadata: ConversationMetadata | None
    """The new metadata, which replaces the old."""


class NewItemsRequest(StrictModel):
    """Body of `POST /v1/conversations/{conversation_id}/items`."""

    items: Annotated[list[ConversationInputItem], Field(min_length=1, max_length=MAX_ITEMS_PER_REQUEST)]
    """The items to append."""


class ConversationObject(ResponseModel):
    """A conversation that a client keeps here."""

    id: str
    """ID of the conversation."""
    object: Literal["conversation"]
    """Always `conversation`."""
    created_at: int
    """Creation time in Unix seconds."""
    metadata: dict[str, str]
    """The metadata."""


class DeletedConversation(ResponseModel):
    """Confirmation that a conversation was deleted."""

    id: str
    """ID of the deleted conversation."""
    object: Literal["conversation.deleted"]
    """Always `conversation.deleted`."""
    deleted: Literal[True]
    """Always true."""


class ConversationItem(ResponseModel):
    """An item of a conversation: a message, a function call, its output, or reasoning. `type` decides which fields it has."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"]
    """Kind of the item."""
    id: str
    """ID of the item."""
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    """State of the item."""
    role: Literal["user", "assistant", "system", "developer"] | None = None
    """`message`: its author."""
    content: list[dict[str, Any]] | None = None
    """`message`, `reasoning`: its parts."""
    call_id: str | None = None
    """`function_call`, `function_call_output`: ID of the call."""
    name: str | None = None
    """`function_call`: name of the function."""
    arguments: str | None = None
    """`function_call`: arguments as JSON text."""
    output: str | None = None
    """`function_call_output`: the output."""
    summary: list[Any] | None = None
    """`reasoning`: its summary."""


class ConversationItemList(ResponseModel):
    """A page of items."""

    object: Literal["list"]
    """Always `list`."""
    data: list[ConversationItem]
    """The items."""
    first_id: str | None
    """ID of the first item of the page; null for an empty page."""
    last_id: str | None
    """ID of the last item of the page, for the parameter `after`; null for an empty page."""
    has_more: bool
    """Whether further items follow."""
