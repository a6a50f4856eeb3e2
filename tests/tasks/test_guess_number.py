"""`guess_number`: rules, sparse reward, and the win rates of simple strategies."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from yearling.errors import BadInput
from yearling.tasks import Task, exam_seed, is_multi_turn, open_environment, train_seed
from yearling.tasks.environments.guess_number import GuessNumber

Strategy = Callable[[Task, list[dict[str, Any]]], str]


def play(environment: GuessNumber, task: Task, strategy: Strategy) -> tuple[float, list[dict[str, Any]]]:
    transcript: list[dict[str, Any]] = []
    while True:
        transcript.append({"role": "assistant", "content": strategy(task, transcript)})
        reply = environment.reply(task, transcript)
        if reply is None:
            return environment.reward(task, transcript), transcript
        assert environment.reward(task, transcript) == 0.0
        transcript.append(reply)


def binary_search(task: Task, transcript: list[dict[str, Any]]) -> str:
    low, high = task.data["low"], task.data["high"]
    for guess, hint in zip(transcript[::2], transcript[1::2], strict=True):
        if hint["content"].startswith("Higher"):
            low = int(guess["content"]) + 1
        else:
            high = int(guess["content"]) - 1
    return str((low + high) // 2)


def random_guess(task: Task, transcript: list[dict[str, Any]]) -> str:
    assistant_turn = {message["content"] for message in transcript}
    source = random.Random(f"{task.key} {len(transcript)}")
    return source.choice([str(n) for n in range(task.data["low"], task.data["high"] + 1) if str(n) not in assistant_turn])


def constant_guess(task: Task, transcript: list[dict[str, Any]]) -> str:
    return str(task.data["low"] + 3)


@pytest.mark.parametrize(
    ("strategy", "low", "high"), [(binary_search, 1.0, 1.0), (random_guess, 0.25, 0.38), (constant_guess, 0.03, 0.10)]
)
def test_win_rate_of_simple_strategies(strategy: Strategy, low: float, high: float) -> None:
    environment = GuessNumber()
    rewards = [play(environment, environment.task(train_seed(index)), strategy)[0] for index in range(500)]
    assert low <= sum(rewards) / 500 <= high


def test_guess_needs_exactly_one_number() -> None:
    environment = GuessNumber(turns=3)
    task = environment.task(train_seed(4))
    secret = task.data["secret"]
    assert play(environment, task, lambda *_: f"Is it {secret}?")[0] == 1.0
    for junk in (f"{secret} or {secret + 1}", "no idea", "", f"{secret}.5", f"x{secret}", "9" * 5000):
        reward, transcript = play(environment, task, lambda *_, junk=junk: junk)
        assert reward == 0.0
        assert len(transcript) == 5
        assert transcript[1]["content"].startswith("Answer with one number")
    assert environment.reward(task, []) == 0.0
    assert environment.reply(task, []) is None


def test_guess_after_the_last_turn_does_not_count() -> None:
    environment = GuessNumber(turns=1)
    task = environment.task(train_seed(4))
    wrong, right = (str(task.data["high"] + 1), str(task.data["secret"]))
    late_transcript = [
        {"role": "assistant", "content": wrong},
        {"role": "user", "content": "go on"},
        {"role": "assistant", "content": right},
    ]
    assert environment.reward(task, late_transcript) == 0.0
    assert environment.reply(task, late_transcript[:1]) is None


def test_parts_share_no_range_but_all_secrets() -> None:
    environment = GuessNumber()
    train_games, exam_games = ([environment.task(seed(index)).data for index in range(600)] for seed in (train_seed, exam_seed))
    assert {data["low"] for data in train_games}.isdisjoint({data["low"] for data in exam_games})
    offsets = [{data["secret"] - data["low"] for data in part} for part in (train_games, exam_games)]
    assert offsets == [set(range(16)), set(range(16))]
    assert is_multi_turn(open_environment("guess_number"))


@pytest.mark.parametrize("settings", [{"span": 1}, {"turns": 0}, {"largest_start": 0}])
def test_settings_out_of_range_are_rejected(settings: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        open_environment("guess_number", **settings)


def test_example_is_a_won_game_of_another_range() -> None:
    tasks = [GuessNumber(shots=2).task(train_seed(index)) for index in range(200)]
    assert len({str(task.messages[:-1]) for task in tasks}) == 1
    for message, reply in pairwise(tasks[0].messages):
        assert {message["role"], reply["role"]} == {"user", "assistant"}
    openings = [message["content"] for message in tasks[0].messages if message["content"].startswith("I am thinking")]
    assert len(openings) == 3
    assert not {task.messages[-1]["content"] for task in tasks} & set(openings[:2])
    assert len(GuessNumber(shots=0).task(train_seed(0)).messages) == 1
