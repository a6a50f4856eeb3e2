"""`GET /healthz` (the process is alive), `GET /readyz` (it can answer, and store the answer) and `GET /metrics`."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import allow_anyone, require_role
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.local_paths import hide_local_paths
from yearling.api.http.metrics import CONTENT_TYPE
from yearling.api.http.router import ERROR_RESPONSES
from yearling.api.http.schemas import ResponseModel
from yearling.api.services import Services, get_services
from yearling.errors import UserError

router = APIRouter()


class Health(ResponseModel):
    """The process is alive."""

    status: Literal["ok"]
    """Always `ok`."""


class Readiness(ResponseModel):
    """Whether the server can answer."""

    status: Literal["ready", "not ready"]
    """Whether the default model answers and the store accepts writes."""
    reasons: list[str]
    """Why the server is not ready; empty if it is."""


@router.get(
    "/healthz",
    operation_id="health",
    dependencies=[allow_anyone],
    response_model=Health,
    response_description="The process is alive.",
)
async def health(request: Request) -> JsonResponse:
    """Report that the process is alive."""
    return JsonResponse({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readiness",
    dependencies=[allow_anyone],
    response_model=Readiness,
    response_description="The server is ready.",
    responses={503: {"model": Readiness, "description": "The server is not ready."}},
)
async def readiness(request: Request) -> JsonResponse:
    """Report whether the default model answers and the store accepts writes."""
    services = get_services(request)
    reasons = await asyncio.to_thread(lambda: [*_engine_reasons(services), *_store_reasons(services)])
    if reasons:
        return JsonResponse({"status": "not ready", "reasons": reasons}, 503, {"retry-after": "2"})
    return JsonResponse({"status": "ready", "reasons": []})


@router.get(
    "/metrics",
    operation_id="metrics",
    dependencies=[require_role("reader")],
    responses={**ERROR_RESPONSES, 200: {"content": {"text/plain": {}}, "description": "Metrics in Prometheus text format."}},
)
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    # In a thread: there is a line for each route, status and bucket.
    text = await asyncio.to_thread(get_services(request).metrics.render)
    return Response(text, headers={"content-type": CONTENT_TYPE})


def _engine_reasons(services: Services) -> list[str]:
    problems = services.releases.problems() if services.releases is not None else []
    if problems:
        return [hide_local_paths(problem) for problem in problems]
    if services.pool.ready():
        return []
    states = []
    for engine in services.pool.status():
        outage = f", {engine['outage']}" if engine.get("outage") else ""
        states.append(f"{engine['name']}: {engine.get('state', 'not ready')}{outage}")
    return [f"The default model does not answer ({'; '.join(states)})."]


def _store_reasons(services: Services) -> list[str]:
    try:
        services.store.check_writable()
    except UserError as error:
        return [hide_local_paths(str(error))]
    return []
