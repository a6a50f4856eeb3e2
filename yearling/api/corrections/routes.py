"""`/v1/corrections`: questions with their right answers, to give, list, reword, switch off, propose to the team and delete.

Judging a proposal goes through `/v1/feedback/ratings`, with the correction's `item`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Path, Query, Request

from yearling.api.access.policy import current_person, get_caller, require_role
from yearling.api.corrections import schemas, views
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc
from yearling.api.services import get_services
from yearling.feedback import (
    LiveConsensus,
    add_correction,
    change_correction,
    confirm_correction,
    delete_all_corrections,
    delete_correction,
    name_mentions,
    preview_corrections,
)
from yearling.models import AdapterLibrary
from yearling.store import UNCHANGED

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member")]

CorrectionId = Annotated[str, Path(description="ID of the correction.")]


@router.get("/v1/corrections", operation_id="list_corrections", response_model=schemas.CorrectionList)
async def list_corrections(
    request: Request,
    whose: Annotated[
        Literal["own", "team"], Query(description="`own`: the caller's. `team`: proposed to the team, accepted or declined.")
    ] = "own",
    state: Annotated[
        schemas.CorrectionStateName | None, Query(description="With `team`: only corrections in this state.")
    ] = None,
    search: Annotated[str, Query(max_length=200, description="Return only corrections with these words.")] = "",
    after: Annotated[str | None, Query(max_length=64, description="Cursor: the field `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of corrections.")] = 50,
) -> JsonResponse:
    """List the caller's corrections, or those of the team, newest first."""

    def query(consensus: LiveConsensus, person_id: str) -> JsonObject:
        store = consensus.log.store.corrections
        if whose == "own":
            found = store.list(person_id, search=search, limit=limit + 1, before=after)
        else:
            found = store.list_team(state=state, search=search, limit=limit + 1, before=after)
        return {
            "object": "list",
            "data": views.correction_views(consensus, person_id, found[:limit]),
            "next": found[limit - 1].id if len(found) > limit else None,
            "to_judge": views.count_to_judge(consensus, person_id),
        }

    return await _respond(request, query)


@router.get("/v1/corrections/matching", operation_id="get_correction_matching", response_model=schemas.CorrectionMatching)
async def get_matching(request: Request) -> JsonResponse:
    """Say whether corrections are found by meaning here, and whether the model that answers has a reader for them."""
    services = get_services(request)

    def query() -> JsonObject:
        champion = services.resolve_model("champion")
        base, _, adapter = champion.partition("+")
        readers = [each for each in AdapterLibrary(services.settings.adapters_dir).list() if each.purpose == "reader"]
        is_local = not services.pool.endpoint_url(champion) and not adapter
        return {
            "object": "correction.matching",
            "by_meaning": services.pool.has_embedder(),
            "embedding_model": services.pool.embedder_name(),
            "reader": any(each.base == base for each in readers) if is_local else None,
        }

    return JsonResponse(await asyncio.to_thread(query))


@router.post(
    "/v1/corrections",
    operation_id="add_correction",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.AddedCorrectionView,
)
async def create_correction(request: Request, body: JsonBody[schemas.CorrectionRequest]) -> JsonResponse:
    """Give a correction. It acts from the caller's next message on."""
    can_judge = may_judge(request, needed=body.scope == "team")

    def add(consensus: LiveConsensus, person_id: str) -> JsonObject:
        added = add_correction(
            consensus.log,
            person_id,
            body.question,
            body.answer,
            kind=body.kind,
            scope=body.scope,
            origin=body.origin,
            message_id=body.message,
            event_id=body.event,
            suggested=body.suggested,
            record_edit=body.record_edit,
            can_judge=can_judge,
        )
        consensus.request_run()
        return views.added_view(consensus, person_id, added)

    return await _respond(request, add)


@router.post(
    "/v1/corrections/check",
    operation_id="check_correction",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.CorrectionCheck,
)
async def check_correction(request: Request, body: JsonBody[schemas.CorrectionCheckRequest]) -> JsonResponse:
    """Return what giving a correction would replace, and the names of people here that occur in it. Stores nothing."""

    def check(consensus: LiveConsensus, person_id: str) -> JsonObject:
        pair = (body.question.strip(), body.answer.strip())
        (preview,) = preview_corrections(consensus.log, person_id, [pair], scope=body.scope)
        return {
            "object": "correction.check",
            "status": preview.status,
            "earlier": preview.earlier or None,
            "names": name_mentions(consensus.log, [body.question, body.answer]),
        }

    return await _respond(request, check)


