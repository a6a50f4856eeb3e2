"""`/v1/incidents`: answers that must not happen again, their reviews, and whether they ever came back.

Members report answers that they may read, and see what became of their reports. Maintainers see all reports with question and
answer, which the person who reports an answer knows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.feedback.routes import normalize_item_id
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset, format_utc_offset_or_none
from yearling.api.release import incident_schemas as schemas
from yearling.api.release.views import Names
from yearling.api.services import get_services
from yearling.errors import BadInput, NotFound
from yearling.loop import accept_incident as accept_with_case
from yearling.records import Person, Sample, role_rank
from yearling.store import answering_model_hash
from yearling.tasks import last_user_message_text

if TYPE_CHECKING:
    from yearling.release import IncidentHistory
    from yearling.store import Incident, Store

router = ApiRouter(dependencies=[require_role("member", scope="read")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]

IncidentId = Annotated[str, Path(max_length=64, description="ID of the incident.")]


@router.get("/v1/incidents", operation_id="list_incidents", response_model=schemas.IncidentPage)
async def list_incidents(request: Request) -> JsonResponse:
    """List incidents, newest first: the caller's own, and those of everybody for maintainers."""
    services, person = get_services(request), current_person(request)
    can_review = role_rank(person.role) >= role_rank("maintainer")

    def query() -> JsonObject:
        from yearling.release import incident_history

        found = [each for each in incident_history(services.store) if can_review or each.incident.person_id == person.id]
        samples = services.store.samples.get_many([each.incident.sample_id for each in found if each.incident.sample_id])
        names = Names(services.store)
        rows = [_incident_view(each, samples.get(each.incident.sample_id or ""), names, person) for each in found]
        return {"object": "list", "data": rows, "can_review": can_review}

    return JsonResponse(await asyncio.to_thread(query), ascii_only=True)


@router.post(
    "/v1/incidents",
    operation_id="report_incident",
    dependencies=[require_role("member", scope="feedback")],
    response_model=schemas.IncidentView,
)
async def report_incident(request: Request, body: JsonBody[schemas.IncidentRequest]) -> JsonResponse:
    """Report an answer that must not happen again: an own one, or one that was offered to everybody.

    Maintainers read the question, the answer and the reason, and turn it into a case that every later release has to pass.
    """
    services, person = get_services(request), current_person(request)

    def report() -> JsonObject:
        store = services.store
        sample = _find_answer(store, normalize_item_id(body.item), person)
        incident = store.incidents.open(
            person.id,
            sample_id=sample.id,
            model=sample.model,
            model_hash=answering_model_hash(sample),
            reason=body.reason.strip(),
        )
        return _one_view(store, incident, person)

    return JsonResponse(await asyncio.to_thread(report), ascii_only=True)


@router.post(
    "/v1/incidents/{incident_id}/accept",
    operation_id="accept_incident",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.IncidentView,
)
async def accept_incident(
    request: Request, incident_id: IncidentId, body: JsonBody[schemas.AcceptIncidentRequest]
) -> JsonResponse:
    """Turn an incident into a case that every later release has to pass. Maintainers only."""
    services, person = get_services(request), current_person(request)
    case: JsonObject = {"user": body.question}
    if body.must_contain:
        case["contains"] = body.must_contain
    if body.must_not_contain:
        case["not_contains"] = body.must_not_contain
    if body.must_refuse is not None:
        case["refuses"] = body.must_refuse
    if len(case) == 1:
        raise BadInput("The case has no check.", advice="Say what the answer must or must not contain.", param="must_contain")

    def accept() -> JsonObject:
        incident = accept_with_case(services.store, incident_id, reviewed_by=person.id, review=body.review.strip(), case=case)
        return _one_view(services.store, incident, person)

    return JsonResponse(await asyncio.to_thread(accept), ascii_only=True)


@router.post(
    "/v1/incidents/{incident_id}/dismiss",
    operation_id="dismiss_incident",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.IncidentView,
)
async def dismiss_incident(
    request: Request, incident_id: IncidentId, body: JsonBody[schemas.DismissIncidentRequest]
) -> JsonResponse:
    """Say that a reported answer is no fault. Maintainers only."""
    services, person = get_services(request), current_person(request)

    def dismiss() -> JsonObject:
        incident = services.store.incidents.dismiss(incident_id, reviewed_by=person.id, review=body.review.strip())
        return _one_view(services.store, incident, person)

    return JsonResponse(await asyncio.to_thread(dismiss), ascii_only=True)


def _find_answer(store: Store, item: str, person: Person) -> Sample:
    """An answer that the person may read: their own, or one that was offered to everybody. Raises NotFound."""
    if item in store.samples.owned_ids([item], person_id=person.id):
        return store.samples.get(item, person_id=person.id)
    offer = store.offers.find(item)
    if offer is not None and offer.withdrawn_utc is None and offer.sample_id is not None:
        sample = store.samples.get_many([offer.sample_id]).get(offer.sample_id)
        if sample is not None:
            return sample
    raise NotFound(
        f"There is no answer {item!r}.",
        advice="Only stored answers can be reported, by those who may read them: see the setting `retention`.",
        param="item",
    )


def _one_view(store: Store, incident: Incident, person: Person) -> JsonObject:
    from yearling.release import incident_history

    history = next(each for each in incident_history(store) if each.incident.id == incident.id)
    sample = store.samples.get_many([incident.sample_id]).get(incident.sample_id) if incident.sample_id else None
    return _incident_view(history, sample, Names(store), person)


def _incident_view(history: IncidentHistory, sample: Sample | None, names: Names, person: Person) -> JsonObject:
    incident = history.incident
    has_words = sample is not None and sample.kept == "full"
    return {
        "object": "incident",
        "id": incident.id,
        "created_utc": format_utc_offset(incident.created_utc),
        "reported_by": names(incident.person_id) if incident.person_id else "",
        "is_mine": incident.person_id == person.id,
        "model": incident.model,
        "reason": incident.reason,
        "state": incident.state,
        "question": last_user_message_text(sample.messages) if sample is not None and has_words else None,
        "answer": sample.output_text if sample is not None and has_words else None,
        "reviewed_by": names(incident.reviewed_by) if incident.reviewed_by else "",
        "reviewed_utc": format_utc_offset_or_none(incident.reviewed_utc),
        "review": incident.review,
        "case": incident.case,
        "checks": [
            {"created_utc": format_utc_offset(check.created_utc), "model": check.model, "passed": check.passed}
            for check in history.checks
        ],
        "repaired_utc": format_utc_offset(history.repaired_by.created_utc) if history.repaired_by else None,
        "recurrences": [
            {
                "created_utc": format_utc_offset(each.check.created_utc),
                "model": each.check.model,
                "releases": list(each.releases),
            }
            for each in history.recurrences
        ],
    }
