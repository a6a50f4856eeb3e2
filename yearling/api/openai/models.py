"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.openai import schemas
from yearling.api.services import Services, get_services
from yearling.errors import NotFound
from yearling.inference import ListedModel

router = ApiRouter(dependencies=[require_role("reader")])


@router.get("/v1/models", operation_id="list_models", response_model=schemas.ModelList)
async def list_models(request: Request) -> JsonResponse:
    """List the models, with what is signed about each. The first is the champion, which answers requests that name none."""
    services = get_services(request)

    def view() -> JsonObject:
        return {"object": "list", "data": [_model_view(services, model) for model in services.pool.models()]}

    return JsonResponse(await asyncio.to_thread(view))


@router.get("/v1/models/{model:path}", operation_id="get_model", response_model=schemas.ModelObject)
async def get_model(
    request: Request,
    model: Annotated[str, Path(description="Name of the model, or `champion` or `challenger`. It can contain slashes.")],
) -> JsonResponse:
    """Return one model, with what is signed about it."""
    services = get_services(request)
    name = services.resolve_model(model)
    models = await asyncio.to_thread(services.pool.models)
    listed = next((each for each in models if each.name == name), None)
    if listed is None:
        raise NotFound(
            f"The model {model!r} does not exist.",
            advice=f"Available models: {', '.join(each.name for each in models) or 'none'}.",
            param="model",
        )
    return JsonResponse(await asyncio.to_thread(_model_view, services, listed))


def _model_view(services: Services, model: ListedModel) -> JsonObject:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created_unix_s,
        "owned_by": model.owned_by,
        "title": model.title,
        **asdict(services.mark_model(model)),
    }
