"""`/v1/releases`: which model answers, what was changed and why, drafts, and changes that key-holders sign."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from fastapi import Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.errors import ApiError
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset
from yearling.api.release import change_schemas, schemas
from yearling.api.release.access import ReleaseNumber, propose, require_releases
from yearling.api.release.drafts import draft_release
from yearling.api.release.notes import answer_cost_view, behaviour_views, cost_view, learnt_view
from yearling.api.release.proofs import find_proof, proof_view
from yearling.api.release.views import (
    Names,
    champion_since,
    change_view,
    event_views,
    holder_view,
    release_view,
    status_view,
)
from yearling.api.services import Services, get_services
from yearling.errors import Conflict, NotFound, Untrusted, UserError
from yearling.inference import ListedModel
from yearling.loop import list_cycle_costs, prepare_promotion
from yearling.models import AdapterLibrary, ModelLibrary
from yearling.records import Person, role_rank

if TYPE_CHECKING:
    from yearling.release import ChangeKind, PendingChange, ReleaseAuthority, ReleaseState
    from yearling.store import Release

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MAINTAINER = [require_role("maintainer")]

WITHOUT_PROOF = "used without proof"
"""The reason of a promotion without proof if the person gives none."""


@router.get("/v1/releases", operation_id="list_releases", response_model=schemas.ReleasesView)
async def list_releases(request: Request) -> JsonResponse:
    """Return all releases, who decides about them, what waits for signatures, and what was changed when."""
    services, person = get_services(request), current_person(request)
    return JsonResponse(await asyncio.to_thread(_releases_view, services, person))


@router.get("/v1/releases/status", operation_id="get_release_status", response_model=schemas.ReleaseStatusView)
async def get_release_status(request: Request) -> JsonResponse:
    """Return what everybody should know now: stops, problems, and what waits for the caller's signature."""
    services, person = get_services(request), current_person(request)
    return JsonResponse(await asyncio.to_thread(_status, services, person))


@router.post("/v1/releases", operation_id="create_release", dependencies=_REQUIRE_MAINTAINER, response_model=schemas.ReleaseView)
async def create_release(request: Request, body: JsonBody[change_schemas.ReleaseDraftRequest]) -> JsonResponse:
    """Make a draft of a release: a model with the hashes of all of its files. Nothing is signed, and nothing else is served.

    Returns the release that exists if the same content was released before. Maintainers only.
    """
    services, person = get_services(request), current_person(request)
    releases = require_releases(services)

    def create() -> JsonObject:
        state = releases.authority.state()
        release = _draft(services, state, releases.resolve(body.model), body.title, person)
        return _release_view(services, state, release)

    return JsonResponse(await asyncio.to_thread(create))


@router.get("/v1/releases/{number}", operation_id="get_release", response_model=schemas.ReleaseDetail)
async def get_release(request: Request, number: ReleaseNumber) -> JsonResponse:
    """Return a release with its notes: what it learnt, how its answers changed, what proves it, and where it comes from."""
    services = get_services(request)
    releases = require_releases(services)
    view = await asyncio.to_thread(lambda: _detail_view(services, releases.authority.state(), number))
    return JsonResponse(view, ascii_only=True)


