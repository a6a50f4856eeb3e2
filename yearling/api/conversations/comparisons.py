"""`/v1/comparisons`: two answers to one question, of which the person chooses the better one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.conversations import comparison_schemas as schemas
from yearling.api.conversations.views import comparison_view
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.services import get_services, store_response
from yearling.errors import Conflict
from yearling.feedback import LiveConsensus
from yearling.store import Store

router = ApiRouter(dependencies=[require_role("reader")])

ComparisonId = Annotated[str, Path(description="ID of the comparison.")]


@router.get("/v1/comparisons/{comparison_id}", operation_id="get_comparison", response_model=schemas.ComparisonView)
async def get_comparison(request: Request, comparison_id: ComparisonId) -> JsonResponse:
    """Return a comparison. It names its models only after the choice."""
    person = current_person(request)
    return await store_response(request, lambda store: _load_view(store, person.id, comparison_id))


@router.post(
    "/v1/comparisons/{comparison_id}/choice",
    operation_id="choose_answer",
    dependencies=[require_role("member", scope="feedback")],
    response_model=schemas.ComparisonView,
)
async def choose_answer(request: Request, comparison_id: ComparisonId, body: JsonBody[schemas.ChoiceRequest]) -> JsonResponse:
    """Choose the better answer, which adds a comparison to the feedback log, or skip. The response names the models."""
    services, person = get_services(request), current_person(request)

    def choose(store: Store) -> JsonObject:
        _choose(store, services.running_consensus, person.id, comparison_id, body)
        return _load_view(store, person.id, comparison_id)

    return await store_response(request, choose)


def _choose(store: Store, consensus: LiveConsensus, person_id: str, comparison_id: str, body: schemas.ChoiceRequest) -> None:
    """Record the choice, and switch the conversation to the better answer. Raises Conflict if it cannot be recorded."""
    record = store.comparisons.claim(comparison_id, person_id=person_id)
    if body.outcome == "skip":
        store.comparisons.resolve(comparison_id, person_id=person_id, state="skipped")
        return
    outcome = body.outcome
    try:
        left, right = (
            store.conversations.get_message(message_id, conversation_id=record.conversation_id, person_id=person_id).sample_id
            for message_id in (record.left_id, record.right_id)
        )
        if left is None or right is None:
            raise Conflict("Only stored answers can be judged.", advice="See the setting `retention`, or skip.")
        event = consensus.log.compare(person_id, left, right, outcome, tags=body.tags)
    except BaseException:
        store.comparisons.resolve(comparison_id, person_id=person_id, state="open")
        raise
    consensus.request_run()
    store.comparisons.resolve(comparison_id, person_id=person_id, state="decided", outcome=outcome, event_id=event.id)
    conversation = store.conversations.get(record.conversation_id, person_id=person_id)
    better = record.right_id if outcome == "right" else record.left_id
    if conversation.leaf_id in (record.left_id, record.right_id):
        store.conversations.update(conversation.id, person_id=person_id, leaf_id=better)


def _load_view(store: Store, person_id: str, comparison_id: str) -> JsonObject:
    record = store.comparisons.get(comparison_id, person_id=person_id)
    messages = {
        message_id: store.conversations.get_message(message_id, conversation_id=record.conversation_id, person_id=person_id)
        for message_id in (record.left_id, record.right_id)
    }
    return comparison_view(record, messages)
