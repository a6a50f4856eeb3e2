"""A tokenizer of letters and a chat template in ids, for lessons without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.training.networks import VOCAB

BOS, USER, ASSISTANT, END = 0, 1, 2, 3
_FIRST = 4


class Letters:
    """Token `4 + i` is letter i; other characters share one token."""

    stop_ids = frozenset({END})

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        return [_FIRST + min(ord(letter) - 97, VOCAB - _FIRST - 1) if letter.islower() else VOCAB - 1 for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join("<end>" if token == END else chr(97 + token - _FIRST) for token in ids)


class Turns:
    """Role, text and, unless `forgets_end`, an end for each turn."""

    def __init__(self, *, forgets_end: bool = False) -> None:
        self.forgets_end = forgets_end

    def encode(self, tokenizer: Letters, messages: Sequence[Mapping[str, Any]], **options: Any) -> list[int]:
        ids = [BOS]
        for message in messages:
            ids += [USER if message["role"] == "user" else ASSISTANT, *tokenizer.encode(message["content"])]
            ids += [] if self.forgets_end else [END]
        return [*ids, ASSISTANT] if options["add_generation_prompt"] else ids
