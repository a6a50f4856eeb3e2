"""Lessons as token ids: the prompt as it was served, the answer, and the token that ends a turn.

Token ids that the trained model itself produced are used as stored. Any other lesson is encoded as at serving: its prompt by the
one renderer of prompts, its answer by the model's tokenizer. Independent of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from yearling.errors import BadInput
from yearling.tasks import Demonstration, PreferencePair, Thumb


class TextEncoder(Protocol):
    """The part of `models.Tokenizer` that encoding needs."""

    stop_ids: frozenset[int]

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """The token ids of a text; `special` reads special tokens in it as such."""
        ...


class PromptEncoder(Protocol):
    """The part of `inference.PromptRenderer` that training needs."""

    def encode(self, messages: Sequence[Mapping[str, Any]], /) -> list[int]:
        """The token ids of the prompt that messages make, as at serving."""
        ...

    def encode_turn_end(self) -> list[int]:
        """The token ids that follow an answer."""
        ...

    def encode_reply(self, messages: Sequence[Mapping[str, Any]], reply: Mapping[str, Any]) -> list[int]:
        """The token ids that follow an answer to `messages` when a reply comes, up to the next answer."""
        ...


@dataclass(slots=True)
class LessonEncoder:
    """Turns lessons into token ids, and counts the lessons that it leaves out."""

    tokenizer: TextEncoder
    prompts: PromptEncoder
    model_hash: str
    """The model whose stored token ids may be used."""
    max_tokens: int
    """The longest lesson, prompt and answer together."""
    dropped_by_reason: dict[str, int] = field(default_factory=dict)
    """How many lessons were left out, by reason."""
    _end_of_turn_ids: tuple[int, ...] = ()

    def encode_demonstration(self, lesson: Demonstration) -> tuple[list[int], list[int]] | None:
        """(prompt ids, answer ids), or None if the lesson is left out. Raises BadInput if the chat template never ends a turn."""
        return self._encode_prompt_and_answer(lesson)

    def encode_thumb(self, lesson: Thumb) -> tuple[list[int], list[int]] | None:
        """(prompt ids, answer ids), or None if the lesson is left out. Raises BadInput if the chat template never ends a turn."""
        return self._encode_prompt_and_answer(lesson)

    def encode_pair(self, lesson: PreferencePair) -> tuple[list[int], list[int], list[int]] | None:
        """(prompt ids, ids of the first answer, ids of the second answer), or None if the lesson is left out.

        A pair of equal answers teaches nothing and is left out. Raises BadInput if the chat template never ends a turn."""
        prompt = self._encode_prompt(lesson.messages, lesson.prompt_ids, lesson.model_hash)
        first = self._encode_answer(lesson.first, lesson.first_ids, lesson.model_hash)
        second = self._encode_answer(lesson.second, lesson.second_ids, lesson.model_hash)
        if first == second:
            self._count_dropped("equal answers")
            return None
        fits = self._check_length(prompt, first) and self._check_length(prompt, second)
        return (prompt, first, second) if fits else None

    def encode_answer(self, text: str) -> list[int]:
        """The ids of an answer and the end of its turn; empty for an empty text. Raises BadInput if the template ends no turn."""
        answer = self.tokenizer.encode(text, special=False)
        return [*answer, *self._find_end_of_turn()] if answer else []

    def _encode_prompt_and_answer(self, lesson: Demonstration | Thumb) -> tuple[list[int], list[int]] | None:
        prompt = self._encode_prompt(lesson.messages, lesson.prompt_ids, lesson.model_hash)
        return self._check_length(prompt, self._encode_answer(lesson.answer, lesson.answer_ids, lesson.model_hash))

    def _encode_prompt(self, messages: Sequence[Mapping[str, object]], stored_ids: Sequence[int], model_hash: str) -> list[int]:
        if stored_ids and model_hash == self.model_hash:
            return list(stored_ids)
        return self.prompts.encode(messages)

    def _encode_answer(self, text: str, stored_ids: Sequence[int], model_hash: str) -> list[int]:
        if stored_ids and model_hash == self.model_hash:
            # They include the end of the turn if the answer reached it. A truncated answer must not learn to end there.
            return list(stored_ids)
        return self.encode_answer(text)

    def _find_end_of_turn(self) -> tuple[int, ...]:
        """The token that ends an assistant's turn."""
        if not self._end_of_turn_ids:
            stop_ids = [token for token in self.prompts.encode_turn_end() if token in self.tokenizer.stop_ids]
            if not stop_ids:
                raise BadInput(
                    "The model's chat template ends an answer without a stop token, so the end could not be learnt.",
                    advice="Use a chat model whose template writes its end-of-turn token.",
                )
            self._end_of_turn_ids = (stop_ids[0],)
        return self._end_of_turn_ids

    def _check_length(self, prompt: list[int], answer: list[int]) -> tuple[list[int], list[int]] | None:
        if not answer:
            self._count_dropped("empty answer")
            return None
        if len(prompt) + len(answer) > self.max_tokens:
            self._count_dropped("too long")
            return None
        return prompt, answer

    def _count_dropped(self, reason: str) -> None:
        self.dropped_by_reason[reason] = self.dropped_by_reason.get(reason, 0) + 1
