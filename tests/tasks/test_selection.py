"""What is chosen: a function of what was said, not of the order in which it is read, and of nothing that was taken back."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.feedback.people import community
from tests.tasks.records import prose
from yearling.feedback import Comparison, Edit, FeedbackEvent, Rating, Retraction, StatusChange, event_to_dict, run_consensus
from yearling.tasks.active_judgements import find_active_judgements
from yearling.tasks.candidates import LessonRules, build_candidates, judged_items
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.item_answers import ItemAnswer, ItemAnswerOrReason
from yearling.tasks.lesson import PreferencePair, Thumb, lesson_key, lesson_to_line
from yearling.tasks.selection import LessonCandidate, LessonSelection, select_lessons


def words_of(item: str) -> ItemAnswer:
    """Words that follow from the item's name; answers to one of four questions, asked by one of six persons."""
    number = int(sha256(item.encode()).hexdigest()[:6], 16)
    asked = ({"role": "user", "content": f"Tell me about {prose(number % 4)}"},)
    origin = LessonOrigin(frozenset([f"person {number % 4 + number % 2}"]), frozenset([f"thread {number % 4}"]))
    return ItemAnswer(messages=asked, text=prose(number), origin=origin)


def built(events: list[FeedbackEvent], *, share: float = 0.3) -> tuple[str, LessonSelection]:
    """The lessons of a log, through a consensus run over all of it, and a hash of both parts."""
    snapshot: dict[str, Any] = json.loads(run_consensus(events).snapshot.canonical_bytes())
    stands = find_active_judgements(
        ((number, event_to_dict(event)) for number, event in enumerate(events, start=1)), up_to=len(events)
    )
    words: dict[str, ItemAnswerOrReason] = {item: words_of(item) for item in judged_items(stands)}
    picked = select_lessons(build_candidates(stands, snapshot, words, LessonRules()).candidates, share=share)
    lines = [lesson_to_line(one.lesson) for part in (picked.train, picked.heldout) for one in part]
    return sha256(b"".join(lines) + b"%d" % len(picked.heldout)).hexdigest(), picked


@lru_cache(maxsize=1)
def some_log() -> tuple[FeedbackEvent, ...]:
    """Ten raters, eight items, and edits of some."""
    events = [event for event in community(num_raters=10, num_items=8, comparisons=12) if not isinstance(event, StatusChange)]
    last = max(event.created_utc for event in events)
    edits = [
        Edit(id=f"edit {number}", created_utc=last, actor="p" + "0" * 32, item=event.item, result=f"edited {number}")
        for number, event in enumerate(event for event in events[:40] if isinstance(event, Rating))
    ]
    return (*events, *edits[:5])


@pytest.mark.slow
@settings(max_examples=6, phases=[Phase.generate])
@given(st.randoms(use_true_random=False))
def test_the_order_of_records_decides_nothing(rng: random.Random) -> None:
    events = list(some_log())
    expected, picked = built(events)
    rng.shuffle(events)
    assert built(events)[0] == expected
    assert {one.lesson.kind for one in picked.train} >= {"pair", "demonstration"}
    assert picked.heldout


@pytest.mark.slow
@settings(max_examples=6, phases=[Phase.generate])
@given(st.data())
def test_what_is_taken_back_was_never_said(data: st.DataObject) -> None:
    events = list(some_log())
    acts = [event for event in events if isinstance(event, Rating | Comparison | Edit)]
    gone = data.draw(st.lists(st.sampled_from(acts), min_size=1, max_size=8, unique_by=lambda event: event.id))
    last = max(event.created_utc for event in events)
    back = [
        Retraction(id=f"back {number}", created_utc=last + timedelta(seconds=1), actor=event.actor, event=event.id)
        for number, event in enumerate(gone)
    ]
    ids = {event.id for event in gone}
    never = [event for event in events if event.id not in ids]
    hash_back, picked = built([*events, *back])
    assert hash_back == built(never)[0]
    assert ids.isdisjoint(event for one in [*picked.train, *picked.heldout] for event in one.events)


@pytest.mark.slow
def test_something_else_said_gives_other_lessons() -> None:
    events = list(some_log())
    first = next(number for number, event in enumerate(events) if isinstance(event, Edit))
    assert built(events)[0] != built(events[:first] + events[first + 1 :])[0]
    assert built(events)[0] != built(events, share=0.0)[0]


def thumb(text: str, person: str, conversation: str, *, asked: str = "Tell me.", weight: float = 1.0) -> LessonCandidate:
    messages = ({"role": "user", "content": asked},)
    lesson = Thumb(lesson_key("thumb", messages, text), messages, text, True, weight, source=f"word {text}")
    return LessonCandidate(lesson, LessonOrigin(frozenset([person]), frozenset([conversation])), (text,))


def test_what_is_like_a_held_out_lesson_is_not_learnt() -> None:
    """The same answer to the same question by many people must not be on both sides."""
    many = [thumb(prose(number), f"person {number}", f"conversation {number}") for number in range(60)]
    held = {one.lesson.key for one in select_lessons(many, share=0.3).heldout}
    assert 5 < len(held) < 40
    twins = [thumb(f"{prose(number)} indeed", f"other {number}", f"elsewhere {number}", weight=0.5) for number in range(60)]
    pairs = [replace(one, lesson=_as_pair(one)) for one in twins]
    picked = select_lessons([*many, *pairs], share=0.3)
    answers = {one.lesson.answer for one in picked.heldout if isinstance(one.lesson, Thumb)}
    learnt = {one.lesson.first for one in picked.train if not isinstance(one.lesson, Thumb)}
    assert learnt
    assert {f"{answer} indeed" for answer in answers}.isdisjoint(learnt)
    assert {one.reason for one in picked.dropped} == {"like_a_held_out_one"}


def test_the_heavier_of_two_that_say_the_same_is_kept() -> None:
    words = prose(1, 60)
    candidates = [thumb(words, "a", "1", weight=0.3), thumb(f"{words} indeed", "b", "2", weight=0.6)]
    for order in (candidates, candidates[::-1]):
        picked = select_lessons(order, share=0.0)
        assert [one.lesson.weight for one in picked.train if isinstance(one.lesson, Thumb)] == [0.6]
        assert picked.drop_counts() == {"thumb": {"near_duplicate": 1}}


def _as_pair(one: LessonCandidate) -> Any:
    lesson = one.lesson
    assert isinstance(lesson, Thumb)
    other = f"not {lesson.answer[::-1]}"
    return PreferencePair(
        lesson_key("pair", lesson.messages, lesson.answer, other), lesson.messages, lesson.answer, other, 0.9, 0.8
    )
