"""Messages to the text, and the token ids, that a chat model was trained on.

Knows a model's Jinja template and its tokenizer; nothing of what tools mean, or of HTTP. Templates come with model files and
are untrusted code: they are compiled and rendered in a child process with limits (`templates/`), so call these methods from a
worker thread. What people write never becomes a control token: `encode` marks the names of control tokens inside messages before
rendering and encodes them as plain text afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, Untrusted
from yearling.models.templates import TemplateError, TemplateRefusal, TemplateSyntaxError, compile_template, render_template
from yearling.models.tokenizer import Tokenizer
from yearling.models.tokenizer_metadata import (
    ModelFiles,
    TemplateMetadata,
    folder_template_metadata,
    gguf_template_metadata,
    read_cached_template,
)

_PRIVATE_USE = range(0x100000, 0x10FFFE)


class ChatTemplate:
    """The chat template of one model.

    `supports_tools`: the template reads `tools`. `supports_thinking`: it reads `enable_thinking` or contains `<think>`.
    """

    def __init__(self, source: str, *, tool_source: str = "", special_tokens: Mapping[str, str] | None = None) -> None:
        """`tool_source` is a second template for requests with tools, which few models have. `special_tokens` are the variables
        `bos_token`, `eos_token` and the like. Raises BadInput if a template is not valid Jinja.
        """
        self.source = source
        self._special_tokens = dict(special_tokens or {})
        self._tool_source = tool_source or source
        variables, self._literals = _compile(source)
        if tool_source:
            tool_variables, literals = _compile(tool_source)
            variables, self._literals = variables | tool_variables, self._literals + literals
        self.supports_tools = "tools" in variables
        self.supports_thinking = "enable_thinking" in variables or any("<think>" in text for text in self._literals)

    @classmethod
    def load(cls, model: ModelFiles) -> ChatTemplate:
        """The template of an installed model. Raises BadInput if it has none."""
        if model.format == "gguf":
            cached = read_cached_template(model)
            return cls.from_gguf(model.weights) if cached is None else _from_metadata(cached, model.weights.name)
        return cls.from_hf_folder(model.weights if model.weights.is_dir() else model.weights.parent)

    @classmethod
    def from_gguf(cls, path: Path) -> ChatTemplate:
        """From the metadata of a GGUF file. Raises BadInput if it holds no template."""
        from yearling.models.gguf import read_gguf

        return _from_metadata(gguf_template_metadata(read_gguf(path).metadata), path.name)

    @classmethod
    def from_hf_folder(cls, path: Path) -> ChatTemplate:
        """From a Hugging Face folder (see `folder_template_metadata`). Raises BadInput if it holds no template."""
        return _from_metadata(folder_template_metadata(path), path.name)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> str:
        """The prompt as text. Further `kwargs` (`enable_thinking`, ...) become variables of the template. Without tools,
        `tools` is None or empty: some templates fail on the one, some on the other.

        Raises BadInput, with the template's own message, if it refuses the messages, fails or exceeds its budget.
        """
        source = self._tool_source if tools else self.source
        try:
            # A tool call has no content, and templates fail on a missing one.
            messages_with_content = [{**message, "content": message.get("content") or ""} for message in messages]
            variables = {
                "messages": messages_with_content,
                "tools": None if tools is None else list(tools),
                "add_generation_prompt": add_generation_prompt,
            }
            return render_template(source, {**self._special_tokens, **kwargs, **variables})
        except TemplateRefusal as error:
            raise BadInput(f"The model's chat template refuses these messages: {error}.", param="messages") from None
        except TemplateError as error:
            raise BadInput(
                f"The model's chat template cannot render these messages: {error}.",
                advice="Check roles and their order, or use a model whose template supports them.",
                param="messages",
            ) from None

    def encode(
        self,
        tokenizer: Tokenizer,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> list[int]:
        """The prompt as token ids: `tokenizer.encode(render(...), special=True)`, except that names of control tokens inside
        messages and tools stay plain text. Raises what `render` raises.
        """
        options = {"add_generation_prompt": add_generation_prompt, **kwargs}
        names = self._guarded_names(tokenizer)
        pattern = _alternation_pattern(names)
        if not any(pattern.search(text) for text in _strings([messages, tools])):
            return tokenizer.encode(self.render(messages, tools=tools, **options), special=True)
        opening, closing = _unused_characters(_strings([messages, tools, kwargs, self.source]))
        marked = _wrap_names([list(messages), list(tools or [])], pattern, opening, closing)
        rendered = self.render(marked[0], tools=None if tools is None else marked[1], **options)
        return _encode_marked(tokenizer, rendered, names, opening, closing)

    def _guarded_names(self, tokenizer: Tokenizer) -> list[str]:
        """Control tokens, and ordinary added tokens that the template itself writes (`<tool_call>`), because they carry
        structure too.
        """
        return [
            text
            for text, control in tokenizer.added_tokens().items()
            if text.strip() and (control or any(text in literal for literal in self._literals))
        ]


def _from_metadata(metadata: TemplateMetadata, name: str) -> ChatTemplate:
    if not metadata.default:
        raise BadInput(
            f"The model {name} has no chat template, so it cannot be used for chat.",
            advice="Use an instruction-tuned model, or add a chat_template.jinja to its folder and import it again.",
        )
    if not (isinstance(metadata.default, str) and isinstance(metadata.tool_use, str)):  # a file can hold any type under the key
        raise Untrusted(
            f"The chat template of the model {name} is not text.", advice="Get the file again, or from another source."
        )
    return ChatTemplate(metadata.default, tool_source=metadata.tool_use, special_tokens=metadata.special_tokens)


def _compile(source: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """(the variables that a template reads, its literal texts)."""
    try:
        return compile_template(source)
    except TemplateSyntaxError as error:
        raise BadInput(
            f"The model's chat template is not valid Jinja: {error}.", advice="Correct the template, or use another model."
        ) from None
    except TemplateError as error:
        raise BadInput(f"The model's chat template cannot be compiled: {error}.", advice="Use another model.") from None


def _strings(value: Any) -> Iterator[str]:
    """Every string inside nested lists and dictionaries, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _alternation_pattern(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) if names else r"(?!)")


