"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import require_role
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.openai import schemas
from yearling.api.services import get_services
from yearling.errors import NotFound
from yearling.inference import ListedModel

router = ApiRouter(dependencies=[require_role("reader")])


@router.get("/v1/models", operation_id="list_models", response_model=schemas.ModelList)
async def list_models(request: Request) -> JsonResponse:
    """List the models. The first is the default model."""
    models = await asyncio.to_thread(get_services(request).pool.models)
    return JsonResponse({"object": "list", "data": [_model_view(model) for model in models]})


@router.get("/v1/models/{model:path}", operation_id="get_model", response_model=schemas.ModelObject)
async def get_model(
    request: Request, model: Annotated[str, Path(description="Name of the model. It can contain slashes.")]
) -> JsonResponse:
    """Return one model."""
    models = await asyncio.to_thread(get_services(request).pool.models)
    listed = next((each for each in models if each.name == model), None)
    if listed is None:
        raise NotFound(
            f"The model {model!r} does not exist.",
            advice=f"Available models: {', '.join(each.name for each in models) or 'none'}.",
            param="model",
        )
    return JsonResponse(_model_view(listed))


def _model_view(model: ListedModel) -> JsonObject:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created_unix_s,
        "owned_by": model.owned_by,
        "title": model.title,
    }
