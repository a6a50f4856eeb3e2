"""Lessons as token ids: the prompt as it was served, the answer, and the token that ends a turn.

Stored ids are used as they are when they come from the model that is trained (token in, token out); otherwise the prompt goes
through the model's own chat template and the answer through its tokenizer, just as at serving. Knows no tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from yearling.errors import BadInput
from yearling.tasks import Demonstration, PreferencePair, Thumb


class TextEncoder(Protocol):
    """What is needed of `models.Tokenizer`."""

    stop_ids: frozenset[int]

    def encode(self, text: str, *, special: bool = False) -> list[int]: ...


class PromptEncoder(Protocol):
    """What is needed of `models.ChatTemplate`."""

    def encode(self, tokenizer: Any, messages: Sequence[Mapping[str, Any]], **kwargs: Any) -> list[int]: ...


@dataclass(slots=True)
class LessonEncoder:
    """`model_hash` names the model whose stored ids may be used; `max_tokens` bounds prompt and answer together. What is left out
    is counted in `dropped`, by reason."""

    tokenizer: TextEncoder
    template: PromptEncoder
    model_hash: str
    max_tokens: int
    dropped_by_reason: dict[str, int] = field(default_factory=dict)
    _end_of_turn_ids: tuple[int, ...] = ()

    def encode_demonstration(self, lesson: Demonstration) -> tuple[list[int], list[int]] | None:
        """(prompt ids, answer ids) or None when the lesson is left out."""
        prompt = self._encode_prompt(lesson.messages, lesson.prompt_ids, lesson.model_hash)
        return self._check_length(prompt, self._encode_answer(lesson.answer, lesson.answer_ids, lesson.model_hash))

    def encode_thumb(self, lesson: Thumb) -> tuple[list[int], list[int]] | None:
        prompt = self._encode_prompt(lesson.messages, lesson.prompt_ids, lesson.model_hash)
        return self._check_length(prompt, self._encode_answer(lesson.answer, lesson.answer_ids, lesson.model_hash))

    def encode_pair(self, lesson: PreferencePair) -> tuple[list[int], list[int], list[int]] | None:
        """(prompt ids, first answer's, second answer's) or None; answers that are the same teach nothing and are left out."""
        prompt = self._encode_prompt(lesson.messages, lesson.prompt_ids, lesson.model_hash)
        first = self._encode_answer(lesson.first, lesson.first_ids, lesson.model_hash)
        second = self._encode_answer(lesson.second, lesson.second_ids, lesson.model_hash)
        if first == second:
            self._count_dropped("equal answers")
            return None
        fits = self._check_length(prompt, first) and self._check_length(prompt, second)
        return (prompt, first, second) if fits else None

    def _encode_prompt(self, messages: Sequence[Mapping[str, Any]], stored_ids: Sequence[int], model_hash: str) -> list[int]:
        if stored_ids and model_hash == self.model_hash:
            return list(stored_ids)
        return self.template.encode(self.tokenizer, messages, add_generation_prompt=True)

    def _encode_answer(self, text: str, stored_ids: Sequence[int], model_hash: str) -> list[int]:
        if stored_ids and model_hash == self.model_hash:
            return list(stored_ids)  # with its end if it came to one; an answer that was cut off does not learn to end there
        answer = self.tokenizer.encode(text, special=False)
        return [*answer, *self._find_end_of_turn()] if answer else []

    def _find_end_of_turn(self) -> tuple[int, ...]:
        """The token with which the template ends an assistant's turn, found by letting it write one."""
        if not self._end_of_turn_ids:
            asked = [{"role": "user", "content": "a"}]
            before = self.template.encode(self.tokenizer, asked, add_generation_prompt=True)
            said = [*asked, {"role": "assistant", "content": "b"}]
            whole = self.template.encode(self.tokenizer, said, add_generation_prompt=False)
            ends = [token for token in whole[len(before) :] if token in self.tokenizer.stop_ids]
            if not ends:
                raise BadInput(
                    "The model's chat template ends an answer with no token that stops generation: an end could not be learnt.",
                    advice="Use a chat model whose template writes its end-of-turn token.",
                )
            self._end_of_turn_ids = (ends[0],)
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
