from __future__ import annotations

from yearling.training.data.lesson_split import LessonSplit, split_validation


def test_split_validation_keeps_each_lesson_on_its_side() -> None:
    keys = [f"key {index}" for index in range(1000)]
    train, validation = split_validation(keys, 0.1)
    assert sorted(train + validation) == list(range(1000))
    assert 60 < len(validation) < 140
    of_second_half = split_validation(keys[500:], 0.1)[1]
    assert [index + 500 for index in of_second_half] == [index for index in validation if index >= 500]


def test_split_validation_never_holds_out_every_lesson() -> None:
    assert split_validation(["key"], 1.0) == ([0], [])


def test_lesson_split_replays_earlier_lessons_and_holds_out_new_ones_only() -> None:
    keys = [f"key {index}" for index in range(100)]
    split = LessonSplit.from_keys(keys, num_new=60, validation_share=0.3)
    assert sorted(split.train_indices + split.validation_indices) == list(range(60))
    assert split.validation_indices
    assert split.replay_indices == list(range(60, 100))
    assert split.select([1, 0], [2]) == [split.train_indices[1], split.train_indices[0], 62]
