"""A tokenizer of letters and a chat template made of token ids, for lessons and tasks without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.training.networks import VOCAB_SIZE

BOS, USER, ASSISTANT, END = 0, 1, 2, 3
_FIRST_LETTER = 4


class LetterTokenizer:
    """Token `4 + i` is letter i. All other characters share one token."""

    stop_ids = frozenset({END})

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        return [
            _FIRST_LETTER + min(ord(letter) - 97, VOCAB_SIZE - _FIRST_LETTER - 1) if letter.islower() else VOCAB_SIZE - 1
            for letter in text
        ]

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return "".join("<end>" if token == END else chr(97 + token - _FIRST_LETTER) for token in ids)


class LetterChatTemplate:
    """Renders each message as its role, its text and an end token; without end tokens if `omits_end`."""

    def __init__(self, *, omits_end: bool = False) -> None:
        self.omits_end = omits_end

    def encode(self, tokenizer: Any, messages: Sequence[Mapping[str, Any]], **kwargs: Any) -> list[int]:
        ids = [BOS]
        for message in messages:
            ids += [USER if message["role"] == "user" else ASSISTANT, *tokenizer.encode(message["content"])]
            ids += [] if self.omits_end else [END]
        return [*ids, ASSISTANT] if kwargs["add_generation_prompt"] else ids
