"""The split shares no person and no conversation between parts, and never changes."""

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
def test_parts_share_no_person_and_no_conversation(origins: dict[str, LessonOrigin], share: float) -> None:
    result = split_lessons(origins, share=share)
    sides = [[origin for key, origin in origins.items() if (key in result.heldout) is side] for side in (True, False)]
    heldout_names, train_names = ({name for origin in side for name in origin.conversations} for side in sides)
    assert heldout_names.isdisjoint(train_names)
    heldout_names, train_names = ({name for origin in side for name in origin.persons} for side in sides)
    assert heldout_names.isdisjoint(train_names) or result.criterion == "conversation"
    assert (result.criterion == "conversation") == bool(result.reason)
    if share == 0.0:
        assert not result.heldout


@settings(max_examples=25)
@given(ORIGINS, st.randoms(use_true_random=False))
def test_split_does_not_depend_on_the_order(origins: dict[str, LessonOrigin], rng: random.Random) -> None:
    keys = list(origins)
    rng.shuffle(keys)
    assert split_lessons({key: origins[key] for key in keys}, share=0.3) == split_lessons(origins, share=0.3)


def test_lessons_linked_through_others_form_one_group() -> None:
    ann, bob, none = frozenset(["ann"]), frozenset(["bob"]), frozenset[str]()
    one, two, three = (frozenset([name]) for name in ("1", "2", "3"))
    first, second, third, fourth = link_groups([(ann, one), (ann | bob, two), (bob, three), (none, frozenset(["4"]))])
    assert first == second == third != fourth
    assert link_groups([(ann, one)]) != link_groups([(one, ann)]), "a person and a conversation of one name are two things"


def test_split_by_person_if_there_are_enough_people() -> None:
    origins = {
        f"{number}": LessonOrigin(frozenset([f"person {number % 50}"]), frozenset([f"conversation {number}"]))
        for number in range(500)
    }
    result = split_lessons(origins, share=0.2)
    assert (result.criterion, result.reason, result.num_persons, result.num_groups) == ("person and conversation", "", 50, 50)
    assert 0.08 < len(result.heldout) / 500 < 0.34
    assert len({int(key) % 50 for key in result.heldout}) * 10 == len(result.heldout)


def test_single_person_is_split_by_conversation_with_the_reason() -> None:
    origins = {f"{number}": LessonOrigin(frozenset(["ann"]), frozenset([f"conversation {number // 2}"])) for number in range(400)}
    result = split_lessons(origins, share=0.2)
    assert (result.criterion, result.reason) == ("conversation", "all lessons hold one person's words")
    assert 0.12 < len(result.heldout) / 400 < 0.28


def test_group_keeps_its_part_when_lessons_are_added() -> None:
    few = {f"{number}": LessonOrigin(frozenset([f"p{number}"]), frozenset([f"c{number}"])) for number in range(100)}
    more = {f"{number}": LessonOrigin(frozenset([f"p{number}"]), frozenset([f"c{number}"])) for number in range(200)}
    assert split_lessons(few, share=0.2).heldout == split_lessons(more, share=0.2).heldout & set(few)


def test_part_of_a_group_is_fixed() -> None:
    assert [number for number in range(30) if is_held_out(str(number), 0.3)] == [2, 6, 7, 8, 10, 13, 15, 16, 17, 25, 28]
