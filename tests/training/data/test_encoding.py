from __future__ import annotations

from typing import Any

import pytest

from tests.inference.messages import habits
from tests.inference.messages.published_templates import TaggedByteTokenizer, text_of
from tests.training.letter_codec import ASSISTANT, BOS, END, USER, LetterTokenizer
from tests.training.offline_methods import letter_encoder
from yearling.errors import BadInput
from yearling.inference import PromptRenderer
from yearling.models import ChatTemplate, LocalModel, Tokenizer
from yearling.tasks import Demonstration, PreferencePair, Thumb
from yearling.training.data.encoding import LessonEncoder
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


def test_lessons_are_trained_on_the_prompt_that_is_served() -> None:
    """A thinking model is served a closed thinking section; trained without one, it would learn another prompt."""
    tokenizer = TaggedByteTokenizer()
    prompts = PromptRenderer(tokenizer, ChatTemplate(habits.CLOSES_THINKING))
    stored = Demonstration("k", MESSAGES, "fine", answer_ids=(1,), model_hash="ours")
    encoded = LessonEncoder(tokenizer, prompts, "ours", 500).encode_demonstration(stored)
    assert encoded is not None
    assert text_of(encoded[0]) == "[user]hi[end][assistant]<think>\n\n</think>\n\n"


@pytest.mark.slow
def test_the_lessons_of_the_default_model_are_encoded_as_before(default_model: LocalModel) -> None:
    """The renderer changes nothing for SmolLM2: its template alone gives the same ids, prompt and end of the answer."""
    tokenizer, template = Tokenizer.load(default_model), ChatTemplate.load(default_model)
    encoder = LessonEncoder(tokenizer, PromptRenderer(tokenizer, template), "none", 2000)
    conversations: list[list[dict[str, Any]]] = [
        [{"role": "user", "content": "What is 2 + 2?"}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <|im_end|> there"}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "And <think>now</think>?"},
        ],
    ]
    for messages in conversations:
        encoded = encoder.encode_demonstration(Demonstration("k", tuple(messages), "Four."))
        assert encoded is not None
        prompt, answer = encoded
        assert prompt == template.encode(tokenizer, messages, add_generation_prompt=True)
        answered = [*messages, {"role": "assistant", "content": "Four."}]
        whole = template.encode(tokenizer, answered, add_generation_prompt=False)
        assert whole[: len(prompt) + len(answer)] == [*prompt, *answer]
        before = whole
        after = template.encode(tokenizer, [*answered, {"role": "user", "content": "More."}], add_generation_prompt=True)
        reply = encoder.prompts.encode_reply(messages, {"role": "user", "content": "More."})
        end = max(index for index, token in enumerate(before) if token in tokenizer.stop_ids)
        assert reply[reply.index(before[end]) :] == after[end:]
