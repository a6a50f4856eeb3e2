"""Opening environments by name, and error messages for invalid requests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from yearling.errors import BadInput, NotFound
from yearling.tasks import describe_environments, environment_names, exam_seed, is_multi_turn, open_environment, train_seed


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFound, match="running_totals"):
        open_environment("nonesuch")


def test_unknown_setting_lists_the_known_ones() -> None:
    with pytest.raises(BadInput, match="terms"):
        open_environment("running_totals", digits=3)


def test_every_environment_is_described() -> None:
    descriptions = {info.name: info for info in describe_environments()}
    assert sorted(descriptions) == environment_names()
    assert all(info.summary for info in descriptions.values())
    assert descriptions["running_totals"].settings["terms"] == 6


def test_tasks_are_reproducible_and_survive_json() -> None:
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


@pytest.mark.parametrize(
    ("name", "settings", "digest"),
    [
        ("instructions", {}, "1960c805d3cb85ea406e81934bc3bb2c26d4f20266f66210e652caa17ec1319f"),
        (
            "instructions",
            {"language": "both", "most": 3, "level": 0},
            "24de2920f43702aac91f07e96816f6d1c461615221f3dcdc934aedfd857cff2e",
        ),
        ("running_totals", {}, "e3cb66f36298bebf2942b41d9a111a6b149546b81c1cbe497077d60aeb63a82f"),
        ("count_on", {}, "56e9ed273253fd42071ead465efc1260ab2e56c8350d8cf05c842ed093581957"),
        ("guess_number", {}, "c47e1c2c6d047ce7def3c12357e3e17b94b3a30b6230ab39964c995fca12baa2"),
    ],
)
def test_seeds_keep_their_tasks(name: str, settings: dict[str, Any], digest: str) -> None:
    """The digests are from commit e471dd7. Another digest means other tasks under the same seeds, in lesson sets and in exams."""
    environment, hashed = open_environment(name, **settings), hashlib.sha256()
    for index in range(40):
        for seed in (train_seed(index), exam_seed(index)):
            task = environment.task(seed)
            fields = [task.key, task.messages, task.environment, task.data]
            hashed.update(json.dumps(fields, sort_keys=True).encode())
    assert hashed.hexdigest() == digest
