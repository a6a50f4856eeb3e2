"""The one renderer of prompts: chat, training, exams and rollouts all use it, so a model is trained and examined on exactly the
prompts that it is served.

Around the model's chat template it decides what the template leaves open: how a conversation that the template does not take is
changed (`shapes.py`), whether tools are the template's work or text (`tool_text.py`), and that the thinking section of a thinking
model is open or closed as the caller wants. Messages have OpenAI's form with plain text as content. Knows chat templates and
tokenizers by their protocols only, and nothing of engines. Call `encode` from a worker thread: templates are untrusted programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary, ref

from yearling.errors import BadInput, Unsupported
from yearling.inference.messages.channels import FINAL_CHANNEL
from yearling.inference.messages.shapes import ConversationShapes
from yearling.inference.messages.thinking import THINK_CLOSE, THINK_OPEN
from yearling.inference.messages.tool_calls import TOOL_CALL_DELIMITERS, parse_tool_calls
from yearling.inference.messages.tool_text import (
    CallIds,
    describe_tools,
    format_tool_call,
    tool_messages_as_text,
    with_call_ids,
    with_object_arguments,
)
from yearling.inference.served_model import ChatTemplateLike, ServedModel, TokenizerLike

PASSAGES_SOURCE = "passages"
"""The `source` of a message that holds what was looked up for the question behind it."""
_MODEL_MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content")
_OPENS = "|".join(re.escape(delimiters.open) for delimiters in TOOL_CALL_DELIMITERS)
_JSON_CALL = re.compile(rf"(?P<opening>(?:{_OPENS})[\s\[]*)\{{")
_PROBE_NAME = "probe_function"
_PROBE_JSON = re.compile(r'\{\s*"text"')
_PROBE_ARGUMENTS = {"text": 'a "b" <c>', "count": 2}
_PROBE_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "probe_function",
        "description": "A probe.",
        "parameters": {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "A text."},
                "count": {"type": "integer", "description": "A number."},
            },
            "required": ["text"],
        },
    },
}


class TemplateCapabilities:
    """What is found out about one chat template by rendering probes. Kept as long as the template."""

    def __init__(self, template: ChatTemplateLike) -> None:
        self._template_ref = ref(template)
        self.shapes = ConversationShapes(self._render)
        self._renders_tools: bool | None = None
        self._no_tools: tuple[Sequence[dict[str, Any]] | None] | None = None

    @property
    def _template(self) -> ChatTemplateLike:
        template = self._template_ref()
        if template is None:
            raise RuntimeError("the template is gone")
        return template

    @property
    def renders_tools(self) -> bool:
        """Whether the template describes tools, and writes calls in a form that `tool_calls.py` reads back unchanged."""
        if self._renders_tools is None:
            self._renders_tools = self._template.supports_tools and self._calls_round_trip()
        return self._renders_tools

    @cached_property
    def call_opening(self) -> str:
        """What the template writes between the beginning of an answer and a call as a JSON object, which a forced call is; empty
        if it writes calls in another form.
        """
        found = _JSON_CALL.search(self._rendered_call() if self.renders_tools else format_tool_call("f", "{}"))
        return found["opening"] if found else ""

    @property
    def names_forced_calls(self) -> bool:
        """Whether the prompt of a forced call names its function, because the template writes arguments in JSON behind a name."""
        return bool(self._named_call_opening)

    def named_call_opening(self, name: str) -> str:
        """What the template writes between the beginning of an answer and the arguments of a call of this function."""
        return self._named_call_opening.replace(_PROBE_NAME, name)

    @cached_property
    def _named_call_opening(self) -> str:
        if not self.renders_tools or self.call_opening:
            return ""
        options = _thinking_options(self._template, thinking=False)
        prompt = self._template.render([{"role": "user", "content": "Qzw"}], tools=[_PROBE_TOOL], **options).rpartition("Qzw")[2]
        rendered = self._rendered_call()
        arguments = _PROBE_JSON.search(rendered)
        if arguments is None:
            return ""
        written = rendered[: arguments.start()]
        begin = max((written.rfind(delimiters.open) for delimiters in TOOL_CALL_DELIMITERS), default=-1)
        opening = written[len(prompt) :] if written.startswith(prompt) and begin < len(prompt) else written[max(begin, 0) :]
        return opening if _PROBE_NAME in opening else ""

    @cached_property
    def answer_opening(self) -> str:
        """The header of the answer's channel, which models write themselves; empty without channels."""
        try:
            rendered = self._render([{"role": "user", "content": "Qzw"}, {"role": "assistant", "content": "Qza"}], tools=None)
        except BadInput:
            return ""
        return FINAL_CHANNEL if f"{FINAL_CHANNEL}Qza" in rendered else ""

    @cached_property
    def call_ids(self) -> CallIds:
        """The ids of calls that the model was trained on: Mistral's have nine letters and digits, Kimi's name the function."""
        rendered = self._rendered_call() if self.renders_tools else ""
        return "function" if f"functions.{_PROBE_NAME}:0<" in rendered else "short"

    @property
    def no_tools(self) -> Sequence[dict[str, Any]] | None:
        """What stands for the absence of tools: None, as in transformers, unless the template fails on it."""
        if self._no_tools is None:
            self._no_tools = (None,) if self._accepts(None) or not self._accepts(()) else ((),)
        return self._no_tools[0]

    def _accepts(self, no_tools: Sequence[dict[str, Any]] | None) -> bool:
        options = _thinking_options(self._template, thinking=False)
        try:
            self._template.render([{"role": "user", "content": "Qzw"}], tools=no_tools, **options)
        except BadInput:
            return False
        return True

    def _render(self, messages: Sequence[dict[str, Any]], *, tools: Sequence[dict[str, Any]] | None) -> str:
        offered = list(tools) if tools else self.no_tools
        return self._template.render(messages, tools=offered, **_thinking_options(self._template, thinking=False))

    def _calls_round_trip(self) -> bool:
        try:
            offer = self._render([{"role": "user", "content": "Qzw"}], tools=[_PROBE_TOOL])
            [call] = parse_tool_calls(self._rendered_call())
        except (BadInput, ValueError):
            return False
        read = call.typed_arguments(_PROBE_TOOL["function"]["parameters"])
        return "probe_function" in offer and call.name == "probe_function" and read == _PROBE_ARGUMENTS

    def _rendered_call(self) -> str:
        """What the template writes after a question that was answered by a call."""
        call = {"id": "call00000", "type": "function", "function": {"name": "probe_function", "arguments": _PROBE_ARGUMENTS}}
        messages: list[dict[str, Any]] = [
            {"role": "user", "content": "Qzw"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ]
        rendered = self._template.render(
            messages, tools=[_PROBE_TOOL], add_generation_prompt=False, **_thinking_options(self._template, thinking=False)
        )
        return rendered.rpartition("Qzw")[2]


_capabilities: WeakKeyDictionary[ChatTemplateLike, TemplateCapabilities] = WeakKeyDictionary()


def probe_template(template: ChatTemplateLike) -> TemplateCapabilities:
    """What is known about a template; found out once for as long as the template exists."""
    capabilities = _capabilities.get(template)
    if capabilities is None:
        capabilities = _capabilities.setdefault(template, TemplateCapabilities(template))
    return capabilities


class PromptRenderer:
    """Renders the prompts of one model with a chat template."""

    def __init__(self, tokenizer: TokenizerLike, template: ChatTemplateLike) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.capabilities = probe_template(template)

    @classmethod
    def for_model(cls, served: ServedModel) -> PromptRenderer:
        """The renderer of a served model. Raises Unsupported for a model without tokenizer or chat template."""
        if served.tokenizer is None or served.template is None:
            raise Unsupported(f"The model {served.name} has no chat template, so it cannot chat.", param="model")
        return cls(served.tokenizer, served.template)

    def encode(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[dict[str, Any]] = (),
        forced_tool: str | None = None,
        instructions: Sequence[str] = (),
        thinking: bool = False,
        opens_answer: bool = False,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """The token ids of the prompt.

        `forced_tool` names the function whose call is enforced; `*` stands for any of the tools. `instructions` join the system
        message. `thinking` leaves the prompt open inside the model's thinking section; otherwise it is closed. With
        `opens_answer`, the output is the answer from its first character on, as a grammar needs it. Without
        `add_generation_prompt`, the ids end with the last message. Raises BadInput if the template takes no form of the messages.
        """
        plain = messages_for_model(messages)
        renders_tools = (bool(tools) or any(map(_involves_tools, plain))) and self.capabilities.renders_tools
        if renders_tools:
            plain = with_call_ids(with_object_arguments(plain), self.capabilities.call_ids)
        else:
            plain = tool_messages_as_text(plain)
            if tools:
                description = describe_tools(tools, forced_tool=forced_tool if forced_tool != "*" else None)
                plain = append_to_system_message(plain, description)
        for instruction in instructions:
            plain = append_to_system_message(plain, instruction)
        offered = list(tools) if renders_tools and tools else self.capabilities.no_tools
        rewritten = self.capabilities.shapes.rewrite(plain, with_tools=bool(offered))
        options = _thinking_options(self.template, thinking=thinking)
        ids = self.template.encode(
            self.tokenizer, rewritten, tools=offered, add_generation_prompt=add_generation_prompt, **options
        )
        if not add_generation_prompt:
            return ids
        is_thinking_open = self._ends_in_open_thinking(ids)
        if thinking and not is_thinking_open:
            ids = [*ids, *self.tokenizer.encode(f"{THINK_OPEN}\n", special=True)]
        elif is_thinking_open and not thinking:  # some templates open the section even if thinking is disabled
            ids = [*ids, *self._thinking_close_ids()]
        if opens_answer and not thinking:
            ids = [*ids, *self.tokenizer.encode(self.capabilities.answer_opening, special=True)]
        return [*ids, *self._tool_call_open_ids(forced_tool)]

    def encode_after_thinking(self, ids: Sequence[int], thoughts: str, *, forced_tool: str | None) -> list[int]:
        """The prompt `ids` of a thinking model, continued by its thoughts and the end of the thinking section."""
        return [*ids, *self.tokenizer.encode(thoughts), *self._thinking_close_ids(), *self._tool_call_open_ids(forced_tool)]

    def encode_turn_end(self) -> list[int]:
        """What follows an answer when the conversation ends with it; begins with the token that ends the answer, if any does."""
        question = {"role": "user", "content": "a"}
        return self._after_answer([question], [])

    def encode_reply(self, messages: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> list[int]:
        """What follows an answer to `messages` when a reply to it comes: the end of the answer, the reply, and the opening of the
        next answer. The answer itself is not encoded, so that sampled ids can stand in its place.

        Raises BadInput if the template cannot render a reply.
        """
        return self._after_answer(messages, [reply])

    def _after_answer(self, messages: Sequence[Mapping[str, Any]], replies: Sequence[Mapping[str, Any]]) -> list[int]:
        """What is the same behind two different answers."""
        first, second = (
            self.encode([*messages, {"role": "assistant", "content": text}, *replies], add_generation_prompt=bool(replies))
            for text in ("b", "7")
        )
        length = 0
        while length < min(len(first), len(second)) and first[-1 - length] == second[-1 - length]:
            length += 1
        return first[len(first) - length :]

    def _thinking_close_ids(self) -> list[int]:
        return self.tokenizer.encode(f"\n{THINK_CLOSE}\n\n", special=True)

    def _tool_call_open_ids(self, forced_tool: str | None) -> list[int]:
        if forced_tool is None:
            return []
        opening = self.capabilities.call_opening if forced_tool == "*" else self.capabilities.named_call_opening(forced_tool)
        return self.tokenizer.encode(opening or self.capabilities.call_opening, special=True)

    def _ends_in_open_thinking(self, ids: Sequence[int]) -> bool:
        return self.template.supports_thinking and self.tokenizer.decode(list(ids[-8:]), skip_special=False).rstrip().endswith(
            THINK_OPEN
        )


def messages_for_model(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages with model keys only (no `source`), `developer` as `system`, and leading system messages joined into one.

    Passages stand in front of the question that they were looked up for, in one message: templates may demand that people and
    assistant alternate.
    """
    plain = [
        {key: message[key] for key in _MODEL_MESSAGE_KEYS if message.get(key) is not None}
        for message in _with_joined_passages(messages)
    ]
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


def _with_joined_passages(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    passages = ""
    for message in messages:
        if message.get("source") == PASSAGES_SOURCE:
            passages += f"{message['content']}\n\n"
        elif passages:
            yield {**message, "content": passages + message["content"]}
            passages = ""
        else:
            yield message


def append_to_system_message(messages: Sequence[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """The messages with `text` appended to the leading system message, which is added if there is none."""
    if messages and messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _thinking_options(template: ChatTemplateLike, *, thinking: bool) -> dict[str, bool]:
    """The variables by which templates switch thinking: `enable_thinking` in most, `thinking` in those of DeepSeek."""
    return {"enable_thinking": thinking, "thinking": thinking} if template.supports_thinking else {}


def _involves_tools(message: Mapping[str, Any]) -> bool:
    return message["role"] == "tool" or bool(message.get("tool_calls"))
