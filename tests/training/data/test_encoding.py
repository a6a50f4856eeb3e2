from __future__ import annotations

import pytest

from tests.training.letter_codec import ASSISTANT, BOS, END, USER, Letters, Turns
from yearling.errors import BadInput
from yearling.tasks import Demonstration, PreferencePair, Thumb
from yearling.training.data.encoding import LessonEncoder
from yearling.training.data.packing import TrainingExample, target_ids

ASKED = ({"role": "user", "content": "hi"},)


def encoder(model_hash: str = "ours", max_tokens: int = 50, *, forgets_end: bool = False) -> LessonEncoder:
    return LessonEncoder(Letters(), Turns(forgets_end=forgets_end), model_hash=model_hash, max_tokens=max_tokens)


def check_teaches(example: TrainingExample, answer: str) -> None:
    """The trap: labels must decode to the answer and its end."""
    if Letters().decode(target_ids(example)) != f"{answer}<end>":
        raise AssertionError("what is taught is not the answer and its end")


def test_labels_decode_to_the_answer_and_its_end() -> None:
    ids = encoder().encode_demonstration(Demonstration("k", ASKED, "fine"))
    assert ids is not None
    prompt, answer = ids
    assert prompt == [BOS, USER, *Letters().encode("hi"), END, ASSISTANT]
    check_teaches(TrainingExample.from_prompt_and_answer(prompt, answer, group=0), "fine")
    with pytest.raises(AssertionError):  # the planted fault: the end is masked, as where padding is the end token
        check_teaches(
            TrainingExample((*prompt, *answer), (False,) * len(prompt) + (True,) * (len(answer) - 1) + (False,), 0), "fine"
        )


def test_a_template_that_never_ends_a_turn_is_refused() -> None:
    with pytest.raises(BadInput, match="end could not be learnt"):
        encoder(forgets_end=True).encode_demonstration(Demonstration("k", ASKED, "fine"))


def test_stored_ids_are_used_for_their_own_model_only() -> None:
    lesson = Demonstration("k", ASKED, "fine", prompt_ids=(9, 9), answer_ids=(8, END), model_hash="ours")
    assert encoder().encode_demonstration(lesson) == ([9, 9], [8, END])
    other = encoder("another").encode_demonstration(lesson)
    assert other is not None
    assert other[1] == [*Letters().encode("fine"), END]


def test_what_is_left_out_is_counted() -> None:
    coder = encoder(max_tokens=12)
    assert coder.encode_demonstration(Demonstration("k", ASKED, "")) is None
    assert coder.encode_thumb(Thumb("k", ASKED, "much too long an answer", up=True)) is None
    assert coder.encode_pair(PreferencePair("k", ASKED, "same", "same", q=1.0, weight=1.0)) is None
    assert coder.encode_pair(PreferencePair("k", ASKED, "yes", "no", q=1.0, weight=1.0)) is not None
    assert coder.dropped_by_reason == {"empty answer": 1, "too long": 1, "equal answers": 1}
