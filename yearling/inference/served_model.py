"""What the pool hands out: an engine together with the tokenizer and chat template of the model that it serves.

The protocols say what the engines and `chat/` need of a tokenizer and a template, so that neither knows where they come from:
`yearling.models` has the real ones, `fake.py` those for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from yearling.inference.engine import Engine


class StreamDecoderLike(Protocol):
    """Turns token ids into text as they come; never emits half a character."""

    def push(self, token_id: int, /) -> str: ...

    def flush(self) -> str: ...


class TokenizerLike(Protocol):
    """Text to token ids and back."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end a turn or a text."""
        ...

    @property
    def bos_id(self) -> int | None: ...

    @property
    def vocab_size(self) -> int: ...

    def encode(self, text: str, *, special: bool = False) -> list[int]: ...

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str: ...

    def new_stream_decoder(self) -> StreamDecoderLike: ...

    def token_bytes(self, token_id: int, /) -> bytes: ...


class ChatTemplateLike(Protocol):
    """Messages to the prompt that the model was trained on."""

    @property
    def supports_tools(self) -> bool: ...

    @property
    def supports_thinking(self) -> bool: ...

    def render(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: Any,
    ) -> str: ...

    def encode(
        self,
        tokenizer: Any,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> list[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model that answers. Remote models have neither tokenizer nor template: they take messages."""

    name: str
    engine: Engine
    tokenizer: TokenizerLike | None
    template: ChatTemplateLike | None
    owned_by: str
    created_unix_s: int
    """Unix time in seconds."""
    adapter_hash: str | None = None
    """Content hash of the adapter that `engine` answers with, whatever a request says; None is the bare model."""
