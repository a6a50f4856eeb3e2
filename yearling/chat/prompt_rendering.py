"""Renders the messages of a request as the prompt that the model sees.

Messages have OpenAI's form with plain text as content. Messages that we add carry a `source`, which samples keep and templates
and engines never see. Knows chat templates and tokenizers by their protocols only, and nothing of engines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from yearling.chat.json_types import MessageDict, SchemaDict, ToolDict
from yearling.chat.reasoning_effort import THINK_CLOSE, THINK_OPEN
from yearling.chat.tools import TOOL_CALL_OPEN, describe_tools, tool_messages_as_text, with_object_arguments
from yearling.errors import Unsupported
from yearling.inference import ChatTemplateLike, ServedModel, TokenizerLike

_MODEL_MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")


class ChatPromptRenderer:
    """Renders prompts for one local model."""

    def __init__(self, served: ServedModel) -> None:
        """Raises Unsupported for a model without tokenizer or chat template."""
        if served.tokenizer is None or served.template is None:
            raise Unsupported(f"The model {served.name} has no chat template, so it cannot chat.", param="model")
        self.tokenizer: TokenizerLike = served.tokenizer
        self.template: ChatTemplateLike = served.template

    def render(
        self,
        messages: Sequence[MessageDict],
        *,
        tools: Sequence[ToolDict] = (),
        forced_tool: str | None = None,
        json_schema: SchemaDict | None = None,
        thinking: bool = False,
    ) -> tuple[int, ...]:
        """The token ids of the prompt.

        `forced_tool` names the function whose call is enforced; `*` stands for any of the tools. `thinking` leaves the prompt
        open inside the model's thinking section.
        """
        plain = messages_for_model(messages)
        involves_tools = bool(tools) or any(_involves_tools(message) for message in plain)
        template_has_tools = involves_tools and _template_writes_tool_calls(self.template)
        if template_has_tools:
            plain = with_object_arguments(plain)
        else:
            plain = tool_messages_as_text(plain)
            if tools:
                plain = append_to_system_message(
                    plain, describe_tools(tools, forced_tool=forced_tool if forced_tool != "*" else None)
                )
        if json_schema is not None:
            plain = append_to_system_message(plain, describe_schema(json_schema, beside_tools=bool(tools)))
        options: dict[str, Any] = {"enable_thinking": thinking} if self.template.supports_thinking else {}
        if template_has_tools and tools:
            options["tools"] = list(tools)
        ids = self.template.encode(self.tokenizer, plain, **options)
        is_thinking_open = self._ends_in_open_thinking(ids)
        if thinking and not is_thinking_open:
            ids = [*ids, *self.tokenizer.encode(f"{THINK_OPEN}\n", special=True)]
        elif is_thinking_open and not thinking:  # some templates open the section even if thinking is disabled
            ids = [*ids, *self._thinking_close_ids()]
        return (*ids, *self._tool_call_open_ids(forced_tool is not None))

    def render_after_thinking(self, ids: Sequence[int], thoughts: str, *, force_tool_call: bool) -> tuple[int, ...]:
        """The prompt `ids` of a thinking model, continued by its thoughts and the end of the thinking section."""
        return (*ids, *self.tokenizer.encode(thoughts), *self._thinking_close_ids(), *self._tool_call_open_ids(force_tool_call))

    def _thinking_close_ids(self) -> list[int]:
        return self.tokenizer.encode(f"\n{THINK_CLOSE}\n\n", special=True)

    def _tool_call_open_ids(self, force_tool_call: bool) -> list[int]:
        return self.tokenizer.encode(f"{TOOL_CALL_OPEN}\n", special=True) if force_tool_call else []

    def _ends_in_open_thinking(self, ids: Sequence[int]) -> bool:
        return self.template.supports_thinking and self.tokenizer.decode(list(ids[-8:]), skip_special=False).rstrip().endswith(
            THINK_OPEN
        )


def messages_for_model(messages: Sequence[MessageDict]) -> list[MessageDict]:
    """The messages with model keys only (no `source`), `developer` as `system`, and leading system messages joined into one."""
    plain = [{key: message[key] for key in _MODEL_MESSAGE_KEYS if message.get(key) is not None} for message in messages]
    for message in plain:
        message.setdefault("content", "")
        if message["role"] == "developer":
            message["role"] = "system"
    leading = 0
    while leading < len(plain) and plain[leading]["role"] == "system":
        leading += 1
    if leading < 2:
        return plain
    joined = "\n\n".join(message["content"] for message in plain[:leading])
    return [{"role": "system", "content": joined}, *plain[leading:]]


def append_to_system_message(messages: Sequence[MessageDict], text: str) -> list[MessageDict]:
    """The messages with `text` appended to the leading system message, which is added if there is none."""
    if messages and messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def describe_schema(schema: SchemaDict, *, beside_tools: bool = False) -> str:
    """The instruction that shows a schema to the model. The engine enforces it; a model that knows it answers better."""
    answer = "Unless you call a function, answer" if beside_tools else "Answer"
    if schema == {"type": "object"}:
        return f"{answer} with one JSON object and nothing else."
    return f"{answer} with JSON of this schema and nothing else:\n{json.dumps(schema, ensure_ascii=False)}"


def _involves_tools(message: MessageDict) -> bool:
    return message["role"] == "tool" or bool(message.get("tool_calls"))


def _template_writes_tool_calls(template: ChatTemplateLike) -> bool:
    """Whether the template itself describes tool calls in the form that we parse. Otherwise we describe it."""
    if not template.supports_tools:
        return False
    tool = {"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}}
    return TOOL_CALL_OPEN in template.render([{"role": "user", "content": "-"}], tools=[tool])
