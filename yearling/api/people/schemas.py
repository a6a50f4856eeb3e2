"""Wire models of people, sign-in, sessions, API keys and invitations. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.records import KeyScope, PersonRole

PersonName = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
InvitationToken = Annotated[str, Field(min_length=1, max_length=200)]
ReturnPath = Annotated[str, Field(pattern=r"^/([^/\\].*)?$", max_length=500)]


class LoginRequest(StrictModel):
    """A sign-in with a password."""

    name: PersonName
    """Name of the person."""
    password: Password
    """The person's password."""


class SignUpRequest(StrictModel):
    """A new account, by invitation."""

    invitation: InvitationToken
    """Token from the invitation's link, after the `#`."""
    name: PersonName
    """Name of the new person, for display and sign-in."""
    password: Annotated[str, Field(min_length=8, max_length=1024)]
    """Password of the new person."""


class InvitationLookup(StrictModel):
    """A look at an invitation."""

    invitation: InvitationToken
    """Token from the invitation's link, after the `#`."""


class OidcRequest(StrictModel):
    """A sign-in through the OpenID Connect provider."""

    invitation: InvitationToken | None = None
    """Token from an invitation's link, for people without an account."""
    link: bool = False
    """Add the provider to the account of the person who is signed in."""
    then: ReturnPath = "/"
    """Path on this server to open afterwards."""


class PasswordRequest(StrictModel):
    """A new password."""

    old: Password | None = None
    """The current password. Required if there is one."""
    new: Annotated[str, Field(min_length=8, max_length=1024)]
    """The new password."""


class DeleteAccountRequest(StrictModel):
    """Confirmation for deleting one's own account."""

    name: PersonName
    """One's own name, as a safeguard against accidents."""
    password: Password | None = None
    """One's own password. Required if there is one."""


class InvitationRequest(StrictModel):
    """A new invitation."""

    role: PersonRole = "member"
    """Role of the invited person."""
    note: Annotated[str, Field(max_length=200)] = ""
    """Reminder of whom the invitation is for. Only people who can invite see it."""
    expires_in_s: Annotated[int, Field(ge=60, le=90 * 86400)] = 7 * 86400
    """Lifetime in seconds."""


class KeyRequest(StrictModel):
    """A new API key."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """Name of the key, for people."""
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1, max_length=4)] = ("read", "chat")
    """What the key allows."""
    expires_in_s: Annotated[int | None, Field(ge=60, le=10 * 366 * 86400)] = None
    """Lifetime in seconds. Default: no end."""


class RoleRequest(StrictModel):
    """A new role for a person."""

    role: PersonRole
    """The role."""


# Responses


class PersonView(ResponseModel):
    """A person with an account."""

    object: Literal["person"]
    """Always `person`."""
    id: str
    """ID of the person."""
    name: str
    """Name of the person."""
    role: PersonRole
    """Role of the person."""
    created_utc: str
    """Creation time of the account, ISO 8601 in UTC."""
    closed_utc: str | None
    """Time at which the account was closed, ISO 8601 in UTC; null if it is open."""


class PersonList(ResponseModel):
    """All people with an account."""

    object: Literal["list"]
    """Always `list`."""
    data: list[PersonView]
    """The people."""


class MeView(ResponseModel):
    """The caller."""

    object: Literal["me"]
    """Always `me`."""
    person: PersonView
    """The person."""
    via: Literal["loopback", "setting", "key", "session"]
    """How the caller is authenticated: no sign-in is needed yet, a key of the setting `api_keys`, an API key, or a session."""
    scopes: list[KeyScope]
    """What the caller may do."""
    has_password: bool
    """Whether the person has a password."""
    providers: list[str]
    """Issuers of the OpenID Connect providers that the person can sign in with."""


class ProviderView(ResponseModel):
    """An OpenID Connect provider."""

    name: str
    """Name of the provider, for the sign-in button."""


class SignInView(ResponseModel):
    """How to sign in."""

    object: Literal["sign_in"]
    """Always `sign_in`."""
    needed: bool
    """Whether this server requires sign-in."""
    password: bool
    """Whether sign-in with a password is possible."""
    provider: ProviderView | None
    """The OpenID Connect provider; null if none is configured."""
    me: MeView | None
    """The caller; null if not signed in."""


class SignedOut(ResponseModel):
    """Confirmation of a sign-out."""

    object: Literal["signed_out"]
    """Always `signed_out`."""


class ProviderAddress(ResponseModel):
    """Where to continue a sign-in through the provider."""

    object: Literal["provider_address"]
    """Always `provider_address`."""
    url: str
    """URL of the provider to open in the browser."""


class InvitationPreview(ResponseModel):
    """What an invitation offers."""

    object: Literal["invited"]
    """Always `invited`."""
    role: PersonRole
    """Role that the invited person gets."""
    expires_utc: str
    """End of the invitation, ISO 8601 in UTC."""


class InvitationView(ResponseModel):
    """An invitation."""

    object: Literal["invitation"]
    """Always `invitation`."""
    id: str
    """ID of the invitation."""
    role: PersonRole
    """Role that the invited person gets."""
    note: str
    """Reminder of whom the invitation is for."""
    state: Literal["open", "used", "ended"]
    """Whether the invitation is open, was used, or has expired."""
    created_by: str
    """ID of the person who created the invitation."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    expires_utc: str
    """End of the invitation, ISO 8601 in UTC."""
    used_utc: str | None
    """Time of use, ISO 8601 in UTC; null if not used."""
    used_by: str | None
    """ID of the person who used the invitation; null if not used."""