@router.delete(
    "/v1/corrections",
    operation_id="delete_all_corrections",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.CorrectionDeleted,
)
async def delete_all(request: Request) -> JsonResponse:
    """Delete all corrections of the caller, retract their edits, and take them back from the team."""
    can_judge = may_judge(request)

    def delete(consensus: LiveConsensus, person_id: str) -> JsonObject:
        count = delete_all_corrections(consensus.log, person_id, can_judge=can_judge)
        consensus.request_run()
        return {"object": "correction.deleted", "deleted": count}

    return await _respond(request, delete)


@router.get("/v1/corrections/{correction_id}", operation_id="get_correction", response_model=schemas.CorrectionView)
async def get_correction(request: Request, correction_id: CorrectionId) -> JsonResponse:
    """Return a correction of the caller or of the team. The ID of one that a later one replaced returns the later one."""

    def query(consensus: LiveConsensus, person_id: str) -> JsonObject:
        record = consensus.log.store.corrections.get(correction_id, person_id=person_id)
        return views.correction_view(consensus, person_id, record)

    return await _respond(request, query)


@router.patch(
    "/v1/corrections/{correction_id}",
    operation_id="change_correction",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.CorrectionView,
)
async def patch_correction(
    request: Request, correction_id: CorrectionId, body: JsonBody[schemas.CorrectionChange]
) -> JsonResponse:
    """Reword a correction, switch it on or off, propose it to the team, or take it back. New words are judged anew."""
    can_judge = may_judge(request, needed=body.scope == "team")

    def change(consensus: LiveConsensus, person_id: str) -> JsonObject:
        record = change_correction(
            consensus.log,
            person_id,
            correction_id,
            question=UNCHANGED if body.question is None else body.question,
            answer=UNCHANGED if body.answer is None else body.answer,
            active=UNCHANGED if body.active is None else body.active,
            scope=UNCHANGED if body.scope is None else body.scope,
            can_judge=can_judge,
        )
        consensus.request_run()
        return views.correction_view(consensus, person_id, record)

    return await _respond(request, change)


@router.post(
    "/v1/corrections/{correction_id}/confirm",
    operation_id="confirm_correction",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.CorrectionView,
)
async def confirm(request: Request, correction_id: CorrectionId) -> JsonResponse:
    """Confirm a suggested correction, which acts from then on."""
    can_judge = may_judge(request)

    def confirm_entry(consensus: LiveConsensus, person_id: str) -> JsonObject:
        confirmed = confirm_correction(consensus.log, person_id, correction_id, can_judge=can_judge)
        return views.correction_view(consensus, person_id, confirmed)

    return await _respond(request, confirm_entry)


@router.get(
    "/v1/corrections/{correction_id}/history", operation_id="list_correction_wordings", response_model=schemas.WordingList
)
async def list_wordings(request: Request, correction_id: CorrectionId) -> JsonResponse:
    """List the earlier wordings of one of the caller's corrections, newest first."""

    def query(consensus: LiveConsensus, person_id: str) -> JsonObject:
        wordings = consensus.log.store.corrections.history(correction_id, person_id=person_id)
        data = [
            {"question": wording.question, "answer": wording.answer, "replaced_utc": format_utc(wording.replaced_utc)}
            for wording in wordings
        ]
        return {"object": "list", "data": data}

    return await _respond(request, query)


@router.delete(
    "/v1/corrections/{correction_id}",
    operation_id="delete_correction",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.CorrectionDeleted,
)
async def delete_one(request: Request, correction_id: CorrectionId) -> JsonResponse:
    """Delete a correction with its history, retract its edit, and take it back from the team."""
    can_judge = may_judge(request)

    def delete(consensus: LiveConsensus, person_id: str) -> JsonObject:
        delete_correction(consensus.log, person_id, correction_id, can_judge=can_judge)
        consensus.request_run()
        return {"object": "correction.deleted", "deleted": 1}

    return await _respond(request, delete)


def may_judge(request: Request, *, needed: bool = False) -> bool:
    """Whether the caller may act in the feedback log. Raises ApiError (403) if that is needed and they may not."""
    is_allowed = get_caller(request).is_allowed("member", "feedback")
    if needed and not is_allowed:
        raise ApiError(
            403, "Proposing to the team needs an API key with the scope feedback.", kind="permission_error", code="not_allowed"
        )
    return is_allowed


async def _respond(request: Request, query: Callable[[LiveConsensus, str], JsonObject]) -> JsonResponse:
    """The result of `query(consensus, person_id)`, which runs in a thread."""
    services, person = get_services(request), current_person(request)
    return JsonResponse(await asyncio.to_thread(lambda: query(services.running_consensus, person.id)))
