"""The split: nobody and no conversation on both sides, and the same side for ever."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from yearling.tasks.heldout_split import LessonOrigin, is_held_out, link_groups, split_lessons

NAMES = st.frozensets(st.sampled_from([f"n{number}" for number in range(12)]), max_size=2)
ORIGINS = st.dictionaries(
    st.text("abcdef0123456789", min_size=4, max_size=4),
    st.builds(
        LessonOrigin, NAMES, st.frozensets(st.sampled_from([f"c{number}" for number in range(30)]), min_size=1, max_size=2)
    ),
    max_size=40,
)


@settings(max_examples=50)
@given(ORIGINS, st.sampled_from([0.0, 0.1, 0.3, 0.5]))
def test_nobody_and_no_conversation_is_on_both_sides(origins: dict[str, LessonOrigin], share: float) -> None:
    found = split_lessons(origins, share=share)
    sides = [[origin for key, origin in origins.items() if (key in found.heldout) is side] for side in (True, False)]
    held, train = ({name for origin in side for name in origin.conversations} for side in sides)
    assert held.isdisjoint(train)
    held, train = ({name for origin in side for name in origin.persons} for side in sides)
    assert held.isdisjoint(train) or found.criterion == "conversation"
    assert (found.criterion == "conversation") == bool(found.reason)
    if share == 0.0:
        assert not found.heldout


@settings(max_examples=25)
@given(ORIGINS, st.randoms(use_true_random=False))
def test_the_order_decides_nothing(origins: dict[str, LessonOrigin], rng: random.Random) -> None:
    keys = list(origins)
    rng.shuffle(keys)
    assert split_lessons({key: origins[key] for key in keys}, share=0.3) == split_lessons(origins, share=0.3)


def test_what_is_tied_through_others_lies_together() -> None:
    ann, bob, none = frozenset(["ann"]), frozenset(["bob"]), frozenset[str]()
    one, two, three = (frozenset([name]) for name in ("1", "2", "3"))
    first, second, third, fourth = link_groups([(ann, one), (ann | bob, two), (bob, three), (none, frozenset(["4"]))])
    assert first == second == third != fourth
    assert link_groups([(ann, one)]) != link_groups([(one, ann)]), "a person and a conversation of one name are two things"


def test_persons_are_kept_apart_where_there_are_enough() -> None:
    origins = {
        f"{number}": LessonOrigin(frozenset([f"person {number % 50}"]), frozenset([f"conversation {number}"]))
        for number in range(500)
    }
    found = split_lessons(origins, share=0.2)
    assert (found.criterion, found.reason, found.num_persons, found.num_groups) == ("person and conversation", "", 50, 50)
    assert 0.08 < len(found.heldout) / 500 < 0.34
    assert len({int(key) % 50 for key in found.heldout}) * 10 == len(found.heldout)


def test_one_person_is_split_by_conversation_and_told_so() -> None:
    origins = {f"{number}": LessonOrigin(frozenset(["ann"]), frozenset([f"conversation {number // 2}"])) for number in range(400)}
    found = split_lessons(origins, share=0.2)
    assert (found.criterion, found.reason) == ("conversation", "all lessons hold one person's words")
    assert 0.12 < len(found.heldout) / 400 < 0.28


def test_a_group_stays_on_its_side_when_others_come() -> None:
    few = {f"{number}": LessonOrigin(frozenset([f"p{number}"]), frozenset([f"c{number}"])) for number in range(100)}
    more = {f"{number}": LessonOrigin(frozenset([f"p{number}"]), frozenset([f"c{number}"])) for number in range(200)}
    assert split_lessons(few, share=0.2).heldout == split_lessons(more, share=0.2).heldout & set(few)


def test_the_side_is_the_same_on_every_machine() -> None:
    assert [number for number in range(30) if is_held_out(str(number), 0.3)] == [2, 6, 7, 8, 10, 13, 15, 16, 17, 25, 28]
