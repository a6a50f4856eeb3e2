"""What the pool hands out: an engine with the tokenizer and the chat template of the model that it serves.

The protocols state what engines and `chat/` need from a tokenizer and a template, so that neither depends on an implementation:
`yearling.models` has the real ones, `fake.py` those for tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from yearling.inference.engine import Engine


class StreamDecoderLike(Protocol):
    """Turns token ids into text one at a time; never returns an incomplete character."""

    def push(self, token_id: int, /) -> str:
        """The text that this token completes; empty if a character is still incomplete."""
        ...

    def flush(self) -> str:
        """The remaining text at the end of the sequence."""
        ...


class TokenizerLike(Protocol):
    """Converts text to token ids and back."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end a turn or a text."""
        ...

    @property
    def bos_id(self) -> int | None:
        """The beginning-of-sequence token, if there is one."""
        ...

    @property
    def adds_bos(self) -> bool:
        """Whether raw text starts with `bos_id`. Chat templates write their own."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        ...

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`. With `special`, names of control tokens become those tokens; otherwise they are plain text."""
        ...

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of `ids`, without control tokens if `skip_special`."""
        ...

    def new_stream_decoder(self) -> StreamDecoderLike:
        """A decoder for one answer."""
        ...

    def token_bytes(self, token_id: int, /) -> bytes:
        """The bytes that the token stands for."""
        ...


class ChatTemplateLike(Protocol):
    """Renders messages as the prompt format that the model was trained on."""

    @property
    def supports_tools(self) -> bool:
        """Whether the template renders `tools`."""
        ...

    @property
    def supports_thinking(self) -> bool:
        """Whether the template can switch the model's thinking on or off."""
        ...

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> str:
        """The prompt as text."""
        ...

    def encode(
        self,
        tokenizer: Any,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> list[int]:
        """The prompt as token ids; text in messages never becomes a control token."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model that can answer. Remote models have neither tokenizer nor template, because they take messages."""

    name: str
    engine: Engine
    tokenizer: TokenizerLike | None
    template: ChatTemplateLike | None
    owned_by: str
    created_unix_s: int
    """Unix time in seconds."""
    adapter_hash: str | None = None
    """Content hash of the adapter that `engine` answers with, whatever a request says; None for the bare model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model that requests can name, whether or not it is open."""

    name: str
    title: str
    """The display name of the model."""
    owned_by: str
    created_unix_s: int
    """Unix time in seconds."""
    weights: str | None = None
    """Name of the installed model whose weights answer: its own, or that of the model below an adapter. None if unknown."""
    endpoint: str | None = None
    """Name of the endpoint that serves the model; None for models of this machine."""
