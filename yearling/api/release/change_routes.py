"""`/v1/releases/changes`, `stop`, `resume` and `keys`: signatures of key-holders, the switch that stops models, and the keys."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from fastapi import Request

from yearling.api.access.policy import current_person, require_role
from yearling.api.http.body import JsonBody
from yearling.api.http.json_response import JsonObject, JsonResponse
from yearling.api.http.router import ApiRouter
from yearling.api.http.times import format_utc_offset
from yearling.api.people.schemas import DeletedObject
from yearling.api.release import change_schemas, schemas
from yearling.api.release.access import (
    ChangeId,
    KeyIdPath,
    in_authority,
    propose,
    require_holder_or_owner,
    require_releases,
)
from yearling.api.release.views import Names, canary_view, holder_view, stop_view
from yearling.api.services import get_services
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound
from yearling.records import Person

if TYPE_CHECKING:
    from yearling.release import HolderKey, KeyHolder, PendingChange, ReleaseAuthority

router = ApiRouter(dependencies=[require_role("reader")])

_REQUIRE_MEMBER = [require_role("member", scope="admin")]
_REQUIRE_MAINTAINER = [require_role("maintainer")]


@router.get(
    "/v1/releases/changes/{change_id}/payload",
    operation_id="get_signing_payload",
    dependencies=_REQUIRE_MEMBER,
    response_model=change_schemas.SigningPayload,
)
async def get_signing_payload(request: Request, change_id: ChangeId) -> JsonResponse:
    """Return what a key-holder signs with a key that is kept elsewhere."""
    payloads = await in_authority(request, lambda authority: authority.signing_bytes(change_id).split(b"\n"))
    encoded = [base64.b64encode(payload).decode() for payload in payloads]
    return JsonResponse({"object": "release.payload", "change": change_id, "payloads": encoded})


@router.post(
    "/v1/releases/changes/{change_id}/signatures",
    operation_id="sign_change",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.ReleaseChangeView,
)
async def sign_change(request: Request, change_id: ChangeId, body: JsonBody[change_schemas.SignatureRequest]) -> JsonResponse:
    """Sign a change with the caller's key on this machine, or add a signature that was made elsewhere.

    The last signature that is needed puts the change in force. A key counts once, however often it signs.
    """

    def sign(authority: ReleaseAuthority, person: Person) -> PendingChange:
        if body.signature:
            if not body.key_id:
                raise BadInput("The ID of the key that made the signature is missing.", param="key_id")
            return authority.add_signature(change_id, body.key_id, body.signature, actor=person.id)
        key_id = body.key_id or _own_key(authority, change_id, person)
        return authority.sign_with_stored_key(change_id, key_id, passphrase=body.passphrase, actor=person.id)

    return await propose(request, sign)


@router.delete(
    "/v1/releases/changes/{change_id}", operation_id="cancel_change", dependencies=_REQUIRE_MEMBER, response_model=DeletedObject
)
async def cancel_change(request: Request, change_id: ChangeId) -> JsonResponse:
    """Drop a change that is not in force yet. Those who proposed it and key-holders may."""
    person = current_person(request)
    await in_authority(request, lambda authority: authority.cancel(change_id, actor=person.id))
    return JsonResponse({"object": "deleted", "id": change_id})


@router.get(
    "/v1/releases/canary",
    operation_id="get_canary",
    response_model=schemas.CanaryView,
)
async def get_canary(request: Request) -> JsonResponse:
    """Return what the canary shows now: who gets the challenger, what is watched, and what it could and could not have seen."""
    services = get_services(request)
    return JsonResponse(await in_authority(request, lambda authority: canary_view(services.store, authority.state())))


@router.post("/v1/releases/stop", operation_id="stop_models", dependencies=_REQUIRE_MEMBER, response_model=schemas.StopView)
async def stop_models(request: Request, body: JsonBody[change_schemas.StopRequest]) -> JsonResponse:
    """Stop a model, or all of them, at once and in the middle of answers. Only signatures lift a stop. Key-holders and owners."""
    services, person = get_services(request), current_person(request)
    releases = require_releases(services)

    def stop(authority: ReleaseAuthority) -> JsonObject:
        require_holder_or_owner(authority.state(), person)
        model = body.model if body.model is None else releases.resolve(body.model)
        return stop_view(authority.stop(model, actor=person.id, reason=body.reason), Names(services.store))

    return JsonResponse(await in_authority(request, stop))


@router.post(
    "/v1/releases/resume", operation_id="resume_models", dependencies=_REQUIRE_MEMBER, response_model=schemas.ReleaseChangeView
)
async def resume_models(request: Request, body: JsonBody[change_schemas.ResumeRequest]) -> JsonResponse:
    """Propose to lift stops. As many key-holders as for any release have to sign it. Key-holders and owners."""

    def resume(authority: ReleaseAuthority, person: Person) -> PendingChange:
        from yearling.release import Change

        require_holder_or_owner(authority.state(), person)
        stops = body.stops or [notice.id for notice in authority.stops.notices()]
        if not stops:
            raise Conflict("Nothing is stopped.")
        return authority.propose(Change(kind="resume", stop_id=" ".join(stops), reason=body.reason), actor=person.id)

    return await propose(request, resume)


@router.post(
    "/v1/releases/renew",
    operation_id="renew_release_metadata",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def renew_release_metadata(request: Request, body: JsonBody[change_schemas.ReleaseReason]) -> JsonResponse:
    """Propose new dates of expiry for what the key-holders signed. Maintainers only."""

    def renew(authority: ReleaseAuthority, person: Person) -> PendingChange:
        from yearling.release import Change

        return authority.propose(Change(kind="renew", reason=body.reason), actor=person.id)

    return await propose(request, renew)


@router.get(
    "/v1/releases/keys",
    operation_id="list_release_keys",
    response_model=change_schemas.ReleaseKeysView,
)
async def list_release_keys(request: Request) -> JsonResponse:
    """List the key-holders, and the keys on this machine that have no vote yet."""
    person = current_person(request)

    def view(authority: ReleaseAuthority) -> JsonObject:
        state = authority.state()
        votes = {holder.key_id for holder in state.holders}
        unused = [key for key in authority.keys.list() if key.key_id not in votes]
        return {
            "object": "release_keys",
            "threshold": state.threshold,
            "holders": [holder_view(holder, person) for holder in state.holders],
            "unused": [
                {
                    "key_id": key.key_id,
                    "name": key.name,
                    "is_me": key.person_id == person.id,
                    "is_stored": True,
                    "is_protected": key.is_protected,
                }
                for key in unused
            ],
            "expires_utc": {role: format_utc_offset(moment) for role, moment in state.expires.items()},
            "needs_renewal": authority.needs_holders(),
        }

    return JsonResponse(await in_authority(request, view))


@router.post(
    "/v1/releases/keys", operation_id="create_release_key", dependencies=_REQUIRE_MEMBER, response_model=schemas.KeyHolderView
)
async def create_release_key(request: Request, body: JsonBody[change_schemas.NewKeyRequest]) -> JsonResponse:
    """Make a key for the caller on this machine. It has no vote before the key-holders have signed that it gets one."""
    person = current_person(request)

    def create(authority: ReleaseAuthority) -> KeyHolder:
        state = authority.state()
        held = {holder.key_id for holder in state.holders}
        if any(key.person_id == person.id and key.key_id not in held for key in authority.keys.list()):
            raise Conflict("You have a key that waits for its vote.", advice="Ask the key-holders to give it one.")
        return authority.create_key(person, passphrase=body.passphrase)

    return JsonResponse(holder_view(await in_authority(request, create), person))


@router.post(
    "/v1/releases/keys/holders",
    operation_id="add_key_holder",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def add_key_holder(request: Request, body: JsonBody[change_schemas.NewHolderRequest]) -> JsonResponse:
    """Propose that a key gets a vote. A person has one key: a new one replaces theirs. Maintainers only."""
    store = get_services(request).store

    def add(authority: ReleaseAuthority, person: Person) -> PendingChange:
        from yearling.release import Change, HolderKey

        key: HolderKey
        if body.key_id:
            key = authority.holder_key(body.key_id)
        elif body.public and body.person:
            holder = store.people.get(body.person)
            key = HolderKey(public=body.public, name=holder.name, person_id=holder.id)
        else:
            raise BadInput("A key is missing.", advice="Send `key_id`, or `public` with `person`.", param="key_id")
        change = Change(kind="keys", add=(key,), threshold=body.threshold, reason=body.reason)
        return authority.propose(change, actor=person.id)

    return await propose(request, add)


@router.post(
    "/v1/releases/keys/threshold",
    operation_id="set_release_threshold",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def set_release_threshold(request: Request, body: JsonBody[change_schemas.ThresholdRequest]) -> JsonResponse:
    """Propose how many key-holders have to sign a change. Maintainers only."""

    def change(authority: ReleaseAuthority, person: Person) -> PendingChange:
        from yearling.release import Change

        return authority.propose(Change(kind="keys", threshold=body.threshold, reason=body.reason), actor=person.id)

    return await propose(request, change)


@router.post(
    "/v1/releases/keys/{key_id}/protect",
    operation_id="protect_release_key",
    dependencies=_REQUIRE_MEMBER,
    response_model=schemas.KeyHolderView,
)
async def protect_release_key(
    request: Request, key_id: KeyIdPath, body: JsonBody[change_schemas.ProtectKeyRequest]
) -> JsonResponse:
    """Protect the caller's own key on this machine with a passphrase, or change the passphrase. Nobody can recover it."""
    person = current_person(request)

    def protect(authority: ReleaseAuthority) -> KeyHolder:
        if authority.keys.get(key_id).person_id != person.id:
            raise NotAllowed("Only the holder of a key may protect it.", advice="Choose your own key.")
        return authority.protect_key(key_id, passphrase=body.passphrase, old_passphrase=body.old_passphrase, actor=person.id)

    return JsonResponse(holder_view(await in_authority(request, protect), person))


