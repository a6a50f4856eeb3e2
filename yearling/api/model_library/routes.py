"""`/v1/model-library`: the models of this installation and of the catalogue, pulls, and the default model.

Owners only: a pull fills the disk, and the default model answers everybody.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.model_library import schemas
from yearling.api.model_library.views import library_view, pull_view
from yearling.api.release.default_changes import DefaultChange
from yearling.api.services import get_services
from yearling.errors import BadInput, NotFound
from yearling.inference import save_default_model
from yearling.models import ModelLibrary, TermsNotAccepted, known_models

router = ApiRouter(dependencies=[require_role("owner")])

PulledModel = Annotated[str, Path(description="Name or source of the model, as it was pulled. It can contain slashes.")]

_HUB = "hf:"


@router.get("/v1/model-library", operation_id="list_model_library", response_model=schemas.ModelLibraryView)
async def list_model_library(request: Request) -> JsonResponse:
    """List installed models, models of endpoints, and models that can be pulled, with licence, size and memory."""
    services = get_services(request)
    library = ModelLibrary(services.settings.models_dir)
    return JsonResponse(await asyncio.to_thread(library_view, library, services))


@router.put("/v1/model-library/default", operation_id="set_default_model", response_model=schemas.DefaultModel)
async def set_default_model(request: Request, body: JsonBody[schemas.DefaultModelRequest]) -> JsonResponse:
    """Open a model, and answer requests that name none with it from now on. If it does not open, nothing changes.

    Where one person decides, the model is released as the champion, without proof; where several do, that is proposed to them.
    """
    services = get_services(request)
    releases = services.releases
    if releases is None:
        await services.pool.set_default(services.resolve_model(body.model))
        default = services.pool.default()
        is_saved = await asyncio.to_thread(save_default_model, services.settings, default)
        return _default_view(DefaultChange(model=default), is_saved=is_saved)
    change = await releases.release_default(body.model, current_person(request))
    if change.pending is None:
        await asyncio.to_thread(releases.save_setting, change.model)
    return _default_view(change, is_saved=change.pending is None)


def _default_view(change: DefaultChange, *, is_saved: bool) -> JsonResponse:
    """A `DefaultModel`."""
    return JsonResponse(
        {
            "object": "default_model",
            "model": change.model,
            "is_saved": is_saved,
            "release": change.release,
            "pending_change": change.pending,
            "signatures_missing": change.num_missing,
        }
    )


@router.get("/v1/model-library/pulls", operation_id="list_model_pulls", response_model=schemas.PullList)
async def list_model_pulls(request: Request) -> JsonResponse:
    """List the running pulls, and the ended ones since the server started, with their progress."""
    pulls = get_services(request).pulls
    return JsonResponse({"object": "list", "data": [pull_view(pull) for pull in pulls.list()]})


@router.post("/v1/model-library/pulls", operation_id="pull_model", response_model=schemas.PullView)
async def pull_model(request: Request, body: JsonBody[schemas.PullRequest]) -> JsonResponse:
    """Start to download, verify and install a model; returns at once. Ask for its progress, or cancel it, under its name."""
    entry = known_models().get(body.model)
    if entry is None and not body.model.startswith(_HUB):
        if ":" in body.model:
            raise BadInput(
                "Only models of the catalogue and files of the Hugging Face hub can be pulled here.",
                advice="Run `yearling model pull` for other sources.",
                param="model",
            )
        raise NotFound(f"There is no model {body.model!r} in the catalogue.", param="model")
    if entry is not None and entry.terms_url and not body.accept_terms:
        raise TermsNotAccepted(entry)
    pull = get_services(request).pulls.start(body.model, accept_terms=body.accept_terms)
    return JsonResponse(pull_view(pull))


@router.get("/v1/model-library/pulls/{model:path}", operation_id="get_model_pull", response_model=schemas.PullView)
async def get_model_pull(request: Request, model: PulledModel) -> JsonResponse:
    """Return the progress of a pull."""
    return JsonResponse(pull_view(get_services(request).pulls.get(model)))


@router.delete("/v1/model-library/pulls/{model:path}", operation_id="cancel_model_pull", response_model=schemas.PullView)
async def cancel_model_pull(request: Request, model: PulledModel) -> JsonResponse:
    """Cancel a pull. It ends within moments; the next pull of the model continues where it stopped."""
    return JsonResponse(pull_view(get_services(request).pulls.cancel(model)))
