"""Jobs: everything that takes long, as records. Who runs a job, in which process and at what priority, is not known here.

A job is queued until a machine takes it, runs at most once at a time, and is queued again if its process is lost. Every change of
state is one conditional UPDATE, so that two processes never both make it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store.audit import append_audit_entry
from yearling.store.database.database import Database
from yearling.store.database.learning_schema import jobs
from yearling.store.database.packing import pack_canonical_json
from yearling.store.database.schema import TableRow

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
EndState = Literal["done", "failed", "cancelled"]
END_STATES: tuple[JobState, ...] = ("done", "failed", "cancelled")

CANCEL_FORCED_AFTER = timedelta(minutes=5)

MAX_QUEUED_JOBS = 100
MAX_JOB_TEXT_CHARS = 2000
"""Length of a progress text, a reason or an error. Longer ones are cut."""
MAX_JOB_OPTIONS_BYTES = 20_000
MAX_JOB_RESULT_BYTES = 1_000_000
_SYSTEM = "yearling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. `fraction` is its progress from 0 to 1. `crashes` counts the attempts in a row that ended without progress.

    `reason` says why a queued job waits although it had begun. `result` is None before the job is done. A cancelled job that
    still runs has a `cancel_utc`.
    """

    id: str
    kind: str
    options: Mapping[str, Any]
    person_id: str | None
    state: JobState
    created_utc: datetime
    reason: str = ""
    machine: str = ""
    fraction: float = 0.0
    progress: str = ""
    remaining_s: float | None = None
    result: Mapping[str, Any] | None = None
    error: str = ""
    cpu_s: float = 0.0
    attempts: int = 0
    crashes: int = 0
    not_before_utc: datetime | None = None
    started_utc: datetime | None = None
    updated_utc: datetime | None = None
    ended_utc: datetime | None = None
    cancel_utc: datetime | None = None


JobRecords = list[Job]


