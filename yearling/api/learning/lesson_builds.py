"""Builds of lesson sets for the page: jobs of the kind `lessons`, one at a time, and what became of the newest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from yearling.errors import Conflict
from yearling.loop import INTERNAL_ERROR, check_job_options, find_job_kind
from yearling.store import Job, Store

BuildState = Literal["idle", "running", "finished", "failed"]

_KIND = "lessons"


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonBuild:
    """The newest build. `lesson_set` and `version` name the set of a finished one; `is_new` is False if nothing had changed."""

    state: BuildState = "idle"
    started_utc: datetime | None = None
    finished_utc: datetime | None = None
    message: str = ""
    lesson_set: str | None = None
    version: int | None = None
    is_new: bool | None = None


def start_lesson_build(store: Store, *, person_id: str) -> LessonBuild:
    """Queue a build. Raises Conflict while one is queued or running."""
    if store.jobs.list(kind=_KIND, states={"queued", "running"}, limit=1):
        raise Conflict("The lessons are being built already.", advice="Wait until this build has finished.")
    store.jobs.create(_KIND, check_job_options(find_job_kind(_KIND), {}), person_id=person_id)
    return read_lesson_build(store)


def read_lesson_build(store: Store) -> LessonBuild:
    """The state of the newest build."""
    job = next(iter(store.jobs.list(kind=_KIND, limit=1)), None)
    if job is None:
        return LessonBuild()
    started_utc = job.started_utc or job.created_utc
    if job.state in ("queued", "running"):
        return LessonBuild(state="running", started_utc=started_utc, message=job.reason)
    if job.state != "done" or job.result is None:
        return LessonBuild(
            state="failed",
            started_utc=started_utc,
            finished_utc=job.ended_utc,
            message=_failure_message(job),
        )
    version, is_new = int(str(job.result["version"])), bool(job.result["is_new"])
    return LessonBuild(
        state="finished",
        started_utc=started_utc,
        finished_utc=job.ended_utc,
        message=f"Built lesson set {version}." if is_new else "The lessons are up to date: nothing changed since the last build.",
        lesson_set=str(job.result["hash"]),
        version=version,
        is_new=is_new,
    )


def _failure_message(job: Job) -> str:
    if job.state == "cancelled":
        return "The build was cancelled."
    if job.error.startswith(INTERNAL_ERROR):
        return "The build failed because of a mistake in Yearling. The log of its job has the details for a bug report."
    return job.error
