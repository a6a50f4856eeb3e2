"""Builds of lessons over HTTP: one at a time, in a process that outlives the server, with an end that is known afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.auth_headers import add_person
from tests.api.conftest import ApiFactory, RunningApi
from yearling.api.learning import lesson_builds as module
from yearling.api.learning.lesson_schemas import LessonBuildView
from yearling.config import Settings
from yearling.feedback import FeedbackLog
from yearling.records import PersonRole
from yearling.store import make_text

REAL_COMMAND = module.build_command
RESULT = {"hash": "ab" * 32, "version": 3, "fresh": True, "report": {}}


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a build run a script in place of the command."""

    def run_script(script: str) -> None:
        monkeypatch.setattr(module, "build_command", lambda settings: [sys.executable, "-c", script])

    return run_script


async def read_build(api: RunningApi) -> LessonBuildView:
    return LessonBuildView.model_validate((await api.client.get("/v1/lessons/build")).json())


async def wait_for_end(api: RunningApi) -> LessonBuildView:
    for _ in range(2000):
        build = await read_build(api)
        if build.state != "running":
            return build
        await asyncio.sleep(0.05)
    raise AssertionError("the build did not end")


def wait_for_text(path: Path) -> None:
    for _ in range(2000):
        if path.exists() and path.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"nobody wrote {path}")


async def start(api: RunningApi) -> httpx.Response:
    return await api.client.post("/v1/lessons")


async def test_build_ends_with_its_set(start_api: ApiFactory, pretend: Callable[[str], None]) -> None:
    async with start_api() as api:
        assert await read_build(api) == LessonBuildView(
            object="lesson_build",
            state="idle",
            started_utc=None,
            finished_utc=None,
            message="",
            lesson_set=None,
            version=None,
            is_new=None,
        )
        pretend(f"print({json.dumps(RESULT)!r})")
        assert (await start(api)).status_code == 200
        build = await wait_for_end(api)
        assert (build.state, build.lesson_set, build.version, build.is_new) == ("finished", "ab" * 32, 3, True)
        assert build.message == "Built lesson set 3."
        assert build.started_utc is not None
        assert build.finished_utc is not None
        pretend(f"print({json.dumps({**RESULT, 'fresh': False})!r})")
        await start(api)
        build = await wait_for_end(api)
        assert (build.state, build.is_new) == ("finished", False)
        assert build.message == "The lessons are up to date: nothing changed since the last build."
        files = sorted(path for path in (api.settings.data_dir / "lessons" / "build").iterdir() if path.name != "lock")
        assert len(files) == 3, "the output of earlier builds is deleted"
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_only_one_build_runs_whatever_happens_to_the_server(
    start_api: ApiFactory, pretend: Callable[[str], None], tmp_path: Path
) -> None:
    async with start_api() as api:
        go_on = tmp_path / "go on"
        wait = f"import os, time\nfor _ in range(1000):\n  if os.path.exists({str(go_on)!r}): break\n  time.sleep(0.02)\n"
        pretend(f"{wait}print({json.dumps(RESULT)!r})")
        assert (await start(api)).json()["state"] == "running"
        second = await start(api)
        assert (second.status_code, second.json()["error"]["code"]) == (409, "conflict")
        # A new server reads the same folder, and holds no lock of the old one's.
        assert module.read_lesson_build(api.store).state == "running"
        go_on.touch()
        assert (await wait_for_end(api)).state == "finished"
        assert (await start(api)).status_code == 200
        await wait_for_end(api)


async def test_killed_build_has_failed(start_api: ApiFactory, pretend: Callable[[str], None], tmp_path: Path) -> None:
    async with start_api() as api:
        pid_file = tmp_path / "pid"
        pretend(f"import os, pathlib, time\npathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\ntime.sleep(60)")
        await start(api)
        await asyncio.to_thread(wait_for_text, pid_file)
        assert (await read_build(api)).state == "running"
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        build = await wait_for_end(api)
        assert (build.state, build.lesson_set) == ("failed", None)
        assert build.message == "The build was ended before it was complete. Build the lessons again."


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        (
            "Reading\nError: There is nothing to learn from yet.\nRate first.\n",
            "There is nothing to learn from yet.\nRate first.",
        ),
        ("Traceback (most recent call last)\n  secret\nKeyError: 1", "The build failed because of a mistake in Yearling."),
        ("Error: " + "x" * 5000, "x" * 2000),
    ],
)
async def test_failed_build_says_why(start_api: ApiFactory, pretend: Callable[[str], None], printed: str, message: str) -> None:
    async with start_api() as api:
        pretend(f"import sys; print('{{}}'); sys.exit({printed!r})")
        await start(api)
        build = await wait_for_end(api)
        assert build.state == "failed"
        assert build.message.startswith(message)
        assert "secret" not in build.message
        assert len(build.message) <= 2000


async def test_only_maintainers_build(start_api: ApiFactory) -> None:
    async with start_api() as api:
        expected: tuple[tuple[PersonRole, int], ...] = (("reader", 403), ("member", 403), ("maintainer", 200))
        for role, status in expected:
            _, headers = add_person(api.store, role.title(), role)
            assert (await api.client.post("/v1/lessons", headers=headers)).status_code == status, role
        await wait_for_end(api)


@pytest.mark.slow
async def test_real_build(start_api: ApiFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line itself: it fails without judgements, then builds, and then nothing has changed."""
    monkeypatch.setattr(module, "build_command", REAL_COMMAND)
    async with start_api() as api:
        await start(api)
        failed = await wait_for_end(api)
        assert (failed.state, failed.message.splitlines()[0]) == ("failed", "There is nothing to learn from yet.")
        assert "Rate, compare or edit answers first" in failed.message
        judge_some_answers(FeedbackLog(api.store), api.store.people.owner().id)
        await start(api)
        built = await wait_for_end(api)
        assert (built.state, built.version, built.is_new) == ("finished", 1, True), built
        sets: list[dict[str, Any]] = (await api.client.get("/v1/lessons")).json()["data"]
        assert [one["hash"] for one in sets] == [built.lesson_set]
        await start(api)
        again = await wait_for_end(api)
        assert (again.lesson_set, again.is_new) == (built.lesson_set, False)


def judge_some_answers(log: FeedbackLog, person_id: str) -> None:
    question = [{"role": "user", "content": "What grows in the garden?"}]
    texts = [make_text(f"answer-{n}", "answer", {"messages": question, "text": f"Answer number {n} of many."}) for n in range(20)]
    log.store.texts.add(texts)
    for n in range(20):
        log.rate(person_id, f"answer-{n}", float(n % 2))


def test_command_names_the_folder(tmp_path: Path) -> None:
    command = REAL_COMMAND(Settings(data_dir=tmp_path))
    assert command[:5] == [sys.executable, "-m", "yearling", "lessons", "build"]
    assert command[-2:] == ["--data-dir", str(tmp_path)]
