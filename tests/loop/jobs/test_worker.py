"""Jobs in real processes: results, failures, kills, cancelling, and that none runs twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.loop.jobs.fake_worker import fake_worker_command, make_worker, register
from yearling.config import Settings
from yearling.loop import JobFolders, PeopleWaitingMark, ask_worker_to_end, is_worker_running
from yearling.store import Job, Store

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _kinds() -> None:
    register()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings) as store:
        yield store


def queue(store: Store, kind: str = "count", **options: object) -> Job:
    return store.jobs.create(kind, options, person_id=None)


def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for thirty seconds")


def start(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen(fake_worker_command(settings.data_dir))


def lines(settings: Settings, job: Job) -> list[str]:
    path = JobFolders.of(settings).job(job.id) / "files" / "lines"
    return path.read_text().split() if path.exists() else []


def test_jobs_run_in_order_and_store_their_results(store: Store, settings: Settings) -> None:
    first, second = queue(store), queue(store, steps=2)
    assert make_worker(settings.data_dir).run() == 2
    ended = store.jobs.get(first.id)
    assert (ended.state, ended.result, ended.fraction) == ("done", {"lines": ["1", "1", "1"]}, 1.0)
    assert ended.cpu_s > 0
    assert ended.started_utc is not None
    assert ended.ended_utc is not None
    later = store.jobs.get(second.id)
    assert later.started_utc is not None
    assert later.started_utc >= ended.ended_utc
    assert "Count: attempt 1" in JobFolders.of(settings).read_log(first.id)


def test_failures_say_why_and_hide_internals(store: Store, settings: Settings) -> None:
    advised, broken, unknown = queue(store, "fail", steps=0), queue(store, "fail"), queue(store, "no such kind")
    make_worker(settings.data_dir).run()
    assert store.jobs.get(advised.id).error == "It cannot be done. Do something else."
    assert store.jobs.get(broken.id).error.startswith("Internal error: RuntimeError")
    assert "Traceback" in JobFolders.of(settings).read_log(broken.id)
    assert store.jobs.get(unknown.id).state == "failed"


def test_job_goes_on_after_its_process_died(store: Store, settings: Settings) -> None:
    resumable, anew = queue(store, steps=4, die_at=2), queue(store, "anew", steps=4, die_at=2)
    make_worker(settings.data_dir).run()
    assert store.jobs.get(resumable.id).result == {"lines": ["1", "1", "2", "2"]}
    assert store.jobs.get(anew.id).result == {"lines": ["2", "2", "2", "2"]}
    assert store.jobs.get(anew.id).attempts == 2


def test_job_that_always_dies_is_given_up(store: Store, settings: Settings) -> None:
    job, next_job = queue(store, "die"), queue(store)
    make_worker(settings.data_dir).run()
    ended = store.jobs.get(job.id)
    assert (ended.state, ended.attempts) == ("failed", 5)
    assert "signal 9" in ended.error
    assert store.jobs.get(next_job.id).state == "done"


def test_killed_worker_takes_its_job_with_it_and_the_next_one_goes_on(store: Store, settings: Settings) -> None:
    job = queue(store, steps=40, pause_s=0.05)
    worker = start(settings)
    wait_until(lambda: len(lines(settings, job)) >= 3)
    children = psutil.Process(worker.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    assert store.jobs.get(job.id).state == "running"
    make_worker(settings.data_dir).run(wait_s=5.0)
    ended = store.jobs.get(job.id)
    assert (ended.state, ended.attempts) == ("done", 2)
    assert ended.result is not None
    assert len(ended.result["lines"]) == 40
    assert ended.result["lines"] == sorted(ended.result["lines"])


def test_two_workers_never_run_at_once(store: Store, settings: Settings) -> None:
    jobs = [queue(store, steps=5, pause_s=0.02) for _ in range(4)]
    workers = [start(settings) for _ in range(3)]
    for worker in workers:
        worker.wait(60)
    make_worker(settings.data_dir).run(wait_s=5.0)
    ended = [store.jobs.get(job.id) for job in jobs]
    assert [job.state for job in ended] == ["done"] * 4
    assert [job.attempts for job in ended] == [1] * 4
    assert [job.result for job in ended] == [{"lines": ["1"] * 5}] * 4


def test_running_job_is_cancelled_after_its_step_or_by_force(store: Store, settings: Settings) -> None:
    owner = store.people.owner().id
    polite, stubborn = queue(store, steps=1000, pause_s=0.05), queue(store, "ignore")
    worker = start(settings)
    wait_until(lambda: lines(settings, polite))
    store.jobs.request_cancel(polite.id, actor=owner)
    wait_until(lambda: store.jobs.get(polite.id).state == "cancelled")
    wait_until(lambda: store.jobs.get(stubborn.id).state == "running")
    store.jobs.request_cancel(stubborn.id, actor=owner)
    wait_until(lambda: store.jobs.get(stubborn.id).state == "cancelled")
    worker.wait(30)
    assert not is_worker_running(settings)


@pytest.mark.parametrize("how", ["signal", "request"])
def test_stopped_worker_leaves_its_job_for_the_next(store: Store, settings: Settings, how: str) -> None:
    job = queue(store, steps=60, pause_s=0.05)
    worker = start(settings)
    wait_until(lambda: lines(settings, job))
    if how == "signal":
        worker.terminate()
    else:
        ask_worker_to_end(settings)
    worker.wait(30)
    stopped = store.jobs.get(job.id)
    assert (stopped.state, stopped.crashes) == ("queued", 0)
    assert stopped.reason.startswith("The server was stopped.")
    make_worker(settings.data_dir).run()
    ended = store.jobs.get(job.id)
    assert ended.state == "done"
    assert ended.result is not None
    assert {"1", "2"} == set(ended.result["lines"])
    assert len(ended.result["lines"]) == 60


def test_quiet_hours_keep_jobs_waiting(store: Store, tmp_path: Path) -> None:
    settings = Settings(data_dir=store.settings.data_dir, quiet_hours="00:00-23:59", job_priority="normal")
    job = queue(store)
    worker = make_worker(store.settings.data_dir)
    worker._settings = settings
    assert worker.run() == 0
    assert store.jobs.get(job.id).state == "queued"


def ticks(settings: Settings, job: Job) -> int:
    path = JobFolders.of(settings).job(job.id) / "files" / "ticks"
    return len(path.read_text()) if path.exists() else 0


def test_job_is_stopped_in_the_middle_of_a_step_while_people_wait(store: Store, settings: Settings) -> None:
    job = queue(store, "compute", steps=1000)
    worker = start(settings)
    try:
        wait_until(lambda: ticks(settings, job) > 0)
        mark = PeopleWaitingMark(JobFolders.of(settings).people_wait)
        mark.set(True)
        time.sleep(0.3)
        before = ticks(settings, job)
        time.sleep(0.5)
        assert ticks(settings, job) == before
        mark.set(False)
        wait_until(lambda: ticks(settings, job) > before)
        mark.set(True)
        time.sleep(0.3)
        store.jobs.request_cancel(job.id, actor="test")  # a stopped process hears it too
        wait_until(lambda: store.jobs.get(job.id).state == "cancelled")
    finally:
        worker.terminate()
        worker.wait()


def test_job_that_may_hold_locks_is_not_stopped(store: Store, settings: Settings) -> None:
    job = queue(store, "compute", steps=10, names=["outside"])
    mark = PeopleWaitingMark(JobFolders.of(settings).people_wait)
    mark.set(True)
    make_worker(settings.data_dir).run()
    assert store.jobs.get(job.id).state == "done"


def test_stopped_job_ends_with_a_killed_worker(store: Store, settings: Settings) -> None:
    job = queue(store, "compute", steps=1000)
    worker = start(settings)
    wait_until(lambda: ticks(settings, job) > 0)
    children = psutil.Process(worker.pid).children()
    mark = PeopleWaitingMark(JobFolders.of(settings).people_wait)
    mark.set(True)
    wait_until(lambda: any(child.status() == psutil.STATUS_STOPPED for child in children))
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    wait_until(lambda: not is_worker_running(settings))  # the system closes the files of its threads a moment later
    assert store.jobs.get(job.id).state == "running"
