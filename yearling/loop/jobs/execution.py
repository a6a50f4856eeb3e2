"""Runs one job in this process, from its record to its result. The worker (`worker.py`) starts the process and decides what
follows if it ends without a result.
"""

from __future__ import annotations

import os
import traceback

from yearling.config import Settings
from yearling.errors import UserError
from yearling.files.locks import exclusive_lock
from yearling.loop.jobs.context import JobContext, JobStoppedError
from yearling.loop.jobs.folders import JobFolders
from yearling.loop.jobs.kinds import find_job_kind, read_options
from yearling.loop.jobs.yielding import PausableMark, PeopleWaitingWatch, end_with_parent, lower_priority
from yearling.store import Store

LOST_PROCESS_S = 90.0
"""How long an attempt waits for the process of the attempt before it, which hears late of its end if it is on another machine."""
INTERNAL_ERROR = "Internal error:"
"""How the error of a job begins that failed because of a mistake in the program."""
STOPPED_STATUS = 75
"""Exit status of a job that ended because it was asked to (EX_TEMPFAIL)."""


def execute_job(settings: Settings, job_id: str, *, parent: int) -> int:
    """Run a job that is marked as running, and store how it ended. Returns the exit status of the process.

    `parent` is the id of the worker's process, without which this one ends. Call it from the main thread of a fresh process.
    """
    end_with_parent(parent)
    lower_priority(settings.job_priority)
    folders = JobFolders.of(settings)
    lock = folders.job_lock(job_id)
    with exclusive_lock(lock, timeout_s=LOST_PROCESS_S), Store.open(settings, lock_timeout_s=30.0) as store:
        job = store.jobs.get(job_id)
        if job.state != "running":
            return 0
        kind = find_job_kind(job.kind)
        people = PeopleWaitingWatch(folders.people_wait)
        pausable = PausableMark(folders.pausable(job.id))
        work = folders.prepare(job.id, is_new=job.attempts <= 1 or not kind.is_resumable)
        context: JobContext | None = None
        try:
            context = JobContext(
                settings,
                store,
                job_id=job.id,
                options=read_options(kind, job.options),
                folder=work,
                people=people,
                pausable=pausable,
                attempt=job.attempts,
                earlier_cpu_s=job.cpu_s,
            )
            context.stop_on_signals()
            context.log(f"{kind.title}: attempt {job.attempts}, process {os.getpid()}.")
            result = kind.run(context)
            context.log(
                f"Done after {context.cpu_s():.0f} processor seconds; paused {people.paused_s:.0f} s for people between steps."
            )
            store.jobs.finish(job.id, "done", result=result, cpu_s=context.cpu_s())
        except JobStoppedError:
            return STOPPED_STATUS
        except UserError as error:
            print(f"Error: {error}", flush=True)
            store.jobs.finish(job.id, "failed", error=str(error), cpu_s=context.cpu_s() if context else job.cpu_s)
        except Exception as error:
            traceback.print_exc()
            text = f"{INTERNAL_ERROR} {type(error).__name__}: {error}. The log of the job has the details for a bug report."
            store.jobs.finish(job.id, "failed", error=text, cpu_s=context.cpu_s() if context else job.cpu_s)
        finally:
            people.close()
            pausable.close()
    return 0
