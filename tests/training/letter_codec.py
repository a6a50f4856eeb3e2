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


class LetterPrompts:
    """Renders each message as its role, its text and an end token; without end tokens if `omits_end`."""

    def __init__(self, *, omits_end: bool = False) -> None:
        self.omits_end = omits_end

    def encode(self, messages: Sequence[Mapping[str, Any]], /) -> list[int]:
        return [BOS, *(token for message in messages for token in self._encode_message(message)), ASSISTANT]

    def encode_turn_end(self) -> list[int]:
        return [] if self.omits_end else [END]

    def encode_reply(self, messages: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> list[int]:
        return [*self.encode_turn_end(), *self._encode_message(reply), ASSISTANT]

    def _encode_message(self, message: Mapping[str, Any]) -> list[int]:
        role = USER if message["role"] == "user" else ASSISTANT
        return [role, *LetterTokenizer().encode(message["content"]), *self.encode_turn_end()]
