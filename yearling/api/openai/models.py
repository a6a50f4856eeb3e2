"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import require_role
from yearling.api.http.errors import to_json_bytes
from yearling.api.http.openapi import response_docs
from yearling.api.openai import schemas
from yearling.api.services import ApiEnginePool, get_services

router = APIRouter(dependencies=[require_role("reader")])


@router.get("/v1/models", operation_id="list_models", responses=response_docs(schemas.ModelList))
async def list_models(request: Request) -> Response:
    """The models that answer here; the first is the default."""
    pool = get_services(request).pool
    cards = [_card(pool, name) for name in pool.names()]
    return Response(to_json_bytes({"object": "list", "data": cards}), media_type="application/json")


@router.get("/v1/models/{model:path}", operation_id="get_model", responses=response_docs(schemas.ModelObject))
async def get_model(request: Request, model: str) -> Response:
    """One model. Names may hold slashes."""
    pool = get_services(request).pool
    return Response(to_json_bytes(_card(pool, model)), media_type="application/json")


def _card(pool: ApiEnginePool, name: str) -> dict[str, Any]:
    owner, created = pool.model_info(name)
    return {"id": name, "object": "model", "created": created, "owned_by": owner}
