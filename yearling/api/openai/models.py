"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.openai import schemas
from yearling.api.services import ApiEnginePool, get_services

router = ApiRouter(dependencies=[require_role("reader")])


@router.get("/v1/models", operation_id="list_models", response_model=schemas.ModelList)
async def list_models(request: Request) -> JsonResponse:
    """List the models. The first is the default model."""
    pool = get_services(request).pool
    return JsonResponse({"object": "list", "data": [_model_view(pool, name) for name in pool.names()]})


@router.get("/v1/models/{model:path}", operation_id="get_model", response_model=schemas.ModelObject)
async def get_model(
    request: Request, model: Annotated[str, Path(description="Name of the model. It can contain slashes.")]
) -> JsonResponse:
    """Return one model."""
    return JsonResponse(_model_view(get_services(request).pool, model))


def _model_view(pool: ApiEnginePool, name: str) -> JsonObject:
    owner, created = pool.model_info(name)
    return {"id": name, "object": "model", "created": created, "owned_by": owner, "title": pool.title(name)}
