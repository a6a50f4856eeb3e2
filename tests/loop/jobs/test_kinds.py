"""Options of jobs, hours of the day, and the mark that people wait."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from tests.loop.jobs.fake_worker import register
from yearling.config import Settings
from yearling.errors import BadInput, NotFound
from yearling.loop import JobFolders, PeopleWaitingMark, check_job_options, find_job_kind, is_quiet_now, last_due, parse_settings
from yearling.loop.jobs.yielding import MidStepPause, PausableMark, PeopleWaitingWatch


def test_options_are_completed_and_checked() -> None:
    register()
    kind = find_job_kind("count")
    assert check_job_options(kind, {"steps": 2, "pause_s": 1, "names": ["a"]}) == {
        "steps": 2, "pause_s": 1.0, "die_at": -1, "names": ["a"],
    }  # fmt: skip
    for values, param in (
        ({"stepps": 2}, "stepps"),
        ({"steps": "2"}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": -1}, "steps"),
        ({"steps": 10**15}, "steps"),
        ({"names": ["a" * 2001]}, "names"),
        ({"names": ["a"] * 201}, "names"),
        ({"names": "a"}, "names"),
    ):
        with pytest.raises(BadInput) as caught:
            check_job_options(kind, values)
        assert caught.value.param == param
    with pytest.raises(NotFound, match="no kind of job 'x'"):
        find_job_kind("x")


def test_settings_are_read_as_json_or_text() -> None:
    assert parse_settings(("a=1", "b=[1]", "c=x", "d=")) == {"a": 1, "b": [1], "c": "x", "d": ""}
    with pytest.raises(BadInput, match="no setting"):
        parse_settings(("=1",))


@pytest.mark.parametrize(
    ("hours", "time", "is_quiet"),
    [
        ("", "12:00", False),
        ("09:00-17:00", "08:59", False),
        ("09:00-17:00", "09:00", True),
        ("09:00-17:00", "17:00", False),
        ("22:00-06:00", "23:30", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "12:00", False),
    ],
)
def test_quiet_hours_can_cross_midnight(hours: str, time: str, is_quiet: bool) -> None:
    assert is_quiet_now(hours, datetime.fromisoformat(f"2026-12-01T{time}")) is is_quiet


def test_daily_time_was_last_due_today_or_yesterday() -> None:
    noon = datetime(2026, 12, 1, 12)
    assert last_due("02:00", noon) == datetime(2026, 12, 1, 2)
    assert last_due("13:00", noon) == datetime(2026, 11, 30, 13)
    assert last_due("", noon) is None


def test_jobs_see_that_people_wait(tmp_path: Path) -> None:
    path = tmp_path / "mark"
    mark, other, watch = PeopleWaitingMark(path), PeopleWaitingMark(path), PeopleWaitingWatch(path, max_pause_s=0.1)
    assert not watch.is_somebody_waiting()
    mark.set(True)
    other.set(True)
    mark.set(False)
    assert watch.is_somebody_waiting()
    checks: list[None] = []
    watch.wait(lambda: checks.append(None))
    assert checks
    assert 0.1 <= watch.paused_s < 5
    other.close()  # also what the system does for a server that is killed
    assert not watch.is_somebody_waiting()
    mark.set(True)
    assert watch.is_somebody_waiting()


def test_machine_keeps_its_id(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    machine = JobFolders.of(settings).machine()
    assert JobFolders.of(settings).machine() == machine
    (JobFolders.of(settings).root / "machine").write_text("damaged")
    assert len(JobFolders.of(settings).machine()) == 36
    with pytest.raises(NotFound):
        JobFolders.of(settings).job("../../etc")


def test_long_log_is_cut_at_whole_lines(tmp_path: Path) -> None:
    folders = JobFolders.of(Settings(data_dir=tmp_path / "data"))
    job_id = folders.machine()
    assert folders.read_log(job_id) == ""
    folders.prepare(job_id, is_new=True)
    folders.log(job_id).write_bytes(b"first line\n" + b"another line\n" * 200_000)
    assert folders.read_log(job_id, max_bytes=30) == "another line\nanother line\n"
    folders.cut_log(job_id)
    assert folders.log(job_id).stat().st_size <= 1_000_000


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def is_stopped(process: subprocess.Popen[bytes]) -> bool:
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def test_process_is_stopped_while_people_wait_and_it_only_computes(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    mark, job = PeopleWaitingMark(tmp_path / "people"), PausableMark(tmp_path / "pausable")
    watch = PeopleWaitingWatch(tmp_path / "people")
    with closing(MidStepPause(watch, tmp_path / "pausable", process.pid, max_pause_s=0.2, min_run_s=0.3)) as pause:
        mark.set(True)
        pause.update()
        assert not is_stopped(process)  # it may hold a lock of the database
        with job.computing():
            mark.set(False)
            pause.update()
            assert not is_stopped(process)
            mark.set(True)
            pause.update()
            assert is_stopped(process)
            mark.set(False)
            pause.update()
            assert not is_stopped(process)
            mark.set(True)
            pause.update()
            time.sleep(0.25)
            pause.update()
            pause.update()
            assert not is_stopped(process)  # a busy server must not stop it for ever
            time.sleep(0.35)
            pause.update()
            assert is_stopped(process)
    assert not is_stopped(process)
    assert pause.paused_s >= 0.2