def _unused_characters(texts: Iterator[str]) -> tuple[str, str]:
    """Two private-use characters that none of the texts contains, so that no text can contain a mark."""
    used = {character for text in texts for character in text if ord(character) >= _PRIVATE_USE.start}
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
    return next(free), next(free)


def _wrap_names(value: Any, pattern: re.Pattern[str], opening: str, closing: str) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda match: f"{opening}{match[0]}{closing}", value)
    if isinstance(value, Mapping):
        return {
            _wrap_names(key, pattern, opening, closing): _wrap_names(item, pattern, opening, closing)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_wrap_names(item, pattern, opening, closing) for item in value]
    return value


def _encode_marked(tokenizer: Tokenizer, rendered: str, names: Sequence[str], opening: str, closing: str) -> list[int]:
    """Ids of a text in which marked names are plain text and unmarked names are the template's own tokens.

    A template that cuts or changes strings may separate a pair of marks. A single mark still keeps the text on its two sides
    from forming a name; it is dropped before encoding.
    """
    control = {text for text, is_control in tokenizer.added_tokens().items() if is_control}
    token = _alternation_pattern(names).pattern
    scanner = re.compile(f"{opening}(?P<plain>{token}){closing}|(?P<token>{token})")
    ids: list[int] = []
    plain_parts: list[str] = []  # plain text since the template's last token
    position = 0
    for match in scanner.finditer(rendered):
        plain_parts.append(rendered[position : match.start()])
        position = match.end()
        name = match["token"] or match["plain"]
        if match["token"]:
            ids += _encode_run(tokenizer, plain_parts, opening, closing) + tokenizer.encode(name, special=True)
            plain_parts = []
        elif name in control:
            plain_parts.append(name)
        else:  # an ordinary added token is matched in any text, unless it is cut
            ids += _encode_run(tokenizer, [*plain_parts, name[:1]], opening, closing)
            plain_parts = [name[1:]]
    return ids + _encode_run(tokenizer, [*plain_parts, rendered[position:]], opening, closing)


def _encode_run(tokenizer: Tokenizer, parts: Sequence[str], opening: str, closing: str) -> list[int]:
    text = "".join(parts).replace(opening, "").replace(closing, "")
    return tokenizer.encode(text, special=False) if text else []