class NewInvitation(InvitationView):
    """A new invitation with its secret, which is returned only once."""

    token: str
    """Secret of the invitation."""
    link: str
    """Link for the invited person. The secret follows the `#`."""


class InvitationList(ResponseModel):
    """All invitations, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[InvitationView]
    """The invitations."""


class KeyView(ResponseModel):
    """An API key without its secret."""

    object: Literal["key"]
    """Always `key`."""
    id: str
    """ID of the key."""
    name: str
    """Name of the key."""
    hint: str
    """First characters of the key."""
    scopes: list[KeyScope]
    """What the key allows."""
    created_utc: str
    """Creation time, ISO 8601 in UTC."""
    used_utc: str | None
    """Approximate time of the last use, ISO 8601 in UTC; null if never used."""
    expires_utc: str | None
    """End of the key, ISO 8601 in UTC; null if it does not end."""


class NewKey(KeyView):
    """A new API key with its secret, which is returned only once."""

    key: str
    """The API key."""


class KeyList(ResponseModel):
    """The caller's API keys, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[KeyView]
    """The keys."""


class SessionView(ResponseModel):
    """A session of a browser."""

    object: Literal["session"]
    """Always `session`."""
    id: str
    """ID of the session."""
    agent: str
    """User agent of the browser."""
    current: bool
    """Whether this request belongs to the session."""
    created_utc: str
    """Time of the sign-in, ISO 8601 in UTC."""
    seen_utc: str
    """Approximate time of the last use, ISO 8601 in UTC."""
    expires_utc: str
    """End of the session, ISO 8601 in UTC. Use extends it."""


class SessionList(ResponseModel):
    """The caller's sessions, newest first."""

    object: Literal["list"]
    """Always `list`."""
    data: list[SessionView]
    """The sessions."""


class DeletedObject(ResponseModel):
    """Confirmation of a deletion."""

    object: Literal["deleted"]
    """Always `deleted`."""
    id: str
    """ID of the deleted object."""


class EndedAccess(ResponseModel):
    """How many ways of access were ended."""

    object: Literal["ended"]
    """Always `ended`."""
    sessions: int
    """Number of ended sessions."""
    keys: int
    """Number of revoked API keys."""
