"""From a stored sample back to the conversation that it was a turn of."""

from __future__ import annotations

from typing import Any

from yearling.chat.output_parsing import output_parser_for
from yearling.chat.tools import FORCED_CALL_MARK, tool_call_id
from yearling.records import Sample


def client_messages(sample: Sample) -> list[dict[str, Any]]:
    """What the client sent, without instructions for one turn only and without what we added."""
    return [message for message in sample.messages if "source" not in message]


def message_from_source(sample: Sample, source: str) -> dict[str, Any] | None:
    """The message that came from `source` (`instructions`, `tools`), if there is one."""
    return next((message for message in sample.messages if message.get("source") == source), None)


def answer_message(sample: Sample) -> dict[str, Any]:
    """The assistant's message as its client got it, with the same tool call ids."""
    offer = message_from_source(sample, "tools") or {}
    forced = FORCED_CALL_MARK in sample.grammar
    shaper = output_parser_for(offer.get("tools", ()), forced=forced, parallel=offer.get("parallel", True))
    shaped = [shaper.push(sample.output_text), shaper.flush()]
    calls = [
        {
            "id": tool_call_id(sample.id, index),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(call for one in shaped for call in one.tool_calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(one.text for one in shaped)}
    return {**message, "tool_calls": calls} if calls else message
