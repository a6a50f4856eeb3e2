"""`/v1/runs`: training runs, their progress and metrics; stop a run and resume it.

The server never trains. A run is a process of its own: a file asks it to stop, and a job goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter, event_stream
from yearling.api.http.sse import DONE, EventStreamResponse, format_event
from yearling.api.http.times import format_utc_offset, format_utc_offset_or_none
from yearling.api.learning import run_schemas as schemas
from yearling.api.services import get_services, store_response
from yearling.errors import Conflict
from yearling.loop import check_job_options, find_job_kind
from yearling.records import Run
from yearling.store import Store, TrainingRunStore

router = ApiRouter(dependencies=[require_role("reader")])

POLL_INTERVAL_S = 0.5

RunId = Annotated[str, Path(description="ID of the run.")]
AfterStep = Annotated[int, Query(ge=-1, le=2**53, description="Return only steps after this one; -1 for all.")]


@router.get("/v1/runs", operation_id="list_runs", response_model=schemas.RunList)
async def list_runs(request: Request) -> JsonResponse:
    """List all training runs, newest first."""

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": [_run_view(run) for run in store.runs.list()]}

    return await store_response(request, query)


@router.get("/v1/runs/{run_id}", operation_id="get_run", response_model=schemas.RunDetail)
async def get_run(request: Request, run_id: RunId) -> JsonResponse:
    """Return a run with its recorded facts: config, hashes, versions, machine and command."""

    def query(store: Store) -> JsonObject:
        run = store.runs.get(run_id)
        return _run_view(run) | {"facts": run.facts}

    return await store_response(request, query)


@router.get("/v1/runs/{run_id}/metrics", operation_id="get_run_metrics", response_model=schemas.RunMetrics)
async def get_run_metrics(request: Request, run_id: RunId, after: AfterStep = -1) -> JsonResponse:
    """Return the metrics of each step, oldest first."""

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": store.runs.read_metrics(run_id, after_step=after)}

    return await store_response(request, query)


@router.get(
    "/v1/runs/{run_id}/metrics/stream",
    operation_id="stream_run_metrics",
    response_model=schemas.RunMetrics,
    responses=event_stream(schemas.MetricsLine),
)
async def stream_run_metrics(request: Request, run_id: RunId, after: AfterStep = -1) -> EventStreamResponse:
    """Stream a run's metrics: a `metrics` event per step, a `run` event when its state changes, and `[DONE]` when it ends."""
    runs = _get_run_store(request)
    await asyncio.to_thread(runs.get, run_id)
    return EventStreamResponse(_follow_metrics(runs, run_id, after))


@router.post(
    "/v1/runs/{run_id}/stop",
    operation_id="stop_run",
    dependencies=[require_role("maintainer")],
    response_model=schemas.RunView,
)
async def stop_run(request: Request, run_id: RunId) -> JsonResponse:
    """Ask a run to stop after its current step. It can be resumed. Maintainers only."""
    return await store_response(request, lambda store: _run_view(store.runs.request_stop(run_id)))


@router.post(
    "/v1/runs/{run_id}/resume",
    operation_id="resume_run",
    dependencies=[require_role("maintainer")],
    response_model=schemas.RunView,
)
async def resume_run(request: Request, run_id: RunId) -> JsonResponse:
    """Resume a run from its last checkpoint, as a job. Maintainers only."""
    person = current_person(request)

    def resume(store: Store) -> JsonObject:
        run = store.runs.get(run_id)
        if run.state in ("running", "finished"):
            raise Conflict(f"The run {run_id} is {run.state}.", advice="Only a run that has stopped can be resumed.")
        kind = find_job_kind("resume-run")
        waiting = store.jobs.list(kind=kind.name, states={"queued", "running"}, limit=None)
        if any(job.options.get("run") == run_id for job in waiting):
            raise Conflict(f"The run {run_id} is about to go on.", advice="`yearling jobs list` shows what runs before it.")
        store.jobs.create(kind.name, check_job_options(kind, {"run": run_id}), person_id=person.id)
        return _run_view(run)

    response = await store_response(request, resume)
    get_services(request).jobs.wake()
    return response


async def _follow_metrics(runs: TrainingRunStore, run_id: str, after: int) -> AsyncGenerator[bytes, None]:
    tail, last_state = runs.tail_metrics(run_id, after_step=after), ""
    while True:
        # Read the state before the lines: if the run has ended, these lines are the last.
        run = await asyncio.to_thread(runs.get, run_id)
        for line in await asyncio.to_thread(tail.read):
            yield format_event(line, name="metrics")
        if run.state != last_state:
            last_state = run.state
            yield format_event(_run_view(run), name="run")
        if run.state != "running":
            yield DONE
            return
        await asyncio.sleep(POLL_INTERVAL_S)


def _get_run_store(request: Request) -> TrainingRunStore:
    return get_services(request).store.runs


def _run_view(run: Run) -> JsonObject:
    fields = asdict(run)
    fields.pop("facts")
    updated_utc = format_utc_offset_or_none(run.updated_utc)
    return {"object": "run", **fields, "created_utc": format_utc_offset(run.created_utc), "updated_utc": updated_utc}
