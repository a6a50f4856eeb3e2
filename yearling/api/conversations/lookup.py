"""`/v1/lookup`: what answers may be looked up in besides documents."""

from __future__ import annotations

import asyncio

from fastapi import Request

from yearling.api.access.policy import require_role
from yearling.api.conversations.source_schemas import LookupView
from yearling.api.http.json_response import JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.services import get_services

router = ApiRouter(dependencies=[require_role("member")])


@router.get("/v1/lookup", operation_id="get_lookup", response_model=LookupView)
async def get_lookup(request: Request) -> JsonResponse:
    """Return what answers may be looked up in besides documents."""
    services = get_services(request)
    has_posts = await asyncio.to_thread(services.lookup.has_posts)
    return JsonResponse({"object": "lookup", "web": services.lookup.web_name, "posts": has_posts})