@router.post(
    "/v1/releases/{number}/promote",
    operation_id="promote_release",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def promote_release(request: Request, number: ReleaseNumber, body: JsonBody[change_schemas.PromoteRequest]) -> JsonResponse:
    """Propose that a release becomes the champion. Where the caller decides alone, it is in force on return.

    Needs a gate that allows it, or `without_proof`, which the signed metadata says for ever. A release that broke a limit is
    refused (409) in any case. Maintainers only.
    """
    services = get_services(request)
    override = (body.reason or WITHOUT_PROOF) if body.without_proof else ""

    def make(authority: ReleaseAuthority, person: Person) -> PendingChange:
        state = authority.state()
        release = state.releases.get(number) or services.store.releases.get(number)
        change = prepare_promotion(services.store, release, state, actor=person.id, override=override, reason=body.reason)
        return authority.propose(change, actor=person.id)

    return await propose(request, make)


@router.post(
    "/v1/releases/{number}/rollback",
    operation_id="roll_back_release",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def roll_back_release(
    request: Request, number: ReleaseNumber, body: JsonBody[change_schemas.ReleaseReason]
) -> JsonResponse:
    """Propose to go back to a release that was the champion before. Maintainers only."""
    return await _propose_simple(request, "rollback", number, body.reason)


@router.post(
    "/v1/releases/{number}/withdraw",
    operation_id="withdraw_release",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def withdraw_release(request: Request, number: ReleaseNumber, body: JsonBody[change_schemas.ReleaseReason]) -> JsonResponse:
    """Propose to withdraw a release for ever: its files are not loaded any more. Maintainers only."""
    return await _propose_simple(request, "withdraw", number, body.reason)


@router.post(
    "/v1/releases/{number}/canary",
    operation_id="start_canary",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def start_canary(request: Request, number: ReleaseNumber, body: JsonBody[change_schemas.ReleaseReason]) -> JsonResponse:
    """Propose that a release answers a few people first. Maintainers only."""
    return await _propose_simple(request, "start_canary", number, body.reason)


@router.post(
    "/v1/releases/{number}/end-canary",
    operation_id="end_canary",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def end_canary(request: Request, number: ReleaseNumber, body: JsonBody[change_schemas.ReleaseReason]) -> JsonResponse:
    """Propose that the canary of a release ends: everybody gets the champion again. Maintainers only."""
    return await _propose_simple(request, "end_canary", number, body.reason)


async def _propose_simple(request: Request, kind: ChangeKind, number: int, reason: str) -> JsonResponse:
    def make(authority: ReleaseAuthority, person: Person) -> PendingChange:
        from yearling.release import Change

        return authority.propose(Change(kind=kind, release=number, reason=reason), actor=person.id)

    return await propose(request, make)


def _draft(services: Services, state: ReleaseState, name: str, title: str, person: Person) -> Release:
    """Store a draft of a model, or return the release with the same content."""
    from yearling.release import store_draft

    title = " ".join(title.split())
    if not title.isprintable():
        raise ApiError(400, "The title contains control characters. Write it without them.", param="title", code="invalid_value")
    draft = draft_release(
        services.settings,
        services.store,
        name,
        created_by=person.id,
        endpoint_url=services.pool.endpoint_url(name),
        parent=state.champion,
    )
    if draft.kind == "adapter" and not draft.num_lessons:  # the default would be the digits of the adapter
        title = title or f"trained from {services.pool.title(draft.base_model)}"
    return store_draft(services.store, replace(draft, title=title or draft.title), state)


def _releases_view(services: Services, person: Person) -> JsonObject:
    status = _status(services, person)
    releases = services.releases
    if releases is None:
        return _empty_view(status)
    try:
        state = releases.authority.state()
    except (NotFound, Untrusted):
        return _empty_view(status)
    authority, store, names = releases.authority, services.store, Names(services.store)
    events = event_views(store, state, names)
    try:
        pending = [change_view(each, state, authority, store, person) for each in authority.pending()]
    except UserError:
        pending = []  # the status says why
    candidates = _candidates(services, state) if role_rank(person.role) >= role_rank("maintainer") else []
    return {
        "object": "releases",
        "status": status,
        "version": state.version,
        "champion": state.champion,
        "champion_since_utc": champion_since(events, state.champion),
        "challenger": state.challenger,
        "rollback_target": _rollback_target(state),
        "threshold": state.threshold,
        "holders": [holder_view(holder, person) for holder in state.holders],
        "expires_utc": {role: format_utc_offset(moment) for role, moment in state.expires.items()},
        "data": [_release_view(services, state, release) for release in store.releases.list()],
        "candidates": candidates,
        "pending": pending,
        "events": events,
    }


def _empty_view(status: JsonObject) -> JsonObject:
    """A `ReleasesView` of a server that releases nothing, or whose releases cannot be read: the status says which."""
    return {
        "object": "releases",
        "status": status,
        "version": 0,
        "champion": None,
        "champion_since_utc": None,
        "challenger": None,
        "rollback_target": None,
        "threshold": 0,
        "holders": [],
        "expires_utc": {},
        "data": [],
        "candidates": [],
        "pending": [],
        "events": [],
    }


def _status(services: Services, person: Person) -> JsonObject:
    releases = services.releases
    if releases is None:
        return _no_status(is_enabled=False, problem="")
    try:
        state = releases.authority.state()
    except (NotFound, Untrusted) as error:
        return _no_status(is_enabled=True, problem=str(error))
    champion = releases.champion()
    stopped = releases.is_stopped(champion.model) if champion else ""
    serving = [problem for problem in releases.problems() if not stopped or stopped not in problem]  # `stops` says the rest
    problems = [text for text in (*serving, releases.metadata_problem()) if text]
    return status_view(releases.authority, state, services.store, person, problems)


def _no_status(*, is_enabled: bool, problem: str) -> JsonObject:
    return {
        "object": "release_status",
        "is_enabled": is_enabled,
        "stops": [],
        "stop_problem": "",
        "problem": problem,
        "can_stop": False,
        "is_holder": False,
        "signs_alone": False,
        "num_waiting": 0,
    }


def _rollback_target(state: ReleaseState) -> int | None:
    """The release that a rollback goes back to; None if there is none."""
    from yearling.release import rollback_target

    try:
        return rollback_target(state.champions, state.withdrawn)
    except Conflict:
        return None


def _release_view(services: Services, state: ReleaseState, release: Release) -> JsonObject:
    releases = require_releases(services)
    return release_view(
        release,
        state,
        services.store,
        names=Names(services.store),
        title_of=services.pool.title,
        is_stopped=releases.is_stopped,
    )


def _candidates(services: Services, state: ReleaseState) -> list[JsonObject]:
    """`CandidateView`s: the models that nobody has released or drafted."""
    from yearling.release import find_lineage

    library, adapters = ModelLibrary(services.settings.models_dir), AdapterLibrary(services.settings.adapters_dir)
    known = {(release.model, release.endpoint_url) for release in services.store.releases.list()}
    hashes = {model.name: model.sha256 for model in library.list()}
    found = []
    for listed in services.pool.models():
        if (listed.name, services.pool.endpoint_url(listed.name)) in known:
            continue
        model_hash = hashes.get(listed.name, "")
        base_model, _, digits = listed.name.rpartition("+")
        adapter = None
        if listed.endpoint is None and not model_hash and base_model:
            try:
                adapter = adapters.get(digits)
            except UserError:
                continue  # a damaged adapter, which the Models page reports
            model_hash = adapter.sha256
        proof = find_proof(services.store, _as_release(listed, model_hash, is_adapter=adapter is not None), state)
        found.append(
            {
                "model": listed.name,
                "title": listed.title,
                "is_adapter": adapter is not None,
                "base_model": base_model if adapter else "",
                "trained_utc": format_utc_offset(adapter.created_utc) if adapter else None,
                "num_lessons": find_lineage(services.store, adapter.run).num_lessons if adapter else 0,
                "is_verifiable": listed.endpoint is None,
                "proof": proof_view(proof),
            }
        )
    return found


def _as_release(listed: ListedModel, model_hash: str, *, is_adapter: bool) -> Release:
    """What the gate knows a model by, before there is a draft."""
    from yearling.store import ReleaseKind, new_release

    kind: ReleaseKind = "endpoint" if listed.endpoint is not None else "adapter" if is_adapter else "model"
    return new_release(created_by="", title="", kind=kind, model=listed.name, model_hash=model_hash, program_version="")


def _detail_view(services: Services, state: ReleaseState, number: int) -> JsonObject:
    store, names = services.store, Names(services.store)
    release = state.releases.get(number) or store.releases.get(number)
    all_releases = store.releases.list()
    before = next((each for each in all_releases if each.number == release.parent), None)
    costs = list_cycle_costs(services.settings)
    cost, cost_before = costs.get(release.model), costs.get(before.model) if before else None
    return {
        **_release_view(services, state, release),
        "learnt": learnt_view(store, release),
        "behaviour": behaviour_views(store, release, before, state),
        "compared_with": before.number if before else None,
        "cost": cost_view(cost),
        "cost_before": cost_view(cost_before),
        "answer_cost": answer_cost_view(services.settings, store, cost, cost_before, before.model if before else None),
        "parent": release.parent,
        "children": [each.number for each in all_releases if each.parent == number],
        "run_id": release.run_id,
        "base_model": release.base_model,
        "consensus": release.consensus,
        "model_hash": release.model_hash,
        "endpoint_url": release.endpoint_url,
        "program_version": release.program_version,
        "files": [asdict(file) for file in release.files],
        "events": event_views(store, state, names, release=number),
    }
