"""Reconstructs the client's messages and the assistant's answer from a stored sample."""

from __future__ import annotations

from yearling.chat.json_types import MessageDict
from yearling.chat.lookup.answering import completed_text
from yearling.chat.output_parsing import output_parser_for
from yearling.chat.tools import FORCED_CALL_MARK, called_name, tool_call_id
from yearling.inference import PASSAGES_SOURCE
from yearling.records import Sample


def client_messages(sample: Sample) -> list[MessageDict]:
    """The messages that the client sent, without those that we added (they carry a `source`)."""
    return [message for message in sample.messages if "source" not in message]


def message_from_source(sample: Sample, source: str) -> MessageDict | None:
    """The first message with this `source` (`instructions`, `tools`, ...), None if there is none."""
    return next((message for message in sample.messages if message.get("source") == source), None)


def answer_message(sample: Sample) -> MessageDict:
    """The assistant's message as the client received it, with the same tool call ids."""
    offered = message_from_source(sample, "tools") or {}
    forced = FORCED_CALL_MARK in sample.grammar
    # An output that followed another schema is an answer, whatever its strings contain.
    tools = offered.get("tools", ()) if forced or not sample.grammar else ()
    parser = output_parser_for(
        tools, forced=forced, parallel=offered.get("parallel", True), called_name=called_name(sample.grammar)
    )
    outputs = [parser.push(sample.output_text), parser.flush()]
    calls = [
        {
            "id": tool_call_id(sample.id, index),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for index, call in enumerate(call for output in outputs for call in output.tool_calls)
    ]
    text = "".join(output.text for output in outputs)
    quoted = (message_from_source(sample, PASSAGES_SOURCE) or {}).get("quotes")
    message: MessageDict = {"role": "assistant", "content": completed_text(quoted, text) if quoted else text}
    return {**message, "tool_calls": calls} if calls else message
