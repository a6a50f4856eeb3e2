from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.training.data.lesson_order import LessonOrder
from yearling.training.data.lesson_split import split_validation


def test_a_pass_sees_every_lesson_once_in_a_new_order_each_time() -> None:
    order = LessonOrder(num_new=10, lessons_per_step=4, seed=1)
    drawn = [lesson for step in range(1, 6) for lesson in order.lessons_for_step(step)[0]]
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    assert drawn[:10] != drawn[10:20]
    assert order.num_steps(2) == 5
    assert order.lessons_for_step(3) == LessonOrder(num_new=10, lessons_per_step=4, seed=1).lessons_for_step(3)
    assert order.lessons_for_step(3) != LessonOrder(num_new=10, lessons_per_step=4, seed=2).lessons_for_step(3)


def test_replay_takes_its_share_of_every_step() -> None:
    order = LessonOrder(num_new=10, num_earlier=3, lessons_per_step=8, replay_share=0.25)
    fresh, earlier = order.lessons_for_step(1)
    assert (len(fresh), len(earlier)) == (6, 2)
    assert set(earlier) <= set(range(3))
    assert order.num_steps(1) == 2
    assert LessonOrder(num_new=10, num_earlier=0, lessons_per_step=8, replay_share=0.25).lessons_for_step(1)[1] == []


def test_a_lesson_keeps_its_side() -> None:
    keys = [f"key {number}" for number in range(1000)]
    kept, held = split_validation(keys, 0.1)
    assert sorted(kept + held) == list(range(1000))
    assert 60 < len(held) < 140
    again = split_validation(keys[500:], 0.1)[1]
    assert [number + 500 for number in again] == [number for number in held if number >= 500]
    assert split_validation(keys[:1], 1.0) == ([0], [])


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(BadInput):
        LessonOrder(num_new=0, lessons_per_step=1)
    with pytest.raises(BadInput):
        LessonOrder(num_new=1, lessons_per_step=0)
