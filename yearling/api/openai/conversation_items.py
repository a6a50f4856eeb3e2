"""The items of conversations of `/v1/conversations`, as they are stored, and as the messages that a model sees."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import TypeAdapter

from yearling.api.http.json_response import JsonObject
from yearling.api.openai import response_items as items
from yearling.api.openai.response_requests import input_messages
from yearling.api.openai.response_schemas import ConversationReference
from yearling.errors import NotFound
from yearling.store import MAX_CONVERSATION_ITEMS, Store, full_conversation_error

ID_PREFIX = "conv_"

_STORED_ITEMS: TypeAdapter[list[items.ConversationInputItem]] = TypeAdapter(list[items.ConversationInputItem])


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationThread:
    """The conversation that a response belongs to, and its messages so far. Without one, `id` is None and nothing is stored."""

    id: str | None
    store: Store
    person_id: str
    messages: Sequence[JsonObject] = field(default=())

    @classmethod
    async def load(cls, store: Store, person_id: str, conversation: str | ConversationReference | None) -> Self:
        """Raises NotFound for an unknown conversation, BadInput for one that is full."""
        if conversation is None:
            return cls(id=None, store=store, person_id=person_id)
        conversation_id = conversation if isinstance(conversation, str) else conversation.id

        def read() -> list[JsonObject]:
            page = store.api_conversations.list_items(record_id(conversation_id), person_id=person_id)
            if len(page.items) >= MAX_CONVERSATION_ITEMS:
                raise full_conversation_error()
            return input_messages(_STORED_ITEMS.validate_python(list(page.items)))

        return cls(id=conversation_id, store=store, person_id=person_id, messages=await asyncio.to_thread(read))

    async def append(self, input_items: Sequence[items.InputItem], output: Sequence[JsonObject]) -> None:
        """Add the input and the output of a response. Raises NotFound if the conversation was deleted meanwhile."""
        if self.id is None:
            return
        new_items = [*map(stored_item, input_items), *output]
        await asyncio.to_thread(self.store.api_conversations.add_items, record_id(self.id), new_items, person_id=self.person_id)


def record_id(conversation_id: str) -> str:
    """The ID under which a conversation is stored. Raises NotFound for what is no ID of a conversation."""
    try:
        return str(uuid.UUID(conversation_id.removeprefix(ID_PREFIX)))
    except ValueError:
        raise NotFound("There is no conversation with this ID.", param="conversation") from None


def stored_item(item: items.InputItem) -> JsonObject:
    """An item as conversations keep it: complete, with an ID of its own."""
    number = uuid.uuid4().hex
    if isinstance(item, items.InputFunctionCall):
        call = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
        return {"type": "function_call", "id": f"fc_{number}", **call, "status": "completed"}
    if isinstance(item, items.InputFunctionCallOutput):
        output = item.output if isinstance(item.output, str) else "".join(part.text for part in item.output)
        fields = {"call_id": item.call_id, "output": output, "status": "completed"}
        return {"type": "function_call_output", "id": f"fco_{number}", **fields}
    if isinstance(item, items.InputReasoning):
        summary, content = (value if isinstance(value, list) else [] for value in (item.summary, item.content))
        return {"type": "reasoning", "id": f"rs_{number}", "summary": summary, "content": content, "status": "completed"}
    if not isinstance(item, items.InputMessage):
        raise TypeError("references must be resolved before they are stored")
    parts = [items.InputText(type="text", text=item.content)] if isinstance(item.content, str) else item.content
    content_json = [_part_json(part, item.role) for part in parts]
    return {"type": "message", "id": f"msg_{number}", "role": item.role, "status": "completed", "content": content_json}


def _part_json(part: items.InputText | items.InputRefusal, role: str) -> dict[str, Any]:
    if isinstance(part, items.InputRefusal):
        return {"type": "refusal", "refusal": part.refusal}
    if role == "assistant":
        return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": part.text}
