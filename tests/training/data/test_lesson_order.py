from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.training.data.lesson_order import LessonOrder


def test_each_pass_takes_every_lesson_once_in_a_new_order() -> None:
    order = LessonOrder(num_new=10, lessons_per_step=4, seed=1)
    lessons = [lesson for step in range(1, 6) for lesson in order.lessons_for_step(step)[0]]
    assert sorted(lessons[:10]) == sorted(lessons[10:20]) == list(range(10))
    assert lessons[:10] != lessons[10:20]
    assert order.num_steps(2) == 5
    assert order.lessons_for_step(3) == LessonOrder(num_new=10, lessons_per_step=4, seed=1).lessons_for_step(3)
    assert order.lessons_for_step(3) != LessonOrder(num_new=10, lessons_per_step=4, seed=2).lessons_for_step(3)


def test_replay_has_its_share_of_every_step() -> None:
    order = LessonOrder(num_new=10, num_earlier=3, lessons_per_step=8, replay_share=0.25)
    new, earlier = order.lessons_for_step(1)
    assert (len(new), len(earlier)) == (6, 2)
    assert set(earlier) <= set(range(3))
    assert order.num_steps(1) == 2
    assert LessonOrder(num_new=10, num_earlier=0, lessons_per_step=8, replay_share=0.25).lessons_for_step(1)[1] == []


def test_raises_bad_input_without_lessons() -> None:
    with pytest.raises(BadInput):
        LessonOrder(num_new=0, lessons_per_step=1)
    with pytest.raises(BadInput):
        LessonOrder(num_new=1, lessons_per_step=0)
