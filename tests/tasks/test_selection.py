"""The selection depends on the judgements that count, and not on their order or on withdrawn ones."""

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

from tests.feedback.people import simulate_events
from tests.tasks.records import distinct_text
from yearling.feedback import Comparison, Edit, FeedbackEvent, Rating, Retraction, StatusChange, event_to_dict, run_consensus
from yearling.tasks.active_judgements import find_active_judgements
from yearling.tasks.candidates import LessonCandidate, LessonRules, build_candidates, judged_items
from yearling.tasks.heldout_split import LessonOrigin
from yearling.tasks.item_answers import ItemAnswer, ItemAnswerOrReason
from yearling.tasks.lesson import PreferencePair, Thumb, lesson_key, lesson_to_line
from yearling.tasks.selection import LessonSelection, select_lessons


def answer_of(item: str) -> ItemAnswer:
    """Return an answer that depends on the item's name only, to one of four questions by one of six people."""
    number = int(sha256(item.encode()).hexdigest()[:6], 16)
    prompt = ({"role": "user", "content": f"Tell me about {distinct_text(number % 4)}"},)
    origin = LessonOrigin(frozenset([f"person {number % 4 + number % 2}"]), frozenset([f"thread {number % 4}"]))
    return ItemAnswer(messages=prompt, text=distinct_text(number), origin=origin)


def select_from_log(events: list[FeedbackEvent], *, share: float = 0.3) -> tuple[str, LessonSelection]:
    """Return a hash of both parts and the selection, from a consensus run over the complete log."""
    snapshot: dict[str, Any] = json.loads(run_consensus(events).snapshot.canonical_bytes())
    judgements = find_active_judgements(
        ((number, event_to_dict(event)) for number, event in enumerate(events, start=1)), up_to=len(events)
    )
    answers: dict[str, ItemAnswerOrReason] = {item: answer_of(item) for item in judged_items(judgements)}
    selection = select_lessons(build_candidates(judgements, snapshot, answers, LessonRules()).candidates, share=share)
    lines = [lesson_to_line(candidate.lesson) for part in (selection.train, selection.heldout) for candidate in part]
    return sha256(b"".join(lines) + b"%d" % len(selection.heldout)).hexdigest(), selection


@lru_cache(maxsize=1)
def example_log() -> tuple[FeedbackEvent, ...]:
    """Return a log of ten raters and eight items, with edits of some."""
    events = [
        event for event in simulate_events(num_raters=10, num_items=8, comparisons=12) if not isinstance(event, StatusChange)
    ]
    last = max(event.created_utc for event in events)
    edits = [
        Edit(id=f"edit {number}", created_utc=last, actor="p" + "0" * 32, item=event.item, result=f"edited {number}")
        for number, event in enumerate(event for event in events[:40] if isinstance(event, Rating))
    ]
    return (*events, *edits[:5])


@pytest.mark.slow
@settings(max_examples=6, phases=[Phase.generate])
@given(st.randoms(use_true_random=False))
def test_selection_does_not_depend_on_the_order_of_records(rng: random.Random) -> None:
    events = list(example_log())
    expected, selection = select_from_log(events)
    rng.shuffle(events)
    assert select_from_log(events)[0] == expected
    assert {candidate.lesson.kind for candidate in selection.train} >= {"pair", "demonstration"}
    assert selection.heldout


@pytest.mark.slow
@settings(max_examples=6, phases=[Phase.generate])
@given(st.data())
def test_retracted_judgements_have_no_effect(data: st.DataObject) -> None:
    events = list(example_log())
    acts = [event for event in events if isinstance(event, Rating | Comparison | Edit)]
    retracted = data.draw(st.lists(st.sampled_from(acts), min_size=1, max_size=8, unique_by=lambda event: event.id))
    last = max(event.created_utc for event in events)
    retractions = [
        Retraction(id=f"back {number}", created_utc=last + timedelta(seconds=1), actor=event.actor, event=event.id)
        for number, event in enumerate(retracted)
    ]
    ids = {event.id for event in retracted}
    remaining = [event for event in events if event.id not in ids]
    hash_with_retractions, selection = select_from_log([*events, *retractions])
    assert hash_with_retractions == select_from_log(remaining)[0]
    assert ids.isdisjoint(event for candidate in [*selection.train, *selection.heldout] for event in candidate.events)


@pytest.mark.slow
def test_other_judgements_give_other_lessons() -> None:
    events = list(example_log())
    first = next(number for number, event in enumerate(events) if isinstance(event, Edit))
    assert select_from_log(events)[0] != select_from_log(events[:first] + events[first + 1 :])[0]
    assert select_from_log(events)[0] != select_from_log(events, share=0.0)[0]


def thumb(text: str, person: str, conversation: str, *, prompt: str = "Tell me.", weight: float = 1.0) -> LessonCandidate:
    messages = ({"role": "user", "content": prompt},)
    lesson = Thumb(lesson_key("thumb", messages, text), messages, text, True, weight, source=f"word {text}")
    return LessonCandidate(lesson, LessonOrigin(frozenset([person]), frozenset([conversation])), (text,))


def test_lessons_similar_to_held_out_ones_are_dropped() -> None:
    """Equal answers to the same question by many people must not be in both parts."""
    many = [thumb(distinct_text(number), f"person {number}", f"conversation {number}") for number in range(60)]
    heldout_keys = {candidate.lesson.key for candidate in select_lessons(many, share=0.3).heldout}
    assert 5 < len(heldout_keys) < 40
    twins = [
        thumb(f"{distinct_text(number)} indeed", f"other {number}", f"elsewhere {number}", weight=0.5) for number in range(60)
    ]
    pairs = [replace(candidate, lesson=_as_pair(candidate)) for candidate in twins]
    selection = select_lessons([*many, *pairs], share=0.3)
    answers = {candidate.lesson.answer for candidate in selection.heldout if isinstance(candidate.lesson, Thumb)}
    trained = {candidate.lesson.first for candidate in selection.train if isinstance(candidate.lesson, PreferencePair)}
    assert trained
    assert {f"{answer} indeed" for answer in answers}.isdisjoint(trained)
    assert {candidate.reason for candidate in selection.dropped} == {"like_a_held_out_one"}


def test_heavier_of_two_near_duplicates_is_kept() -> None:
    answers = distinct_text(1, 60)
    candidates = [thumb(answers, "a", "1", weight=0.3), thumb(f"{answers} indeed", "b", "2", weight=0.6)]
    for order in (candidates, candidates[::-1]):
        selection = select_lessons(order, share=0.0)
        assert [candidate.lesson.weight for candidate in selection.train if isinstance(candidate.lesson, Thumb)] == [0.6]
        assert selection.drop_counts() == {"thumb": {"near_duplicate": 1}}


def _as_pair(candidate: LessonCandidate) -> PreferencePair:
    lesson = candidate.lesson
    assert isinstance(lesson, Thumb)
    other = f"not {lesson.answer[::-1]}"
    return PreferencePair(
        lesson_key("pair", lesson.messages, lesson.answer, other), lesson.messages, lesson.answer, other, 0.9, 0.8
    )
