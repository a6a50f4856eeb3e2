"""The verifiers environment, with the real library if it is installed; without it, only the error messages."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from yearling.errors import BadInput, NotFound, Unavailable, Unsupported
from yearling.tasks import Environment, exam_seed, open_environment, train_seed

INSTALLED = importlib.util.find_spec("verifiers") is not None
needs_verifiers = pytest.mark.skipif(not INSTALLED, reason="the extra `verifiers` is not installed")


@pytest.fixture(autouse=True)
def _taskset_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "tasksets"))


def assistant_turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_missing_library_gives_advice_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verifiers", None)
    monkeypatch.setitem(sys.modules, "verifiers.v1", None)
    with pytest.raises(Unavailable, match=r"\[verifiers\]"):
        open_environment("verifiers:yearling-sums")
    with pytest.raises(BadInput, match="NAME"):
        open_environment("verifiers")


@needs_verifiers
@pytest.mark.slow
def test_answers_are_scored_by_the_task_itself() -> None:
    environment = open_environment("verifiers:yearling-sums")
    task = environment.task(train_seed(3))
    assert [message["role"] for message in task.messages] == ["system", "user"]
    first, second = task.messages[1]["content"].removesuffix(" =").split(" + ")
    right = str(int(first) + int(second))
    assert environment.reward(task, assistant_turn(right)) == 1.0
    assert environment.reward(task, assistant_turn(f" {right}\n")) == 1.0
    for wrong in ("", "7777", f"it is {right}", "crash"):
        assert environment.reward(task, assistant_turn(wrong)) == 0.0
    lenient = open_environment("verifiers:yearling-sums", solved_at=0.25)
    assert lenient.reward(task, assistant_turn("7777")) == 1.0

    async def inside_a_loop() -> float:
        return environment.reward(task, assistant_turn(right))

    assert asyncio.run(inside_a_loop()) == 1.0


def draw_from_both_parts(environment: Environment) -> None:
    environment.task(train_seed(0))
    environment.task(exam_seed(0))


@needs_verifiers
@pytest.mark.slow
def test_tasks_are_divided_by_their_prompts() -> None:
    environment = open_environment("verifiers:yearling-sums")
    train_keys, exam_keys = ({environment.task(seed(index)).key for index in range(200)} for seed in (train_seed, exam_seed))
    assert train_keys.isdisjoint(exam_keys)
    assert len(train_keys | exam_keys) == 40
    with pytest.raises(BadInput, match="too few"):
        draw_from_both_parts(open_environment("verifiers:yearling-sums", settings={"count": 1}))


@needs_verifiers
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("nonesuch-taskset", {}, NotFound, "no installed taskset"),
        ("yearling-sums", {"nonesuch": 1}, BadInput, "rejects"),
        ("yearling-sums", {"boxed": True}, Unsupported, "container"),
        ("yearling-sums", {"count": 0}, BadInput, "no tasks"),
        ("json", {}, NotFound, "not a taskset"),
    ],
)
def test_unsupported_tasksets_are_rejected(name: str, settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_environment(f"verifiers:{name}", settings=settings)
