"""Lessons from answers that people offered to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from tests.tasks.records import add_answer, distinct_text, record_consensus_run
from yearling.errors import BadInput
from yearling.feedback import FeedbackLog, offer_answer, withdraw_offer
from yearling.tasks import BuildConfig, LessonSet, LessonSetBuild, build_lesson_set
from yearling.tasks.active_judgements import ActiveJudgements
from yearling.tasks.item_answers import ItemAnswer, find_item_answers

ALL_TRAIN = BuildConfig(heldout_share=0.0)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


@pytest.fixture
def ada(log: FeedbackLog) -> str:
    return log.store.people.add("Ada").id


@pytest.fixture
def bob(log: FeedbackLog) -> str:
    return log.store.people.add("Bob").id


def build(log: FeedbackLog) -> LessonSetBuild:
    record_consensus_run(log)
    return build_lesson_set(log.store, ALL_TRAIN)


def answer_of(log: FeedbackLog, item: str) -> Any:
    return find_item_answers(log.store, [item], ActiveJudgements())[item]


def test_unedited_offer_is_the_stored_answer(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada, 1)
    conversation = log.store.conversations.create(ada)
    log.store.conversations.add_message(
        conversation.id, person_id=ada, role="assistant", content=distinct_text(1001), sample_id=item
    )
    offer = offer_answer(log, ada, item).record
    assert answer_of(log, offer.id) == answer_of(log, item)
    log.rate(bob, offer.id, 1)
    lessons = build(log).lesson_set
    (thumb,) = lessons.thumbs()
    assert (thumb.prompt_ids, thumb.answer_ids, thumb.model_hash) == ((1, 1), (7, 1, 2), "ab" * 32)
    assert [message["role"] for message in thumb.messages] == ["system", "user"]
    assert lessons.report()["edited_by_author"] == []
    assert lessons.keys_edited_by_author() == frozenset()


def test_edited_offer_is_its_own_text_without_token_ids(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada, 1)
    before = log.store.samples.get(item, person_id=ada)
    offer = offer_answer(log, ada, item, question="What is a [name]?", answer="A word.").record
    answer = answer_of(log, offer.id)
    assert isinstance(answer, ItemAnswer)
    assert answer.messages == ({"role": "user", "content": "What is a [name]?"},)
    assert (answer.text, answer.prompt_ids, answer.answer_ids, answer.model_hash) == ("A word.", (), (), "")
    assert answer.edited_by_author
    original = answer_of(log, item)
    assert not original.edited_by_author
    assert answer.origin.persons == {ada}
    assert original.origin.conversations < answer.origin.conversations, "held out together with the original"
    log.rate(bob, offer.id, 1)
    build_result = build(log)
    lessons = list(build_result.lesson_set.lessons())
    assert {lesson.kind for lesson in lessons} == {"thumb", "demonstration"}
    assert build_result.report["edited_by_author"] == sorted(lesson.key for lesson in lessons)
    assert build_result.lesson_set.keys_edited_by_author() == {lesson.key for lesson in lessons}
    assert build_result.report["with_token_ids"] == 0
    assert log.store.samples.get(item, person_id=ada) == before


def test_pairs_and_edits_of_edited_offers_are_marked(log: FeedbackLog, ada: str, bob: str) -> None:
    question = "The same question?"
    first, second, third = (add_answer(log, ada, number) for number in range(3))
    left = offer_answer(log, ada, first, question=question).record.id
    right = offer_answer(log, ada, second, question=question).record.id
    plain = offer_answer(log, ada, third).record.id
    log.compare(bob, left, right, "left")
    log.add_edit(bob, right, f"Better {distinct_text(50)}")
    log.add_edit(bob, plain, f"Better {distinct_text(60)}")
    build_result = build(log)
    pairs, edited = build_result.lesson_set.pairs(), build_result.lesson_set.keys_edited_by_author()
    unmarked = [pair for pair in pairs if pair.key not in edited]
    assert [pair.second for pair in unmarked] == [distinct_text(1002)]
    assert {pair.second for pair in pairs if pair.key in edited} == {distinct_text(1001)}
    assert len(pairs) == 3


def test_withdrawn_offer_leaves_the_next_set_and_the_report_says_so(log: FeedbackLog, ada: str, bob: str) -> None:
    kept, gone = (offer_answer(log, ada, add_answer(log, ada, number)).record.id for number in (1, 2))
    for item in (kept, gone):
        log.rate(bob, item, 1)
    first = build(log)
    assert len(first.lesson_set.thumbs()) == 2
    withdraw_offer(log, ada, gone)
    second = build(log)
    assert [thumb.answer for thumb in second.lesson_set.thumbs()] == [distinct_text(1001)]
    assert second.report["judgements"]["dropped"] == {"offer_withdrawn": 1}
    assert second.report["taken_back"] == {first.lesson_set.hash: {"offer_withdrawn": 1}}
    for person, reason in ((ada, "offer_withdrawn"), (bob, "offer_withdrawn")):
        log.store.delete_person(person, actor=log.store.people.owner().id)
        assert answer_of(log, kept) == reason
    with pytest.raises(BadInput, match="nothing to learn") as raised:
        build(log)
    assert "offer withdrawn (2)" in raised.value.advice


def test_offer_of_a_deleted_answer_gives_no_lesson(log: FeedbackLog, ada: str, bob: str) -> None:
    item = add_answer(log, ada, 1)
    offer = offer_answer(log, ada, item, answer="Other words.").record
    log.rate(bob, offer.id, 1)
    log.store.samples.delete(item, person_id=ada)
    assert answer_of(log, offer.id) == "offer_withdrawn"


def test_reward_model_judges_only_what_models_emit(log: FeedbackLog, ada: str, bob: str) -> None:
    from yearling.training.setup import METHOD_TABLE, _lessons_for_method

    for number, words in enumerate(({}, {"answer": f"Edited {distinct_text(70)}"})):
        offer = offer_answer(log, ada, add_answer(log, ada, number), **words).record
        log.rate(bob, offer.id, 1)
        log.add_edit(bob, offer.id, f"Better {distinct_text(80 + number)}")
    lessons: LessonSet = build(log).lesson_set
    counts = {name: len(_lessons_for_method(lessons, name)) for name, entry in METHOD_TABLE.items() if entry.lessons}
    assert counts == {"sft": 4, "dpo": 2, "kto": 2, "reward": 1}
    assert lessons.prompts() == []


def test_set_of_an_earlier_version_has_no_marks(log: FeedbackLog, ada: str, tmp_path: Path) -> None:
    """Frozen sets do not change: the mark is in the report, and reports without it can be read."""
    from yearling.tasks import freeze_lesson_set

    log.rate(ada, add_answer(log, ada, 1), 1)
    lessons = list(build(log).lesson_set.lessons())
    old = freeze_lesson_set(lessons, tmp_path / "old", report={"judgements": {}})
    assert LessonSet.open(old.folder).keys_edited_by_author() == frozenset()
