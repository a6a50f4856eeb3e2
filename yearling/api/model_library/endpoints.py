"""`/v1/endpoints`: OpenAI-compatible endpoints that serve additional models. Owners only.

An owner may name any address, private ones included: endpoints such as Ollama run on this machine. Nobody else can make the
server connect anywhere.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Path, Request
from pydantic import SecretStr

from yearling.api.access.policy import require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.model_library import schemas
from yearling.api.model_library.views import endpoint_list_view, endpoint_test_view
from yearling.api.services import get_services
from yearling.config import EndpointSettings
from yearling.errors import NotFound
from yearling.inference import check_endpoint, delete_endpoint, save_endpoint

router = ApiRouter(dependencies=[require_role("owner")])

EndpointPath = Annotated[str, Path(description="Name of the endpoint.")]


@router.get("/v1/endpoints", operation_id="list_endpoints", response_model=schemas.EndpointList)
async def list_endpoints(request: Request) -> JsonResponse:
    """List the endpoints with their models, and presets for new ones."""
    return JsonResponse(endpoint_list_view(get_services(request).pool))


@router.post("/v1/endpoints", operation_id="add_endpoint", response_model=schemas.EndpointList)
async def add_endpoint(request: Request, body: JsonBody[schemas.EndpointRequest]) -> JsonResponse:
    """Save an endpoint, or replace the one of that name, and offer its models at once. Returns all endpoints."""
    services = get_services(request)
    endpoint = EndpointSettings(name=body.name, url=body.url, api_key=SecretStr(body.api_key))
    endpoints = await asyncio.to_thread(save_endpoint, services.settings, endpoint)
    await services.pool.set_endpoints(endpoints)
    return JsonResponse(endpoint_list_view(services.pool))


@router.post("/v1/endpoints/test", operation_id="test_endpoint", response_model=schemas.EndpointTestResult)
async def test_endpoint(request: Request, body: JsonBody[schemas.EndpointTestRequest]) -> JsonResponse:
    """Test an endpoint before it is saved: list its models, and have one answer."""
    endpoint = EndpointSettings(name="tested", url=body.url, api_key=SecretStr(body.api_key))
    return JsonResponse(endpoint_test_view(await check_endpoint(endpoint, model=body.model)))


@router.post("/v1/endpoints/{name}/test", operation_id="test_saved_endpoint", response_model=schemas.EndpointTestResult)
async def test_saved_endpoint(
    request: Request, name: EndpointPath, body: JsonBody[schemas.SavedEndpointTestRequest]
) -> JsonResponse:
    """Test a saved endpoint with its own API key: list its models, and have one answer."""
    statuses = get_services(request).pool.endpoints()
    endpoint = next((status.settings for status in statuses if status.settings.name == name), None)
    if endpoint is None:
        raise NotFound(f"There is no endpoint {name!r}.", param="name")
    return JsonResponse(endpoint_test_view(await check_endpoint(endpoint, model=body.model)))


@router.delete("/v1/endpoints/{name}", operation_id="remove_endpoint", response_model=schemas.RemovedEndpoint)
async def remove_endpoint(request: Request, name: EndpointPath) -> JsonResponse:
    """Remove an endpoint. Answers that are running end normally."""
    services = get_services(request)
    endpoints = await asyncio.to_thread(delete_endpoint, services.settings, name)
    await services.pool.set_endpoints(endpoints)
    return JsonResponse({"object": "deleted", "name": name})
