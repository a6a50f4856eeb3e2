"""`/v1/runs`: what is being trained, how far it is, its figures as they come; stopping a run and going on with it.

The server never trains: a run is a process of its own, which is asked to stop by a file and started again by the command line.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from yearling.api.access.policy import require_role
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import response_docs
from yearling.api.http.sse import DONE, EventStreamResponse, format_event
from yearling.api.learning import run_schemas as schemas
from yearling.api.services import get_services
from yearling.config import Settings
from yearling.errors import Conflict
from yearling.records import Run
from yearling.store import TrainingRunStore

router = APIRouter(dependencies=[require_role("reader")])

POLL_INTERVAL_S = 0.5
_resume_tasks: set[asyncio.Task[int]] = set()

AfterStep = Annotated[int, Query(ge=-1, le=2**53, description="Only the steps after this one.")]


@router.get("/v1/runs", operation_id="list_runs", responses=response_docs(schemas.RunList))
async def list_runs(request: Request) -> Response:
    """All training runs, newest first."""
    runs = await asyncio.to_thread(_runs(request).list)
    return _json_response({"object": "list", "data": [_view(run) for run in runs]})


@router.get("/v1/runs/{run_id}", operation_id="get_run", responses=response_docs(schemas.RunDetail))
async def get_run(request: Request, run_id: str) -> Response:
    """One run with everything that its folder says of it: settings, hashes, versions, machine, command."""
    run = await asyncio.to_thread(_runs(request).get, run_id)
    return _json_response(_view(run) | {"facts": run.facts})


@router.get("/v1/runs/{run_id}/metrics", operation_id="get_run_metrics", responses=response_docs(schemas.RunMetrics))
async def get_run_metrics(request: Request, run_id: str, after: AfterStep = -1) -> Response:
    """The figures of each step, oldest first."""
    lines = await asyncio.to_thread(_runs(request).read_metrics, run_id, after_step=after)
    return _json_response({"object": "list", "data": lines})


@router.get(
    "/v1/runs/{run_id}/metrics/stream",
    operation_id="stream_run_metrics",
    responses=response_docs(schemas.RunMetrics, event_model=schemas.MetricsLine),
)
async def stream_run_metrics(request: Request, run_id: str, after: AfterStep = -1) -> Response:
    """The figures as they come: `metrics` events with one step each, `run` events when the run's state changes, and `[DONE]` when
    nobody trains it any more."""
    runs = _runs(request)
    await asyncio.to_thread(runs.get, run_id)
    return EventStreamResponse(_follow_metrics(runs, run_id, after))


@router.post(
    "/v1/runs/{run_id}/stop",
    operation_id="stop_run",
    dependencies=[require_role("maintainer")],
    responses=response_docs(schemas.RunView),
)
async def stop_run(request: Request, run_id: str) -> Response:
    """Ask a run to stop after the step that it makes now. It can be resumed."""
    return _json_response(_view(await asyncio.to_thread(_runs(request).request_stop, run_id)))


@router.post(
    "/v1/runs/{run_id}/resume",
    operation_id="resume_run",
    dependencies=[require_role("maintainer")],
    responses=response_docs(schemas.RunView),
)
async def resume_run(request: Request, run_id: str) -> Response:
    """Go on with a run where its last checkpoint is, in a process of its own that outlives this server."""
    runs = _runs(request)
    run = await asyncio.to_thread(runs.get, run_id)
    if run.state in ("running", "finished"):
        raise Conflict(f"The run {run_id} is {run.state}.", advice="Only a run that has stopped can be resumed.")
    process = await asyncio.to_thread(_start, get_services(request).settings, runs.folder / run_id)
    # Waited for, so that the system can forget it.
    waiting = asyncio.create_task(asyncio.to_thread(process.wait))
    _resume_tasks.add(waiting)
    waiting.add_done_callback(_resume_tasks.discard)
    return _json_response(_view(run))


def resume_command(settings: Settings, run_id: str) -> list[str]:
    """What goes on with a run."""
    return [sys.executable, "-m", "yearling", "train", "resume", run_id, "--data-dir", str(settings.data_dir)]


def _start(settings: Settings, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "output.txt").open("ab") as output:
        return subprocess.Popen(
            resume_command(settings, folder.name),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


async def _follow_metrics(runs: TrainingRunStore, run_id: str, after: int) -> AsyncGenerator[bytes, None]:
    tail, told = runs.tail_metrics(run_id, after_step=after), ""
    while True:
        # The state before the lines: when it says that the run has ended, the lines that follow are the last.
        run = await asyncio.to_thread(runs.get, run_id)
        for line in await asyncio.to_thread(tail.read):
            yield format_event(line, name="metrics")
        if run.state != told:
            told = run.state
            yield format_event(_view(run), name="run")
        if run.state != "running":
            yield DONE
            return
        await asyncio.sleep(POLL_INTERVAL_S)


def _runs(request: Request) -> TrainingRunStore:
    return get_services(request).store.runs


def _view(run: Run) -> dict[str, Any]:
    fields = asdict(run)
    fields.pop("facts")
    times = {name: value.isoformat() if value else None for name, value in fields.items() if name.endswith("_utc")}
    return {"object": "run", **fields, **times}


def _json_response(body: dict[str, Any]) -> Response:
    return Response(to_json_bytes(body), media_type="application/json")
