"""Stored responses, rebuilt from their samples. Fields that samples do not keep are null.

A response is the sample of its answer. Only the person who created it reaches it, while the sample's text is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from uuid import UUID

from yearling.api.http.json_response import JsonObject
from yearling.api.openai.response_events import ResponseEventComposer
from yearling.api.services import Services
from yearling.chat import TokenUsage, TurnEvent, answer_message, client_messages, message_from_source
from yearling.clock import id_created_utc
from yearling.errors import NotFound
from yearling.records import Sample


async def load_response_sample(services: Services, person_id: str, response_id: str, *, param: str = "response_id") -> Sample:
    """Raises NotFound for an unknown response, another person's, or one whose text is not stored."""
    sample_id = _sample_id(response_id)
    try:
        if sample_id is None:
            raise NotFound("")
        sample = await asyncio.to_thread(services.store.samples.get, sample_id, person_id=person_id)
    except NotFound:
        raise NotFound(
            f"There is no response {response_id[:100]!r}.", advice="It may have been deleted, or never stored.", param=param
        ) from None
    if not sample.messages:
        message = f"The text of the response {response_id!r} is not stored."
        raise NotFound(message, advice="See the setting `retention`.", param=param)
    return sample


async def previous_messages(services: Services, person_id: str, response_id: str | None) -> list[JsonObject]:
    """The conversation up to a response, its answer included; empty without one. Raises NotFound."""
    if response_id is None:
        return []
    sample = await load_response_sample(services, person_id, response_id, param="previous_response_id")
    return [*client_messages(sample), await asyncio.to_thread(answer_message, sample)]


def created_at(sample_id: str) -> int:
    """Creation time in Unix seconds, from the ID: reading a stored response returns the same second."""
    return int(id_created_utc(sample_id).timestamp())


def tool_json(function: JsonObject) -> JsonObject:
    """A function as responses list it."""
    return {"type": "function", "description": None, "parameters": None, "strict": None, **function}


async def stored_response(sample: Sample, response_id: str) -> JsonObject:
    """The response of a sample."""
    composer, events = replay_response(sample, response_id)
    async for _ in composer.compose(events):
        pass
    return composer.response


def replay_response(sample: Sample, response_id: str) -> tuple[ResponseEventComposer, AsyncGenerator[TurnEvent, None]]:
    """A composer for the response of a sample, and the events of its turn: all text at once, then each call."""
    return ResponseEventComposer(_stored_base(sample, response_id)), _replayed_events(sample)


async def _replayed_events(sample: Sample) -> AsyncGenerator[TurnEvent, None]:
    message = await asyncio.to_thread(answer_message, sample)
    if message["content"]:
        yield TurnEvent(choice=0, text=message["content"])
    for index, call in enumerate(message.get("tool_calls", ())):
        yield TurnEvent(choice=0, tool_calls=({**call, "index": index},))
    usage = TokenUsage(sample.prompt_tokens, sample.completion_tokens)
    yield TurnEvent(choice=0, finish_reason=sample.finish_reason, usage=usage, sample_id=sample.id)


def _sample_id(response_id: str) -> str | None:
    try:
        return str(UUID(response_id.removeprefix("resp_")))
    except ValueError:
        return None


def _stored_base(sample: Sample, response_id: str) -> JsonObject:
    instructions = message_from_source(sample, "instructions")
    tool_offer = message_from_source(sample, "tools") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at(sample.id),
        "model": sample.model,
        "error": None,
        "incomplete_details": None,
        "instructions": instructions["content"] if instructions else None,
        "metadata": {},
        "parallel_tool_calls": tool_offer.get("parallel", True),
        "previous_response_id": None,
        "conversation": None,
        "store": True,
        "background": False,
        "temperature": sample.sampling.temperature,
        "top_p": sample.sampling.top_p,
        "top_logprobs": 0,
        "max_output_tokens": sample.sampling.max_tokens,
        "tool_choice": "auto",
        "tools": [tool_json(tool["function"]) for tool in tool_offer.get("tools", ())],
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": None, "summary": None},
        "truncation": "disabled",
    }
