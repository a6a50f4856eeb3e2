"""Messages to prompts, and outputs to messages: what lies between a conversation and the text of a model."""

from yearling.inference.messages.renderer import (
    PASSAGES_SOURCE,
    PromptRenderer,
    append_to_system_message,
    messages_for_model,
)
from yearling.inference.messages.strict_json import read_json
from yearling.inference.messages.thinking import (
    THINK_CLOSE,
    THINK_OPEN,
    SplitOutput,
    ThinkingSplitter,
    split_unopened_thinking,
)
from yearling.inference.messages.tool_calls import TOOL_CALL_CLOSE, TOOL_CALL_OPEN, CallBlock, ToolCallScanner, is_stray_delimiter
from yearling.inference.messages.tool_text import (
    describe_tools,
    format_tool_call,
    tool_messages_as_text,
    with_object_arguments,
)

__all__ = [
    "PASSAGES_SOURCE",
    "THINK_CLOSE",
    "THINK_OPEN",
    "TOOL_CALL_CLOSE",
    "TOOL_CALL_OPEN",
    "CallBlock",
    "PromptRenderer",
    "SplitOutput",
    "ThinkingSplitter",
    "ToolCallScanner",
    "append_to_system_message",
    "describe_tools",
    "format_tool_call",
    "is_stray_delimiter",
    "messages_for_model",
    "read_json",
    "split_unopened_thinking",
    "tool_messages_as_text",
    "with_object_arguments",
]
