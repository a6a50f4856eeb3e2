"""`GET /healthz` (the process lives), `GET /readyz` (it can answer and keep the answer), `GET /metrics`."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import allow_anyone, require_role
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.metrics import CONTENT_TYPE
from yearling.api.http.openapi import response_docs
from yearling.api.openai import schemas
from yearling.api.services import Services, get_services
from yearling.errors import UserError

router = APIRouter()


@router.get(
    "/healthz",
    operation_id="health",
    dependencies=[allow_anyone],
    responses={200: {"model": schemas.Health, "description": "Alive."}},
)
async def health(request: Request) -> Response:
    """Whether the process lives."""
    return Response(to_json_bytes({"status": "ok"}), media_type="application/json")


@router.get(
    "/readyz",
    operation_id="readiness",
    dependencies=[allow_anyone],
    responses={
        200: {"model": schemas.Readiness, "description": "Ready."},
        503: {"model": schemas.Readiness, "description": "Not ready, and why."},
    },
)
async def readiness(request: Request) -> Response:
    """Whether the default model answers and the storage takes writes."""
    services = get_services(request)
    reasons = [*_engine_reasons(services), *await asyncio.to_thread(_storage_reasons, services)]
    body = to_json_bytes({"status": "not ready" if reasons else "ready", "reasons": reasons})
    return Response(body, 503 if reasons else 200, {"retry-after": "2"} if reasons else None, "application/json")


@router.get(
    "/metrics",
    operation_id="metrics",
    dependencies=[require_role("reader")],
    responses={**response_docs(schemas.Health), 200: {"content": {"text/plain": {}}, "description": "Prometheus text format."}},
)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(get_services(request).metrics.render(), headers={"content-type": CONTENT_TYPE})


def _engine_reasons(services: Services) -> list[str]:
    if services.pool.ready():
        return []
    states = [f"{one['name']}: {one.get('state', 'not ready')}" for one in services.pool.status()]
    return [f"The default model does not answer ({', '.join(states)})."]


def _storage_reasons(services: Services) -> list[str]:
    try:
        services.store.check_writable()
    except UserError as error:
        return [str(error)]
    return []
