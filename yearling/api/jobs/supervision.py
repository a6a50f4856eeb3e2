"""The server's part in jobs: it starts a worker when a job is due, queues cycles by the clock or by the number of lessons, and
marks that people wait.

The worker is a process of its own (`yearling.loop`). When the server is stopped, the worker is asked to end after the current
step, and the job goes on at the next start. When the server is killed, the worker simply goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

import structlog

from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import Conflict, NotFound, UserError
from yearling.loop import (
    JobFolders,
    PeopleWaitingMark,
    ask_worker_to_end,
    check_job_options,
    find_job_kind,
    is_quiet_now,
    is_worker_running,
    last_due,
    start_worker,
)
from yearling.store import Store
from yearling.tracebacks import describe_exception

POLL_S = 5.0
"""How often the server looks for jobs that other processes queued."""
CYCLE_KIND = "cycle"
_SCHEDULE_POLL_S = 60.0

_log = structlog.get_logger("yearling.api")


class AnswerActivity(Protocol):
    """Who generates on this server."""

    @property
    def num_answers(self) -> int:
        """Answers that people's requests run or wait for."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call this whenever the number changes."""
        ...


class JobSupervisor:
    """Starts workers for one server. Use from one event loop."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        activity: AnswerActivity,
        *,
        count_lessons: Callable[[], int] = lambda: 0,
        worker: Sequence[str] | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        """`count_lessons` returns how many lessons wait; it blocks. `worker` is the command line of a worker."""
        self._settings, self._store, self._activity = settings, store, activity
        self._count_lessons = count_lessons
        self._worker = worker
        self._poll_s = poll_s
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._mark: PeopleWaitingMark | None = None
        self._started = datetime.now()
        self._scheduled_s = 0.0
        self._schedule = settings.cycle_at, settings.cycle_lessons
        self._problem = ""
        activity.on_change(self._mark_people)

    def start(self) -> None:
        """Start to look for jobs."""
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    @property
    def schedule(self) -> tuple[str, int]:
        """When cycles are queued: the time of day, and the number of waiting lessons; empty and 0 mean never."""
        return self._schedule

    def set_schedule(self, at: str, lessons: int) -> None:
        """Queue cycles at another time from now on."""
        self._schedule = at, lessons
        self._started = datetime.now()
        self.wake()

    async def close(self) -> None:
        """Stop looking, and ask a running worker to end after its step."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            try:
                await asyncio.to_thread(self._pause_worker)
            except UserError as error:  # the server goes on closing, above all its answers
                _log.warning("job_not_paused", reason=str(error))
        mark, self._mark = self._mark, None
        if mark is not None:
            mark.close()

    def _mark_people(self) -> None:
        if self._mark is not None:
            self._mark.set(self._activity.num_answers > 0)

    async def _run(self) -> None:
        while True:
            try:
                if self._mark is None:
                    folders = await asyncio.to_thread(JobFolders.of, self._settings)
                    self._mark = PeopleWaitingMark(folders.people_wait)
                self._mark_people()
                await asyncio.to_thread(self._look)
                self._problem = ""
            except UserError as error:
                if str(error) != self._problem:  # a full disk is not worth a line every few seconds
                    _log.warning("jobs_not_started", reason=str(error))
                self._problem = str(error)
            except Exception as error:
                _log.error("jobs_not_started", **describe_exception(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()
            self._wake.clear()

    def _look(self) -> None:
        """Start a worker if there is something to do and nobody does it."""
        now = datetime.now()
        if now.timestamp() - self._scheduled_s > _SCHEDULE_POLL_S:
            self._scheduled_s = now.timestamp()
            self._start_due_cycle(now)
        is_lost = bool(self._store.jobs.list(states={"running"}, machine=self._machine(), limit=1))
        is_due = is_lost or self._store.jobs.next_due(self._machine()) is not None
        if is_due and not is_quiet_now(self._settings.quiet_hours, now) and not is_worker_running(self._settings):
            start_worker(self._settings, self._worker)

    def _start_due_cycle(self, now: datetime) -> None:
        """Queue a cycle if the clock says so, or if enough lessons wait and somebody judged since the last one."""
        cycles = self._store.jobs.list(kind=CYCLE_KIND, limit=20)
        if any(job.state in ("queued", "running") for job in cycles):
            return
        reason = ""
        at, lessons = self._schedule
        due = last_due(at, now)
        latest = max((job.created_utc.astimezone().replace(tzinfo=None) for job in cycles), default=None)
        if due is not None and due > (latest or self._started):
            reason = f"It is {at}."
        elif lessons:
            known = max((int(job.options.get("up_to", 0)) for job in cycles), default=-1)
            if self._store.events.head().sequence > known and self._count_lessons() >= lessons:
                reason = f"{lessons} lessons wait."
        if reason:
            try:
                kind = find_job_kind(CYCLE_KIND)
                options = check_job_options(kind, {"why": reason, "up_to": self._store.events.head().sequence})
                self._store.jobs.create(kind.name, options, person_id=None)
            except (NotFound, Conflict) as error:
                _log.warning("cycle_not_started", reason=str(error), time=now_utc().isoformat())

    def _machine(self) -> str:
        return JobFolders.of(self._settings).machine()

    def _pause_worker(self) -> None:
        if is_worker_running(self._settings):
            ask_worker_to_end(self._settings)
