"""`/v1/cycles`: what a cycle would do, how far it is, what came of it; when the server learns by itself.

A cycle is started as a job of the kind `cycle`. Everybody may read; maintainers plan, schedule and throw away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset
from yearling.api.jobs import cycle_schemas as schemas
from yearling.api.jobs.routes import job_view
from yearling.api.services import get_services, store_response
from yearling.errors import Conflict, UserError
from yearling.loop import (
    STEPS,
    ChampionModel,
    CycleFolder,
    CycleOptions,
    discard_cycle,
    list_cycles,
    open_cycle,
    plan_cycle,
    save_schedule,
)
from yearling.models import ModelLibrary

if TYPE_CHECKING:
    from yearling.api.services import Services
    from yearling.store import Store

_log = structlog.get_logger("yearling.api")

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]
_NUM_LISTED = 20

CycleId = Annotated[str, Path(max_length=64, description="ID of the cycle.")]


@router.get("/v1/cycles", operation_id="list_cycles", response_model=schemas.CycleList)
async def list_all(request: Request) -> JsonResponse:
    """List the newest cycles, the job of the one that runs, and when the server learns by itself."""
    services = get_services(request)

    def query(store: Store) -> JsonObject:
        active = next(iter(store.jobs.list(kind="cycle", states={"queued", "running"}, limit=1)), None)
        is_running = active is not None and active.state == "running"
        return {
            "object": "list",
            "data": list(_readable_views(list_cycles(services.settings)[:_NUM_LISTED], is_running=is_running)),
            "active": None if active is None else job_view(active),
            "schedule": _schedule_view(services),
        }

    return await store_response(request, query, ascii_only=True)


@router.get("/v1/cycles/plan", operation_id="plan_cycle", dependencies=_REQUIRE_MAINTAINER, response_model=schemas.CyclePlanView)
async def plan(request: Request) -> JsonResponse:
    """Return what a cycle that starts now would learn, from whom, and how long it would take. Maintainers only."""
    services = get_services(request)

    def query(store: Store) -> JsonObject:
        name = services.resolve_model("champion")
        base = name.partition("+")[0]
        base_bytes = ModelLibrary(services.settings.models_dir).installed_bytes(base)
        champion = ChampionModel(name=name, model_hash="", base=base, base_bytes=base_bytes)
        found = plan_cycle(services.settings, store, CycleOptions(), champion)
        return {
            "object": "cycle.plan",
            "champion": found.champion,
            "judgements": found.num_judgements,
            "people": found.num_people,
            "method": found.method,
            "exams": list(found.exams),
            "training_s": found.training_s,
            "exams_s": found.exams_s,
            "needed_bytes": found.needed_bytes,
            "free_bytes": found.free_bytes,
            "problems": list(found.problems),
        }

    return await store_response(request, query)


@router.put(
    "/v1/cycles/schedule",
    operation_id="change_cycle_schedule",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.CycleSchedule,
)
async def change_schedule(request: Request, body: JsonBody[schemas.CycleScheduleChange]) -> JsonResponse:
    """Say when the server learns by itself: each night, or as soon as enough lessons wait. Maintainers only."""
    services = get_services(request)
    at, lessons = await asyncio.to_thread(save_schedule, services.settings, at=body.at, lessons=body.lessons)
    services.jobs.set_schedule(at, lessons)
    return JsonResponse(_schedule_view(services))


@router.get("/v1/cycles/{cycle_id}", operation_id="get_cycle", response_model=schemas.CycleView)
async def get_cycle(request: Request, cycle_id: CycleId) -> JsonResponse:
    """Return a cycle, with its report once it has ended."""
    services = get_services(request)

    def query(store: Store) -> JsonObject:
        is_running = bool(store.jobs.list(kind="cycle", states={"running"}, limit=1))
        view = _cycle_view(open_cycle(services.settings, cycle_id), is_running=is_running)
        return view | {"report": _with_exam_titles(store, view["report"])}

    return await store_response(request, query, ascii_only=True)


@router.post(
    "/v1/cycles/{cycle_id}/discard",
    operation_id="discard_cycle",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.CycleView,
)
async def discard(request: Request, cycle_id: CycleId) -> JsonResponse:
    """Throw away the model that a cycle trained, unless a release needs it. Maintainers only."""
    services, person = get_services(request), current_person(request)

    def change(store: Store) -> JsonObject:
        folder = open_cycle(services.settings, cycle_id)
        folder.start()  # raises NotFound
        if folder.read_end() is None:
            raise Conflict("This cycle is not done.", advice="Cancel its job first.")
        discard_cycle(services.settings, store, folder, actor=person.id)
        return _cycle_view(folder, is_running=False)

    return await store_response(request, change)


def _readable_views(folders: Iterable[CycleFolder], *, is_running: bool) -> Iterator[JsonObject]:
    """The cycles without their reports. A damaged one, or one of another version, is left out: it must not hide the others."""
    for folder in folders:
        try:
            yield _cycle_view(folder, is_running=is_running) | {"report": None}
        except UserError as error:
            _log.warning("cycle_unreadable", cycle=folder.id, reason=str(error))


def _with_exam_titles(store: Store, report: JsonObject | None) -> JsonObject | None:
    """The report with the `title` of each exam, as its newest run has it; an exam without a run keeps its name."""
    if report is None:
        return None
    titled = {
        part: [{**comparison, "title": _exam_title(store, comparison["exam"])} for comparison in report.get(part, ())]
        for part in ("better", "worse")
    }
    return report | titled


def _exam_title(store: Store, exam: str) -> str:
    runs = store.exams.list(exam=exam, limit=1)
    return str(runs[0].settings.get("title", exam)) if runs else exam


def _schedule_view(services: Services) -> JsonObject:
    at, lessons = services.jobs.schedule
    return {"object": "cycle.schedule", "at": at, "lessons": lessons}


def _cycle_view(folder: CycleFolder, *, is_running: bool) -> JsonObject:
    start, end = folder.start(), folder.read_end()
    records = {record.name: record for record in folder.steps()}
    waiting = [name for name in STEPS if name not in records]
    current = waiting[0] if waiting and (is_running or end is not None) else ""
    training, proposal = records.get("training"), records.get("proposal")
    return {
        "object": "cycle",
        "id": folder.id,
        "created_utc": format_utc_offset(start.created_utc),
        "champion": start.champion,
        "challenger": str(training.result.get("model", "")) if training is not None else "",
        "release": proposal.result.get("release") if proposal is not None else None,
        "steps": [
            {
                "name": name,
                "state": "done" if name in records else "current" if name == current else "waiting",
                "cpu_s": records[name].cpu_s if name in records else 0.0,
            }
            for name in STEPS
        ],
        "outcome": None if end is None else end.outcome,
        "why": "" if end is None else end.why,
        "discarded": folder.is_discarded,
        "report": folder.read_report(),
    }
