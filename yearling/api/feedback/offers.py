"""`/v1/offers`: people let others rate answers that they got, after a look at what others will see.

An answer belongs to whoever asked, so an answer of another person does not exist for the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.feedback import offer_schemas as schemas
from yearling.api.feedback.routes import normalize_item_id
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.services import get_services
from yearling.feedback import FeedbackLog, Offer, list_offers, offer_answer, preview_offer, withdraw_offer

router = ApiRouter(dependencies=[require_role("member", scope="feedback")])


@router.get("/v1/offers/preview", operation_id="preview_offer", response_model=schemas.OfferPreviewView)
async def get_preview(
    request: Request,
    item: Annotated[
        str, Query(min_length=1, max_length=200, description="ID of an answer of the caller: its completion, response or sample.")
    ],
) -> JsonResponse:
    """Return exactly what others would see of an answer, with the names of people here that occur in it."""

    def query(log: FeedbackLog, person_id: str) -> JsonObject:
        preview = preview_offer(log, person_id, normalize_item_id(item))
        return {
            "object": "offer.preview",
            "item": preview.sample_id,
            "question": preview.question,
            "answer": preview.answer,
            "names": list(preview.names),
            "offer": preview.offer_id,
        }

    return await _respond(request, query)


@router.post("/v1/offers", operation_id="create_offer", response_model=schemas.OfferView)
async def create_offer(request: Request, body: JsonBody[schemas.OfferRequest]) -> JsonResponse:
    """Let everybody here read and rate an answer, under the ID of the offer. An answer has one offer at a time."""
    item = normalize_item_id(body.item)
    return await _respond(
        request,
        lambda log, person_id: _view(offer_answer(log, person_id, item, question=body.question, answer=body.answer)),
    )


@router.get("/v1/offers", operation_id="list_offers", response_model=schemas.OfferList)
async def list_own_offers(
    request: Request,
    after: Annotated[str | None, Query(max_length=64, description="Cursor: the field `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Maximum number of offers.")] = 50,
) -> JsonResponse:
    """List the answers that the caller lets others rate, and those that were withdrawn, newest first."""

    def query(log: FeedbackLog, person_id: str) -> JsonObject:
        found = list_offers(log, person_id, limit=limit + 1, before=after)
        next_cursor = found[limit - 1].record.id if len(found) > limit else None
        return {"object": "list", "data": [_view(offer) for offer in found[:limit]], "next": next_cursor}

    return await _respond(request, query)


@router.delete("/v1/offers/{offer_id}", operation_id="withdraw_offer", response_model=schemas.OfferView)
async def delete_offer(request: Request, offer_id: Annotated[str, Path(description="ID of the offer.")]) -> JsonResponse:
    """Withdraw an offer. Its words are deleted; judgements of it stay in the log and count no more for training."""
    return await _respond(request, lambda log, person_id: _view(withdraw_offer(log, person_id, offer_id)))


async def _respond(request: Request, query: Callable[[FeedbackLog, str], JsonObject]) -> JsonResponse:
    """The result of `query(log, person_id)`, which runs in a thread."""
    log, person = get_services(request).running_consensus.log, current_person(request)
    return JsonResponse(await asyncio.to_thread(query, log, person.id))


def _view(offer: Offer) -> JsonObject:
    record = offer.record
    return {
        "object": "offer",
        "id": record.id,
        "question": offer.question,
        "answer": offer.answer,
        "edited": record.edited,
        "created_utc": format_utc(record.created_utc),
        "withdrawn_utc": format_utc(record.withdrawn_utc) if record.withdrawn_utc else None,
        "judgements": offer.num_judgements,
        "conversation": record.conversation_id,
        "message": record.message_id,
    }
