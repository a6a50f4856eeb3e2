"""Wire models of the items that a request of `/v1/responses` or `/v1/conversations` contains. Data only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from yearling.api.http.schemas import StrictModel


class InputText(StrictModel):
    """A part of an input item: text."""

    type: Literal["input_text", "output_text", "text"]
    """The three types mean the same."""
    text: str
    """The text."""
    annotations: Any = None
    """Ignored. Clients send it back from earlier responses."""
    logprobs: Any = None
    """Ignored. Clients send it back from earlier responses."""


class InputRefusal(StrictModel):
    """A part of an earlier message of the assistant: a refusal."""

    type: Literal["refusal"]
    """Always `refusal`."""
    refusal: str
    """The text of the refusal."""


class InputMessage(StrictModel):
    """An input item: a message."""

    type: Literal["message"] = "message"
    """Always `message`."""
    role: Literal["user", "assistant", "system", "developer"]
    """Author of the message; `system` and `developer` mean the same."""
    content: str | Annotated[list[Annotated[InputText | InputRefusal, Field(discriminator="type")]], Field(min_length=1)]
    """The text, or its parts; parts are joined."""
    id: str | None = None
    """Ignored. Clients send it back from earlier responses."""
    status: str | None = None
    """Ignored. Clients send it back from earlier responses."""


class InputFunctionCall(StrictModel):
    """An input item: an earlier call of a function by the assistant."""

    type: Literal["function_call"]
    """Always `function_call`."""
    call_id: Annotated[str, Field(min_length=1)]
    """ID of the call. The item with its output carries the same ID."""
    name: str
    """Name of the function."""
    arguments: str
    """Arguments as JSON text."""
    id: str | None = None
    """Ignored. Clients send it back from earlier responses."""
    status: str | None = None
    """Ignored. Clients send it back from earlier responses."""


class InputFunctionCallOutput(StrictModel):
    """An input item: the output of a called function."""

    type: Literal["function_call_output"]
    """Always `function_call_output`."""
    call_id: Annotated[str, Field(min_length=1)]
    """ID of the call that this item answers."""
    output: str | list[InputText]
    """The output as text, or its parts; parts are joined."""
    id: str | None = None
    """Ignored. Clients send it back from earlier responses."""
    status: str | None = None
    """Ignored. Clients send it back from earlier responses."""


class InputReasoning(StrictModel):
    """An input item: earlier reasoning. It is accepted and ignored, since the model does not see its reasoning again."""

    type: Literal["reasoning"]
    """Always `reasoning`."""
    id: str | None = None
    """Ignored."""
    summary: Any = None
    """Ignored."""
    content: Any = None
    """Ignored."""
    encrypted_content: Any = None
    """Ignored."""
    status: str | None = None
    """Ignored."""


class InputItemReference(StrictModel):
    """An input item: an output item of an earlier response that is stored."""

    type: Literal["item_reference"] | None = "item_reference"
    """Always `item_reference`. May be absent."""
    id: Annotated[str, Field(min_length=1, max_length=100)]
    """ID of the output item."""


def _item_type(item: Any) -> str:
    if not isinstance(item, dict):
        return getattr(item, "type", "message")
    default = "item_reference" if item.keys() <= {"id", "type"} else "message"
    item_type = default if item.get("type") is None else item["type"]
    return item_type if isinstance(item_type, str) else ""


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputFunctionCall, Tag("function_call")]
    | Annotated[InputFunctionCallOutput, Tag("function_call_output")]
    | Annotated[InputReasoning, Tag("reasoning")]
    | Annotated[InputItemReference, Tag("item_reference")],
    Discriminator(_item_type),
]

ConversationInputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputFunctionCall, Tag("function_call")]
    | Annotated[InputFunctionCallOutput, Tag("function_call_output")]
    | Annotated[InputReasoning, Tag("reasoning")],
    Discriminator(_item_type),
]
"""An item that a conversation can hold."""
