"""Messages to the text, and to the token ids, that a chat model was trained on.

Knows a model's Jinja template and its tokenizer; nothing of tools' meaning or of HTTP. Templates come with model files and are
foreign code: they run in Jinja's immutable sandbox, with a budget for steps and for text. What people write can never become a
control token: `encode` marks control-token names inside the messages before rendering and spells them out afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, meta

from yearling.errors import BadInput
from yearling.models.jinja_sandbox import TemplateRefusal, make_sandbox, parse_within_budget, render_within_budget
from yearling.models.tokenizer import Tokenizer
from yearling.models.tokenizer_metadata import (
    ModelFiles,
    TemplateMetadata,
    folder_template_metadata,
    gguf_template_metadata,
    read_cached_template,
)

_PRIVATE_USE = range(0x100000, 0x10FFFE)
_TEMPLATE_ERRORS = (
    TemplateError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    MemoryError,
)


class ChatTemplate:
    """One model's chat template.

    `supports_tools`: the template reads `tools`. `thinking`: it knows `enable_thinking` or `<think>`.
    """

    def __init__(self, source: str, *, tool_source: str = "", special_tokens: Mapping[str, str] | None = None) -> None:
        """`tool_source` is a second template for requests with tools, which a few models have. `special_tokens` are the variables
        `bos_token`, `eos_token` and the like. Raises BadInput for a template that is not valid Jinja."""
        self.source = source
        self._special_tokens = dict(special_tokens or {})
        self._template, variables, self._literals = _compile(source)
        self._tool_template = self._template
        if tool_source:
            self._tool_template, more, literals = _compile(tool_source)
            variables, self._literals = variables | more, self._literals + literals
        self.supports_tools = "tools" in variables
        self.supports_thinking = "enable_thinking" in variables or any("<think>" in text for text in self._literals)

    @classmethod
    def load(cls, model: ModelFiles) -> ChatTemplate:
        """The template of an imported model. Raises BadInput when it has none."""
        if model.format == "gguf":
            cached = read_cached_template(model)
            return cls.from_gguf(model.weights) if cached is None else _from_metadata(cached, model.weights.name)
        return cls.from_hf_folder(model.weights if model.weights.is_dir() else model.weights.parent)

    @classmethod
    def from_gguf(cls, path: Path) -> ChatTemplate:
        from yearling.models.gguf import read_gguf

        return _from_metadata(gguf_template_metadata(read_gguf(path).metadata), path.name)

    @classmethod
    def from_hf_folder(cls, path: Path) -> ChatTemplate:
        """From chat_template.jinja, or `chat_template` in tokenizer_config.json (a string, or a list of named templates)."""
        return _from_metadata(folder_template_metadata(path), path.name)

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> str:
        """The prompt as text. Further `kwargs` (`enable_thinking`, ...) become variables of the template.

        Raises BadInput with the template's own words when it refuses the messages, fails, or runs away."""
        template = self._tool_template if tools else self._template
        try:
            # Templates may not see a missing `content` as a crash: a tool call has none.
            given = [{**message, "content": message.get("content") or ""} for message in messages]
            own = {"messages": given, "tools": list(tools) if tools else None, "add_generation_prompt": add_generation_prompt}
            return render_within_budget(template, {**self._special_tokens, **kwargs, **own})
        except TemplateRefusal as error:
            raise BadInput(f"The model's chat template refuses these messages: {error}.", param="messages") from None
        except _TEMPLATE_ERRORS as error:
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
        """The prompt as token ids: `tokenizer.encode(render(...), special=True)`, except that names of control tokens inside the
        messages and tools stay plain text. Raises what `render` raises."""
        options = {"add_generation_prompt": add_generation_prompt, **kwargs}
        names = self._guarded_names(tokenizer)
        pattern = _any_of(names)
        if not any(pattern.search(text) for text in _strings([messages, tools])):
            return tokenizer.encode(self.render(messages, tools=tools, **options), special=True)
        opening, closing = _unused_characters(_strings([messages, tools, kwargs, self.source]))
        marked = _mark([list(messages), list(tools or [])], pattern, opening, closing)
        rendered = self.render(marked[0], tools=marked[1] or None, **options)
        return _encode_marked(tokenizer, rendered, names, opening, closing)

    def _guarded_names(self, tokenizer: Tokenizer) -> list[str]:
        """Control tokens, and ordinary added tokens that the template itself writes (`<tool_call>`): they carry structure too."""
        return [
            text
            for text, control in tokenizer.added_tokens().items()
            if text.strip() and (control or any(text in literal for literal in self._literals))
        ]