@router.post(
    "/v1/releases/keys/{key_id}/revoke",
    operation_id="revoke_release_key",
    dependencies=_REQUIRE_MAINTAINER,
    response_model=schemas.ReleaseChangeView,
)
async def revoke_release_key(
    request: Request, key_id: KeyIdPath, body: JsonBody[change_schemas.RevokeKeyRequest]
) -> JsonResponse:
    """Propose that a key loses its vote. Maintainers only."""

    def revoke(authority: ReleaseAuthority, person: Person) -> PendingChange:
        from yearling.release import Change

        if key_id not in {holder.key_id for holder in authority.state().holders}:
            raise NotFound("This key has no vote.", advice="List the keys with `yearling release key list`.", param="key_id")
        change = Change(kind="keys", revoke=(key_id,), threshold=body.threshold, reason=body.reason)
        return authority.propose(change, actor=person.id)

    return await propose(request, revoke)


def _own_key(authority: ReleaseAuthority, change_id: str, person: Person) -> str:
    """The caller's key on this machine that has not signed the change, the one with a vote first."""
    votes = {holder.key_id for holder in authority.state().holders}
    signed = next((each.signed_by for each in authority.pending() if each.id == change_id), ())
    own = [key.key_id for key in authority.keys.list() if key.person_id == person.id and key.key_id not in signed]
    if not own:
        raise NotFound("You have no key on this machine that could still sign this.", advice="Sign with your key file.")
    return max(own, key=lambda key_id: key_id in votes)
