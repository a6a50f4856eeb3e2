"""`/v1/cycles`: the plan of a learning cycle, the cycles so far with their steps, and what came of each. A job starts one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset
from yearling.api.jobs import cycle_schemas as schemas
from yearling.api.services import get_services, store_response
from yearling.loop import ChampionModel, CycleFolder, CycleOptions, list_cycles, open_cycle, plan_cycle, plan_text
from yearling.store import Store

router = ApiRouter(dependencies=[require_role("reader")])

CycleId = Annotated[str, Path(description="ID of the cycle.")]


@router.get("/v1/cycles", operation_id="list_cycles", response_model=schemas.CycleList)
async def list_all(
    request: Request, limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of cycles.")] = 20
) -> JsonResponse:
    """List the learning cycles with their steps, newest first."""

    def query(store: Store) -> JsonObject:
        return {"object": "list", "data": [_cycle_view(folder) for folder in list_cycles(store.settings)[:limit]]}

    return await store_response(request, query, ascii_only=True)


@router.get("/v1/cycles/plan", operation_id="plan_cycle", response_model=schemas.CyclePlanView)
async def plan(
    request: Request,
    source: Annotated[str, Query(pattern="^(judgements|practice)$", description="What it would learn from.")] = "judgements",
) -> JsonResponse:
    """Return what a cycle that started now would do: from what it would learn, how long, and how much disk it needs."""
    services = get_services(request)

    def query(store: Store) -> JsonObject:
        name = services.resolve_model("champion")
        champion = ChampionModel(name=name, model_hash="", base=name.partition("+")[0])
        planned = plan_cycle(store.settings, store, replace(CycleOptions(), source=source), champion)
        return {
            "object": "cycle.plan",
            "champion": planned.champion,
            "judgements": planned.num_judgements,
            "people": planned.num_people,
            "exams": list(planned.exams),
            "training_s": planned.training_s,
            "exams_s": planned.exams_s,
            "needed_bytes": planned.needed_bytes,
            "free_bytes": planned.free_bytes,
            "problems": list(planned.problems),
            "text": plan_text(planned),
        }

    return await store_response(request, query)


@router.get("/v1/cycles/{cycle_id}", operation_id="get_cycle", response_model=schemas.CycleDetail)
async def get(request: Request, cycle_id: CycleId) -> JsonResponse:
    """Return a cycle with its report."""

    def query(store: Store) -> JsonObject:
        folder = open_cycle(store.settings, cycle_id)
        return _cycle_view(folder) | {"report": folder.read_report()}

    return await store_response(request, query, ascii_only=True)


def _cycle_view(folder: CycleFolder) -> JsonObject:
    start, end = folder.start(), folder.read_end()
    return {
        "object": "cycle",
        "id": folder.id,
        "created_utc": format_utc_offset(start.created_utc),
        "source": start.options.source,
        "why": start.options.why,
        "champion": start.champion,
        "steps": [
            {"name": step.name, "ended_utc": format_utc_offset(step.ended_utc), "cpu_s": step.cpu_s} for step in folder.steps()
        ],
        "outcome": end.outcome if end else None,
        "reason": end.why if end else "",
        "advice": end.advice if end else "",
    }
