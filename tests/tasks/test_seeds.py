"""Training and exams never share a seed or a question."""

from __future__ import annotations

import itertools
import random

import pytest

from yearling.errors import BadInput
from yearling.tasks.environments import exam_seed, part_of_seed, part_owning_question, train_seed
from yearling.tasks.environments.seeds import SEEDS_PER_PART, draw_for_part, shot_seed


def test_seed_ranges_are_at_least_a_million_apart() -> None:
    ends = [(seed(0), seed(SEEDS_PER_PART - 1)) for seed in (train_seed, exam_seed, shot_seed)]
    for (_, end), (start, _) in itertools.pairwise(ends):
        assert start - end >= 10**6


@pytest.mark.parametrize("index", [-1, SEEDS_PER_PART])
def test_index_out_of_range_is_rejected(index: int) -> None:
    for seed in (train_seed, exam_seed, shot_seed):
        with pytest.raises(BadInput):
            seed(index)


def test_seed_of_no_part_is_rejected() -> None:
    assert part_of_seed(train_seed(5)) == "train"
    assert part_of_seed(exam_seed(5)) == "exam"
    for seed in (-1, SEEDS_PER_PART, shot_seed(0)):
        with pytest.raises(BadInput):
            part_of_seed(seed)


def test_parts_never_share_a_question() -> None:
    def coin(seed: int) -> str:
        return str(random.Random(seed).randint(0, 60))

    train_questions = {draw_for_part(train_seed(index), coin, str) for index in range(2000)}
    exam_questions = {draw_for_part(exam_seed(index), coin, str) for index in range(2000)}
    assert train_questions.isdisjoint(exam_questions)
    assert len(train_questions) + len(exam_questions) == 61
    assert all(part_owning_question(question) == "exam" for question in exam_questions)


def test_too_few_questions_for_two_parts_are_rejected() -> None:
    seed = exam_seed(0) if part_owning_question("only") == "train" else train_seed(0)
    with pytest.raises(BadInput, match="too few"):
        draw_for_part(seed, lambda _: "only", str)
