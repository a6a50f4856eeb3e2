"""From a request of `/v1/responses` to the assistant's turn: its items, the items that they refer to, and its options."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from yearling.api.http.json_response import JsonObject
from yearling.api.openai import response_items as items
from yearling.api.openai import response_schemas as schemas
from yearling.api.openai.schemas import JsonObjectFormat
from yearling.api.openai.stored_responses import load_response_sample
from yearling.api.openai_files.ids import record_id
from yearling.api.services import Services
from yearling.chat import TurnRequest, answer_message
from yearling.errors import BadInput, NotFound
from yearling.store import SearchScope

MAX_REFERENCED_CHARS = 8 << 20
"""Characters of all items that the references of one request name, each counted as often as it is named."""

_OUTPUT_ITEM_ID = re.compile(r"(msg|fc|rs)_([0-9a-f]{32})([0-9]{1,4})")


def to_turn_request(body: schemas.ResponseRequest, messages: Sequence[JsonObject], request_id: str) -> TurnRequest:
    """The assistant's turn for a request. `messages` are those of the conversation before it and of its input.

    Raises BadInput without any message.
    """
    if not messages:
        raise BadInput("The input contains no message.", param="input")
    instructions = {"role": "system", "content": body.instructions, "source": "instructions"}
    sampling = {"temperature": body.temperature, "top_p": body.top_p, "max_tokens": body.max_output_tokens}
    return TurnRequest(
        request_id=request_id,
        messages=(*([instructions] if body.instructions is not None else []), *messages),
        model=body.model,
        sampling={name: value for name, value in sampling.items() if value is not None},
        logprobs=bool(body.top_logprobs) or "message.output_text.logprobs" in (body.include or ()),
        top_logprobs=body.top_logprobs or 0,
        json_schema=_requested_json_schema(body),
        strict=not _is_lenient(body),
        tools=tuple(_chat_tool(tool) for tool in body.tools or () if isinstance(tool, schemas.ResponseTool)),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        effort=body.reasoning.effort if body.reasoning else None,
        store=body.store is not False,
        corrections=body.corrections is not False,
    )


def wants_web_search(body: schemas.ResponseRequest) -> bool:
    """Whether the request has the tool `web_search`."""
    return any(isinstance(tool, schemas.WebSearchTool) for tool in body.tools or ())


def searched_files(body: schemas.ResponseRequest, person_id: str) -> SearchScope | None:
    """The vector stores that the tools `file_search` of a request name; None without any. Raises NotFound for what is no ID."""
    tools = [tool for tool in body.tools or () if isinstance(tool, schemas.FileSearchTool)]
    ids = frozenset(record_id("vs_", each) for tool in tools for each in tool.vector_store_ids)
    return SearchScope(person_id=person_id, with_everybody=False, file_collection_ids=ids) if tools else None


def input_messages(input_items: Sequence[items.InputItem]) -> list[JsonObject]:
    """Input items as chat messages. Consecutive function calls belong to one message. References must have been resolved."""
    messages: list[JsonObject] = []
    for item in input_items:
        if isinstance(item, items.InputMessage):
            messages.append({"role": item.role, "content": _join_text(item.content)})
        elif isinstance(item, items.InputFunctionCallOutput):
            messages.append({"role": "tool", "tool_call_id": item.call_id, "content": _join_text(item.output)})
        elif isinstance(item, items.InputFunctionCall):
            if not messages or messages[-1]["role"] != "assistant":
                messages.append({"role": "assistant", "content": ""})
            function = {"name": item.name, "arguments": item.arguments}
            call = {"id": item.call_id, "type": "function", "function": function}
            messages[-1].setdefault("tool_calls", []).append(call)
    return messages


async def resolve_input(
    services: Services, person_id: str, request_input: str | Sequence[items.InputItem]
) -> list[items.InputItem]:
    """The items of an input: a text is one message of the user, and references become the items that they name.

    Raises NotFound for an item that is not stored, BadInput above `MAX_REFERENCED_CHARS`.
    """
    if isinstance(request_input, str):
        return [items.InputMessage(role="user", content=request_input)]
    messages: dict[str, JsonObject] = {}
    num_referenced_chars = 0
    resolved: list[items.InputItem] = []
    for index, item in enumerate(request_input):
        if not isinstance(item, items.InputItemReference):
            resolved.append(item)
            continue
        param = f"input[{index}].id"
        match = _OUTPUT_ITEM_ID.fullmatch(item.id)
        if match is None:
            raise _unknown_item(item.id, param)
        kind, response_id, number = match[1], match[2], int(match[3])
        if response_id not in messages:
            sample = await load_response_sample(services, person_id, response_id, param=param)
            messages[response_id] = await asyncio.to_thread(answer_message, sample)
        found = _output_item(messages[response_id], kind, number)
        if found is None:
            raise _unknown_item(item.id, param)
        num_referenced_chars += _num_chars(found)
        if num_referenced_chars > MAX_REFERENCED_CHARS:
            raise BadInput(f"The referenced items have more than {MAX_REFERENCED_CHARS} characters.", param="input")
        resolved.append(found)
    return resolved


def _output_item(message: JsonObject, kind: str, number: int) -> items.InputItem | None:
    """The item of an answer, in the form of an input item; None if the answer has no such item."""
    if kind == "rs":  # the model does not see its reasoning again
        return items.InputReasoning(type="reasoning")
    if kind == "msg":
        text = message["content"] if number == 0 else ""
        return items.InputMessage(role="assistant", content=text) if text else None
    calls = message.get("tool_calls", [])
    if number >= len(calls):
        return None
    call = calls[number]
    function = call["function"]
    return items.InputFunctionCall(
        type="function_call", call_id=call["id"], name=function["name"], arguments=function["arguments"]
    )


def _num_chars(item: items.InputItem) -> int:
    if isinstance(item, items.InputFunctionCall):
        return len(item.name) + len(item.arguments)
    return len(_join_text(item.content)) if isinstance(item, items.InputMessage) else 0


def _unknown_item(item_id: str, param: str) -> NotFound:
    return NotFound(
        f"There is no output item {item_id!r}.",
        advice="Send the item itself instead of a reference, as clients do with store: false.",
        param=param,
    )


def _join_text(content: str | Sequence[items.InputText | items.InputRefusal]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.refusal if isinstance(part, items.InputRefusal) else part.text for part in content)


def _chat_tool(tool: schemas.ResponseTool) -> JsonObject:
    return {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}


def _tool_choice(body: schemas.ResponseRequest) -> str:
    choice = body.tool_choice
    if choice == "required" and not any(isinstance(tool, schemas.ResponseTool) for tool in body.tools or ()) and body.tools:
        return "auto"  # what the server looks up itself is looked up in any case
    return f"function:{choice.name}" if isinstance(choice, schemas.NamedResponseToolChoice) else choice or "auto"


def _requested_json_schema(body: schemas.ResponseRequest) -> JsonObject | None:
    text_format = body.text.format if body.text else None
    if isinstance(text_format, schemas.ResponseJsonSchema):
        return text_format.json_schema
    return {"type": "object"} if isinstance(text_format, JsonObjectFormat) else None


def _is_lenient(body: schemas.ResponseRequest) -> bool:
    text_format = body.text.format if body.text else None
    return isinstance(text_format, schemas.ResponseJsonSchema) and text_format.strict is False
