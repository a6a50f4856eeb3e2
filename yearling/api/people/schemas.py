"""People, signing in, sessions, keys and invitations as they go over the wire. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from yearling.api.openai.schemas import StrictModel
from yearling.records import KeyScope, PersonRole

PersonName = Annotated[str, Field(min_length=1, max_length=64, description="What the person is called, and signs in by.")]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
InvitationToken = Annotated[
    str,
    Field(min_length=1, max_length=200, description="What follows the # of an invitation's link."),
]
ReturnPath = Annotated[str, Field(pattern=r"^/([^/\\].*)?$", max_length=500, description="Where in the page to go on; a path.")]


class LoginRequest(StrictModel):
    name: PersonName
    password: Password


class SignUpRequest(StrictModel):
    invitation: InvitationToken
    name: PersonName
    password: Annotated[str, Field(min_length=8, max_length=1024)]


class InvitationLookup(StrictModel):
    invitation: InvitationToken


class OidcRequest(StrictModel):
    """`invitation` is for people who are not known yet, `link` for who is signed in and wants to sign in this way too."""

    invitation: InvitationToken | None = None
    link: bool = False
    then: ReturnPath = "/"


class PasswordRequest(StrictModel):
    """`old` is needed where there is one."""

    old: Password | None = None
    new: Annotated[str, Field(min_length=8, max_length=1024)]


class DeleteAccountRequest(StrictModel):
    """Deleting one's account. `name` is one's own, against mistakes; `password` is needed where there is one."""

    name: PersonName
    password: Password | None = None


class InvitationRequest(StrictModel):
    role: PersonRole = "member"
    note: Annotated[str, Field(max_length=200, description="For those who invite: whom it is meant for.")] = ""
    expires_in_s: Annotated[int, Field(ge=60, le=90 * 86400)] = 7 * 86400


class KeyRequest(StrictModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1, max_length=4)] = ("read", "chat")
    expires_in_s: Annotated[int | None, Field(ge=60, le=10 * 366 * 86400)] = None


class RoleRequest(StrictModel):
    role: PersonRole


# Answers


class PersonView(BaseModel):
    """`closed_utc` tells since when an account is closed, where it is."""

    object: Literal["person"]
    id: str
    name: str
    role: PersonRole
    created_utc: str
    closed_utc: str | None


class PersonList(BaseModel):
    object: Literal["list"]
    data: list[PersonView]


class MeView(BaseModel):
    """Who asks, and by what right: `loopback` needs no signing in, `setting` is a key of the setting `api_keys`."""

    object: Literal["me"]
    person: PersonView
    via: Literal["loopback", "setting", "key", "session"]
    scopes: list[KeyScope]
    has_password: bool
    providers: list[str]


class ProviderView(BaseModel):
    """A provider by which one can sign in; `name` is for the button."""

    name: str


class SignInView(BaseModel):
    """`needed` says whether one has to sign in here at all; `me` is who asks, where that is known."""

    object: Literal["sign_in"]
    needed: bool
    password: bool
    provider: ProviderView | None
    me: MeView | None


class SignedOut(BaseModel):
    object: Literal["signed_out"]


class ProviderAddress(BaseModel):
    """Where the browser is to go now."""

    object: Literal["provider_address"]
    url: str


class InvitationPreview(BaseModel):
    """What an invitation is to."""

    object: Literal["invited"]
    role: PersonRole
    expires_utc: str


class InvitationView(BaseModel):
    object: Literal["invitation"]
    id: str
    role: PersonRole
    note: str
    state: Literal["open", "used", "ended"]
    created_by: str
    created_utc: str
    expires_utc: str
    used_utc: str | None
    used_by: str | None


class NewInvitation(InvitationView):
    """`link` holds the token behind its #; neither is ever told again."""

    token: str
    link: str


class InvitationList(BaseModel):
    object: Literal["list"]
    data: list[InvitationView]


class KeyView(BaseModel):
    """`hint` is how the key begins."""

    object: Literal["key"]
    id: str
    name: str
    hint: str
    scopes: list[KeyScope]
    created_utc: str
    used_utc: str | None
    expires_utc: str | None


class NewKey(KeyView):
    """`key` is never told again."""

    key: str


class KeyList(BaseModel):
    object: Literal["list"]
    data: list[KeyView]


class SessionView(BaseModel):
    """`current` is the one by which was asked; `agent` is what the browser said of itself."""

    object: Literal["session"]
    id: str
    agent: str
    current: bool
    created_utc: str
    seen_utc: str
    expires_utc: str


class SessionList(BaseModel):
    object: Literal["list"]
    data: list[SessionView]


class DeletedObject(BaseModel):
    """What is no longer there."""

    object: Literal["deleted"]
    id: str


class EndedAccess(BaseModel):
    """How much was ended."""

    object: Literal["ended"]
    sessions: int
    keys: int
