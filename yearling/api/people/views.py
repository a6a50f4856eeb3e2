"""People, sessions, API keys and invitations as JSON data."""

from __future__ import annotations

from yearling.api.access.caller import Caller
from yearling.api.http.json_response import JsonObject
from yearling.api.http.times import format_utc_offset, format_utc_offset_or_none
from yearling.records import KEY_SCOPES, Person
from yearling.store import ApiKey, Invitation, Session, Store


def person_view(person: Person) -> JsonObject:
    """A `PersonView`."""
    return {
        "object": "person",
        "id": person.id,
        "name": person.name,
        "role": person.role,
        "created_utc": format_utc_offset(person.created_utc),
        "closed_utc": format_utc_offset_or_none(person.closed_utc),
    }


def me_view(store: Store, caller: Caller) -> JsonObject:
    """A `MeView`. Blocks on the store."""
    person_id = caller.person.id
    return {
        "object": "me",
        "person": person_view(caller.person),
        "via": caller.auth_method,
        "scopes": [scope for scope in KEY_SCOPES if scope in caller.scopes],
        "has_password": store.passwords.has_password(person_id),
        "providers": store.identities.list_issuers(person_id),
    }


def session_view(session: Session, caller: Caller) -> JsonObject:
    """A `SessionView`."""
    return {
        "object": "session",
        "id": session.id,
        "agent": session.agent,
        "current": session.id == caller.credential_id,
        "created_utc": format_utc_offset(session.created_utc),
        "seen_utc": format_utc_offset(session.seen_utc),
        "expires_utc": format_utc_offset(session.expires_utc),
    }


def key_view(key: ApiKey) -> JsonObject:
    """A `KeyView`."""
    return {
        "object": "key",
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": [scope for scope in KEY_SCOPES if scope in key.scopes],
        "created_utc": format_utc_offset(key.created_utc),
        "used_utc": format_utc_offset_or_none(key.used_utc),
        "expires_utc": format_utc_offset_or_none(key.expires_utc),
    }


def invitation_view(invitation: Invitation) -> JsonObject:
    """An `InvitationView`."""
    return {
        "object": "invitation",
        "id": invitation.id,
        "role": invitation.role,
        "note": invitation.note,
        "state": invitation.state,
        "created_by": invitation.created_by,
        "created_utc": format_utc_offset(invitation.created_utc),
        "expires_utc": format_utc_offset(invitation.expires_utc),
        "used_utc": format_utc_offset_or_none(invitation.used_utc),
        "used_by": invitation.used_by,
    }
