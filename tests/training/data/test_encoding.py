from __future__ import annotations

import pytest

from tests.training.letter_codec import ASSISTANT, BOS, END, USER, LetterTokenizer
from tests.training.offline_methods import letter_encoder
from yearling.errors import BadInput
from yearling.tasks import Demonstration, PreferencePair, Thumb
from yearling.training.data.packing import TrainingExample, target_ids

MESSAGES = ({"role": "user", "content": "hi"},)


def check_targets_are_answer_and_end(example: TrainingExample, answer: str) -> None:
    if LetterTokenizer().decode(target_ids(example)) != f"{answer}<end>":
        raise AssertionError("the targets are not the answer and its end")


def test_targets_decode_to_the_answer_and_its_end() -> None:
    ids = letter_encoder(50).encode_demonstration(Demonstration("k", MESSAGES, "fine"))
    assert ids is not None
    prompt, answer = ids
    assert prompt == [BOS, USER, *LetterTokenizer().encode("hi"), END, ASSISTANT]
    check_targets_are_answer_and_end(TrainingExample.from_prompt_and_answer(prompt, answer, group=0), "fine")
    # The planted fault: the end is no target, as if the padding token were the end token.
    is_target = (False,) * len(prompt) + (True,) * (len(answer) - 1) + (False,)
    with pytest.raises(AssertionError):
        check_targets_are_answer_and_end(TrainingExample((*prompt, *answer), is_target, 0), "fine")


def test_raises_bad_input_for_a_template_that_never_ends_a_turn() -> None:
    with pytest.raises(BadInput, match="end could not be learnt"):
        letter_encoder(50, omits_end=True).encode_demonstration(Demonstration("k", MESSAGES, "fine"))


def test_stored_ids_are_used_for_their_own_model_only() -> None:
    lesson = Demonstration("k", MESSAGES, "fine", prompt_ids=(9, 9), answer_ids=(8, END), model_hash="ours")
    assert letter_encoder(50, model_hash="ours").encode_demonstration(lesson) == ([9, 9], [8, END])
    encoded = letter_encoder(50, model_hash="another").encode_demonstration(lesson)
    assert encoded is not None
    assert encoded[1] == [*LetterTokenizer().encode("fine"), END]


def test_dropped_lessons_are_counted_by_reason() -> None:
    encoder = letter_encoder(12)
    assert encoder.encode_demonstration(Demonstration("k", MESSAGES, "")) is None
    assert encoder.encode_thumb(Thumb("k", MESSAGES, "much too long an answer", up=True)) is None
    assert encoder.encode_pair(PreferencePair("k", MESSAGES, "same", "same", q=1.0, weight=1.0)) is None
    assert encoder.encode_pair(PreferencePair("k", MESSAGES, "yes", "no", q=1.0, weight=1.0)) is not None
    assert encoder.dropped_by_reason == {"empty answer": 1, "too long": 1, "equal answers": 1}
