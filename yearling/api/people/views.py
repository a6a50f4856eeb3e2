"""People and how they get in, in the form in which they go over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from yearling.api.access.policy import Caller
from yearling.clock import now_utc
from yearling.records import KEY_SCOPES, Person
from yearling.store import ApiKey, Invitation, Session, Store


def person_view(person: Person) -> dict[str, Any]:
    return {
        "object": "person",
        "id": person.id,
        "name": person.name,
        "role": person.role,
        "created_utc": person.created_utc.isoformat(),
        "closed_utc": _format_utc_or_none(person.closed_utc),
    }


def me_view(store: Store, caller: Caller) -> dict[str, Any]:
    person_id = caller.person.id
    return {
        "object": "me",
        "person": person_view(caller.person),
        "via": caller.auth_method,
        "scopes": [scope for scope in KEY_SCOPES if scope in caller.scopes],
        "has_password": store.passwords.has_password(person_id),
        "providers": store.identities.list_issuers(person_id),
    }


def session_view(session: Session, caller: Caller) -> dict[str, Any]:
    return {
        "object": "session",
        "id": session.id,
        "agent": session.agent,
        "current": session.id == caller.credential_id,
        "created_utc": session.created_utc.isoformat(),
        "seen_utc": session.seen_utc.isoformat(),
        "expires_utc": session.expires_utc.isoformat(),
    }


def key_view(key: ApiKey) -> dict[str, Any]:
    return {
        "object": "key",
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "scopes": [scope for scope in KEY_SCOPES if scope in key.scopes],
        "created_utc": key.created_utc.isoformat(),
        "used_utc": _format_utc_or_none(key.used_utc),
        "expires_utc": _format_utc_or_none(key.expires_utc),
    }


def invitation_view(invitation: Invitation) -> dict[str, Any]:
    ended = "ended" if invitation.expires_utc <= now_utc() else "open"
    return {
        "object": "invitation",
        "id": invitation.id,
        "role": invitation.role,
        "note": invitation.note,
        "state": "used" if invitation.used_utc else ended,
        "created_by": invitation.created_by,
        "created_utc": invitation.created_utc.isoformat(),
        "expires_utc": invitation.expires_utc.isoformat(),
        "used_utc": _format_utc_or_none(invitation.used_utc),
        "used_by": invitation.used_by,
    }


def _format_utc_or_none(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
