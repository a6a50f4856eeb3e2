"""`/v1/lookup`: what answers may be looked up in besides documents."""

from __future__ import annotations

from fastapi import Request

from yearling.api.access.policy import require_role
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.lookup.schemas import LookupView
from yearling.api.services import get_services

router = ApiRouter(dependencies=[require_role("reader")])


@router.get("/v1/lookup", operation_id="get_lookup", response_model=LookupView)
async def get_lookup(request: Request) -> JsonResponse:
    """Return what answers may be looked up in besides documents."""
    return JsonResponse({"object": "lookup", "web": get_services(request).web_search_name})
