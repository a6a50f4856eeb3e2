"""`/v1/rating`: what to judge next, one at a time, and whose feedback it is. `/v1/feedback/guesses`: what others will prefer.

Judging itself goes through `/v1/feedback/ratings` and `/v1/feedback/comparisons`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.feedback import rating_schemas as schemas
from yearling.api.feedback import rating_views as views
from yearling.api.feedback.routes import normalize_item_id
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.services import get_services

router = ApiRouter()

_REQUIRE_FEEDBACK_SCOPE = [require_role("member", scope="feedback")]
_REQUIRE_READER = [require_role("reader")]

_MAX_SKIPPED = 100
_SKIP_PATTERN = rf"^([ip]-[0-9a-f]{{24}}(,[ip]-[0-9a-f]{{24}}){{0,{_MAX_SKIPPED - 1}}})?$"


@router.get(
    "/v1/rating/next",
    operation_id="get_next_judgement",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.NextJudgementView,
)
async def get_next_judgement(
    request: Request,
    skip: Annotated[
        str, Query(pattern=_SKIP_PATTERN, description="IDs of what the caller puts off, separated by commas; at most 100.")
    ] = "",
) -> JsonResponse:
    """Return the item or pair whose judgement by the caller would teach most, without a word on what others think."""
    services, person = get_services(request), current_person(request)

    def query() -> JsonObject:
        skipped = frozenset(skip.split(",")) if skip else frozenset[str]()
        return views.next_judgement_view(services.running_picker, services.running_consensus, person.id, skipped)

    return JsonResponse(await asyncio.to_thread(query))


@router.post(
    "/v1/feedback/guesses",
    operation_id="create_guess",
    dependencies=_REQUIRE_FEEDBACK_SCOPE,
    response_model=schemas.GuessScoreView,
)
async def create_guess(request: Request, body: JsonBody[schemas.GuessRequest]) -> JsonResponse:
    """Guess what most others prefer, before seeing it. Only the caller sees the guess, and it changes no result."""
    services, person = get_services(request), current_person(request)
    left, right, item = (normalize_item_id(one) if one is not None else None for one in (body.left, body.right, body.item))

    def record() -> JsonObject:
        consensus = services.running_consensus
        views.record_guess(consensus, person.id, left=left, right=right, item=item, guess=body.guess)
        return views.guess_score_view(consensus, person.id)

    return JsonResponse(await asyncio.to_thread(record))


@router.get(
    "/v1/rating/report", operation_id="get_rater_report", dependencies=_REQUIRE_READER, response_model=schemas.RaterReportView
)
async def get_rater_report(request: Request) -> JsonResponse:
    """Return whose feedback this is: how many people judge, how evenly, how often they agree, and who does not judge."""
    services, person = get_services(request), current_person(request)
    return JsonResponse(await asyncio.to_thread(lambda: services.rater_reports.view(services.running_consensus, person.id)))