def _from_metadata(metadata: TemplateMetadata, name: str) -> ChatTemplate:
    if not metadata.default:
        raise BadInput(
            f"The model {name} has no chat template, so it cannot take part in a chat.",
            advice="Use an instruction-tuned model, or add a chat_template.jinja to its folder and import it again.",
        )
    return ChatTemplate(metadata.default, tool_source=metadata.tool_use, special_tokens=metadata.special_tokens)


def _compile(source: str) -> tuple[Any, set[str], list[str]]:
    """(template, the variables that it reads, its literal texts)."""
    environment = make_sandbox({"strftime_now": lambda form: datetime.now().strftime(form)})
    try:
        tree, literals = parse_within_budget(environment, source)
        variables = meta.find_undeclared_variables(environment.parse(source))
        return environment.from_string(tree), variables, literals
    except TemplateSyntaxError as error:
        raise BadInput(
            f"The model's chat template is not valid Jinja: {error.message} (line {error.lineno}).",
            advice="Correct the template, or use another model.",
        ) from None


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


def _any_of(names: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) if names else r"(?!)")


def _unused_characters(texts: Iterator[str]) -> tuple[str, str]:
    """Two private-use characters that occur in none of the texts, so that nothing in them can pass for a mark."""
    used = {character for text in texts for character in text if ord(character) >= _PRIVATE_USE.start}
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
    return next(free), next(free)


def _mark(value: Any, pattern: re.Pattern[str], opening: str, closing: str) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda found: f"{opening}{found[0]}{closing}", value)
    if isinstance(value, Mapping):
        return {_mark(key, pattern, opening, closing): _mark(item, pattern, opening, closing) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mark(item, pattern, opening, closing) for item in value]
    return value


def _encode_marked(tokenizer: Tokenizer, rendered: str, names: Sequence[str], opening: str, closing: str) -> list[int]:
    """Ids of a text whose marked names are plain text and whose unmarked names are the template's own tokens.

    A template that cuts or changes strings may tear a pair of marks apart; a lone mark still keeps the text on its two sides from
    joining into a name, and is dropped from what is encoded.
    """
    control = {text for text, is_control in tokenizer.added_tokens().items() if is_control}
    token = _any_of(names).pattern
    scanner = re.compile(f"{opening}(?P<plain>{token}){closing}|(?P<token>{token})")
    ids: list[int] = []
    run: list[str] = []  # plain text since the last token that the template wrote
    position = 0
    for found in scanner.finditer(rendered):
        run.append(rendered[position : found.start()])
        position = found.end()
        name = found["token"] or found["plain"]
        if found["token"]:
            ids += _encode_run(tokenizer, run, opening, closing) + tokenizer.encode(name, special=True)
            run = []
        elif name in control:
            run.append(name)
        else:  # an ordinary added token is matched in any text: cut, it no longer is
            ids += _encode_run(tokenizer, [*run, name[:1]], opening, closing)
            run = [name[1:]]
    return ids + _encode_run(tokenizer, [*run, rendered[position:]], opening, closing)


def _encode_run(tokenizer: Tokenizer, run: Sequence[str], opening: str, closing: str) -> list[int]:
    text = "".join(run).replace(opening, "").replace(closing, "")
    return tokenizer.encode(text, special=False) if text else []
