"""Environments are found by name, and say what is wrong with a request."""

from __future__ import annotations

import json

import pytest

from yearling.errors import BadInput, NotFound
from yearling.tasks import describe_environments, environment_names, exam_seed, is_multi_turn, open_environment, train_seed


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFound, match="running_totals"):
        open_environment("nonesuch")


def test_an_unknown_setting_lists_the_known_ones() -> None:
    with pytest.raises(BadInput, match="terms"):
        open_environment("running_totals", digits=3)


def test_every_environment_is_described() -> None:
    found = {info.name: info for info in describe_environments()}
    assert sorted(found) == environment_names()
    assert all(info.summary for info in found.values())
    assert found["running_totals"].settings["terms"] == 6


def test_tasks_are_the_same_whoever_draws_them_and_survive_json() -> None:
    for info in describe_environments():
        if None in info.settings.values():
            continue
        first, second = open_environment(info.name), open_environment(info.name)
        for seed in (train_seed(3), exam_seed(3)):
            task = first.task(seed)
            assert task == second.task(seed)
            assert json.loads(json.dumps(task.data)) == task.data
            assert task.environment == info.name == first.name
        assert is_multi_turn(first) == info.is_multi_turn