class JobStore:
    """The jobs of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, kind: str, options: Mapping[str, object], *, person_id: str | None, not_before_utc: datetime | None = None
    ) -> Job:
        """Queue a job, and record it in the audit log. Without a person, the installation itself asks for it.

        Raises BadInput for options that are no JSON or too large, Conflict if too many jobs wait.
        """
        packed = pack_canonical_json(options)
        if len(packed) > MAX_JOB_OPTIONS_BYTES:
            raise BadInput(f"The options of a job have at most {MAX_JOB_OPTIONS_BYTES} bytes.", param="options")
        job = Job(
            id=new_id(),
            kind=kind,
            options=json.loads(packed),
            person_id=person_id,
            state="queued",
            created_utc=now_utc(),
            not_before_utc=not_before_utc,
        )
        values = {name: getattr(job, name) for name in Job.__dataclass_fields__}
        with self._database.write() as connection:
            waiting = connection.scalar(sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == "queued")) or 0
            if waiting >= MAX_QUEUED_JOBS:
                raise Conflict(f"{waiting} jobs wait already.", advice="Cancel some, or wait until they are done.")
            connection.execute(jobs.insert().values({**values, "options": packed, "result": ""}))
            append_audit_entry(connection, person_id or _SYSTEM, "job.create", job.id, {"kind": kind, "options": job.options})
        return job

    def get(self, job_id: str) -> Job:
        """A job by its id. Raises NotFound."""
        with self._database.read() as connection:
            return _require_job(connection, job_id)

    def find(self, name: str) -> Job:
        """A job by its id, by the beginning or end of its id, or `latest`. Raises NotFound, BadInput if several match."""
        if name == "latest":
            found = self.list(limit=1)
        else:
            pattern = name.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")[:36]
            matching = sa.or_(jobs.c.id.like(f"{pattern}%", escape="\\"), jobs.c.id.like(f"%{pattern}", escape="\\"))
            with self._database.read() as connection:
                rows = connection.execute(sa.select(jobs).where(matching).order_by(jobs.c.id.desc()).limit(2)).all()
            found = [_job_from_row(row) for row in rows if name]
        if not found:
            raise _no_such_job(name)
        if len(found) > 1:
            raise BadInput(f"Several jobs match {name[:100]!r}.", advice="Give more of the id: its end is unique.", param="job")
        return found[0]

    def list(
        self,
        *,
        states: Collection[JobState] | None = None,
        kind: str | None = None,
        machine: str | None = None,
        limit: int | None = 100,
    ) -> JobRecords:
        """Jobs, newest first: of some states, of one kind, or taken by one machine."""
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if states is not None:
            query = query.where(jobs.c.state.in_(states))
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if machine is not None:
            query = query.where(jobs.c.machine == machine)
        with self._database.read() as connection:
            return [_job_from_row(row) for row in connection.execute(query)]

    def costs_by_kind(self) -> dict[str, tuple[int, float]]:
        """(number, processor seconds) of the jobs that have begun, by kind."""
        begun = sa.select(jobs.c.kind, sa.func.count(), sa.func.sum(jobs.c.cpu_s)).where(jobs.c.attempts > 0)
        with self._database.read() as connection:
            rows = connection.execute(begun.group_by(jobs.c.kind)).all()
        return {kind: (int(count), float(cpu_s)) for kind, count, cpu_s in rows}

    def next_due(self, machine: str) -> Job | None:
        """The oldest queued job that this machine may take now; None if there is none."""
        with self._database.read() as connection:
            row = connection.execute(_due(machine)).first()
        return _job_from_row(row) if row is not None else None

    def claim(self, machine: str) -> Job | None:
        """Take the oldest job that is due: it runs from now on. None if there is none."""
        with self._database.write() as connection:
            row = connection.execute(_due(machine).with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            now = now_utc()
            changes = {"state": "running", "machine": machine, "updated_utc": now, "attempts": row.attempts + 1}
            changes |= {"reason": "", "started_utc": row.started_utc or now}
            connection.execute(jobs.update().where(jobs.c.id == row.id).values(changes))
            return _require_job(connection, row.id)

    def report(self, job_id: str, *, fraction: float, progress: str, remaining_s: float | None, cpu_s: float) -> None:
        """Record the progress of a running job. Progress ends its row of crashes. A job that runs no more stays as it is."""
        known = jobs.c.fraction
        values = {
            "fraction": fraction,
            "progress": _cut(progress),
            "remaining_s": remaining_s,
            "cpu_s": cpu_s,
            "updated_utc": now_utc(),
            "crashes": sa.case((known < fraction - 0.001, 0), else_=jobs.c.crashes),
        }
        with self._database.write() as connection:
            connection.execute(_running(job_id).values(values))

    def finish(
        self, job_id: str, state: EndState, *, result: Mapping[str, object] | None = None, error: str = "", cpu_s: float = 0.0
    ) -> bool:
        """End a running job. Returns False, and changes nothing, if it does not run."""
        packed = "" if result is None else pack_canonical_json(result)
        if len(packed) > MAX_JOB_RESULT_BYTES:
            raise BadInput(f"The result of a job has at most {MAX_JOB_RESULT_BYTES} bytes.")
        now = now_utc()
        values: dict[str, object] = {"state": state, "result": packed, "error": _cut(error), "remaining_s": None, "reason": ""}
        values |= {"ended_utc": now, "updated_utc": now, "cpu_s": _larger(cpu_s)}
        if state == "done":
            values["fraction"] = 1.0
        with self._database.write() as connection:
            return bool(connection.execute(_running(job_id).values(values)).rowcount)

    def requeue(self, job_id: str, reason: str, *, is_crash: bool, cpu_s: float = 0.0) -> bool:
        """Queue a running job again, at its old place. Returns False if it does not run."""
        values: dict[str, object] = {"state": "queued", "reason": _cut(reason), "remaining_s": None, "updated_utc": now_utc()}
        values |= {"crashes": jobs.c.crashes + int(is_crash), "cpu_s": _larger(cpu_s)}
        with self._database.write() as connection:
            return bool(connection.execute(_running(job_id).values(values)).rowcount)

    def request_cancel(self, job_id: str, *, actor: str) -> Job:
        """Cancel a queued job at once; ask a running one to end. Raises NotFound, Conflict if it has ended.

        Asking again after `CANCEL_FORCED_AFTER` ends a job whose machine is gone, such as one in a restored backup.
        """
        with self._database.write() as connection:
            job = _require_job(connection, job_id, is_locked=True)
            if job.state in END_STATES:
                raise Conflict(f"The job {job.id} is {job.state} already.", advice="There is nothing to cancel.")
            now = now_utc()
            values: dict[str, object] = {"cancel_utc": job.cancel_utc or now, "updated_utc": now}
            is_lost = job.cancel_utc is not None and now - job.cancel_utc > CANCEL_FORCED_AFTER
            if job.state == "queued" or is_lost:
                values |= {"state": "cancelled", "ended_utc": now, "reason": ""}
            connection.execute(jobs.update().where(jobs.c.id == job.id).values(values))
            if job.cancel_utc is None:
                append_audit_entry(connection, actor, "job.cancel", job.id, {"kind": job.kind})
            return _require_job(connection, job.id)


def _larger(cpu_s: float) -> sa.ColumnElement[float]:
    """The known processor time or this one, whichever is larger: both are totals over all attempts."""
    return sa.case((jobs.c.cpu_s < cpu_s, cpu_s), else_=jobs.c.cpu_s)


def _due(machine: str) -> sa.Select[Any]:
    is_due = sa.or_(jobs.c.not_before_utc.is_(None), jobs.c.not_before_utc <= now_utc())
    is_ours = jobs.c.machine.in_(("", machine))
    return sa.select(jobs).where(jobs.c.state == "queued", is_due, is_ours).order_by(jobs.c.id).limit(1)


def _running(job_id: str) -> sa.Update:
    return jobs.update().where(jobs.c.id == job_id, jobs.c.state == "running")


def _require_job(connection: Connection, job_id: str, *, is_locked: bool = False) -> Job:
    query = sa.select(jobs).where(jobs.c.id == job_id)
    row = connection.execute(query.with_for_update() if is_locked else query).first()
    if row is None:
        raise _no_such_job(job_id)
    return _job_from_row(row)


def _no_such_job(name: str) -> NotFound:
    return NotFound(f"There is no job {name[:100]!r}.", advice="`yearling jobs list` shows the jobs.", param="job")


def _job_from_row(row: TableRow) -> Job:
    values = dict(row._mapping)
    result = json.loads(values["result"]) if values["result"] else None
    return Job(**{**values, "options": json.loads(values["options"]), "result": result})


def _cut(text: str) -> str:
    return text if len(text) <= MAX_JOB_TEXT_CHARS else f"{text[: MAX_JOB_TEXT_CHARS - 1]}…"
