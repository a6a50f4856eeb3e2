"""`/v1/jobs`: start what takes long, watch it, read its log and cancel it.

Jobs belong to the installation. Everybody may see that one runs; maintainers start and cancel them, and read their logs.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset, format_utc_offset_or_none
from yearling.api.jobs import schemas
from yearling.api.services import get_services, store_response
from yearling.loop import JobFolders, check_job_options, find_job_kind, list_job_kinds
from yearling.store import Job, Store

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]

JobId = Annotated[str, Path(description="ID of the job.")]


@router.post("/v1/jobs", operation_id="start_job", dependencies=_REQUIRE_MAINTAINER, response_model=schemas.JobView)
async def start_job(request: Request, body: JsonBody[schemas.JobRequest]) -> JsonResponse:
    """Start a job. It waits until the jobs before it have ended, and survives restarts of the server. Maintainers only."""
    person = current_person(request)

    def create(store: Store) -> JsonObject:
        kind = find_job_kind(body.kind)
        return job_view(store.jobs.create(kind.name, check_job_options(kind, body.options), person_id=person.id))

    response = await store_response(request, create)
    get_services(request).jobs.wake()
    return response


@router.get("/v1/jobs", operation_id="list_jobs", response_model=schemas.JobPage)
async def list_jobs(
    request: Request,
    kind: Annotated[str | None, Query(max_length=64, description="Return only jobs of this kind.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of jobs.")] = 50,
) -> JsonResponse:
    """List the jobs, newest first, and what else the server does in the background."""
    background = get_services(request).background_tasks()

    def query(store: Store) -> JsonObject:
        return {
            "object": "list",
            "data": [job_view(job) for job in store.jobs.list(kind=kind, limit=limit)],
            "background": [{"name": name, "working": is_working} for name, is_working in background],
        }

    return await store_response(request, query)


@router.get("/v1/jobs/kinds", operation_id="list_job_kinds", response_model=schemas.JobKindList)
async def list_kinds(request: Request) -> JsonResponse:
    """List the kinds of job that this server can start."""
    data = [
        {
            "name": kind.name,
            "title": kind.title,
            "resumable": kind.is_resumable,
            "options": [field.name for field in fields(kind.options)],
        }
        for kind in list_job_kinds()
    ]
    return JsonResponse({"object": "list", "data": data})


@router.get("/v1/jobs/{job_id}", operation_id="get_job", response_model=schemas.JobView)
async def get_job(request: Request, job_id: JobId) -> JsonResponse:
    """Return a job: its progress, and what came of it."""
    return await store_response(request, lambda store: job_view(store.jobs.get(job_id)))


@router.get("/v1/jobs/{job_id}/log", operation_id="get_job_log", dependencies=_REQUIRE_MAINTAINER, response_model=schemas.JobLog)
async def get_job_log(request: Request, job_id: JobId) -> JsonResponse:
    """Return what a job wrote. Maintainers only."""

    def read(store: Store) -> JsonObject:
        job = store.jobs.get(job_id)
        return {"object": "job.log", "id": job.id, "text": JobFolders.of(store.settings).read_log(job.id)}

    return await store_response(request, read)


@router.post(
    "/v1/jobs/{job_id}/cancel", operation_id="cancel_job", dependencies=_REQUIRE_MAINTAINER, response_model=schemas.JobView
)
async def cancel_job(request: Request, job_id: JobId) -> JsonResponse:
    """Cancel a job: at once if it is queued, after its current step if it runs. Maintainers only."""
    person = current_person(request)
    return await store_response(request, lambda store: job_view(store.jobs.request_cancel(job_id, actor=person.id)))


def job_view(job: Job) -> JsonObject:
    """A `JobView`."""
    return {
        "object": "job",
        "id": job.id,
        "kind": job.kind,
        "options": dict(job.options),
        "person_id": job.person_id,
        "state": job.state,
        "cancelling": job.state == "running" and job.cancel_utc is not None,
        "fraction": job.fraction,
        "progress": job.progress,
        "remaining_s": job.remaining_s,
        "reason": job.reason,
        "error": job.error,
        "result": None if job.result is None else dict(job.result),
        "cpu_s": job.cpu_s,
        "attempts": job.attempts,
        "created_utc": format_utc_offset(job.created_utc),
        "not_before_utc": format_utc_offset_or_none(job.not_before_utc),
        "started_utc": format_utc_offset_or_none(job.started_utc),
        "ended_utc": format_utc_offset_or_none(job.ended_utc),
    }
