"""Wire models of requests that change releases, of signatures and of keys. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from yearling.api.http.schemas import ResponseModel, StrictModel
from yearling.api.release.schemas import KeyHolderView

Reason = Annotated[str, Field(max_length=500)]
ModelName = Annotated[str, Field(min_length=1, max_length=300)]
Title = Annotated[str, Field(max_length=200)]
Passphrase = Annotated[str, Field(max_length=1024)]
KeyId = Annotated[str, Field(max_length=64, pattern="^[0-9a-f]*$")]


class ReleaseDraftRequest(StrictModel):
    """Body of `POST /v1/releases`."""

    model: ModelName
    """Name of an installed model, of an adapter on one (`MODEL+DIGITS`), or of a model that an endpoint serves."""
    title: Title = ""
    """What was changed, in a few words. Default: what the model learnt."""


class PromoteRequest(StrictModel):
    """Body of `POST /v1/releases/{number}/promote`."""

    without_proof: bool = False
    """Use the release although nothing proves it. The signed metadata says so for ever."""
    reason: Reason = ""
    """Why; stays visible."""


class ReleaseReason(StrictModel):
    """Body of requests that take a reason."""

    reason: Reason = ""
    """Why; stays visible."""


class StopRequest(StrictModel):
    """Body of `POST /v1/releases/stop`."""

    model: ModelName | None = None
    """Name of the model to stop; null stops everything."""
    reason: Reason = ""
    """Why; everybody sees it."""


class ResumeRequest(StrictModel):
    """Body of `POST /v1/releases/resume`."""

    stops: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=50)] = Field(default_factory=list)
    """IDs of the stops to lift; empty lifts all."""
    reason: Reason = ""
    """Why; stays visible."""


class SignatureRequest(StrictModel):
    """Body of `POST /v1/releases/changes/{change_id}/signatures`."""

    passphrase: Passphrase = ""
    """The passphrase of the caller's key on this machine."""
    key_id: KeyId = ""
    """ID of the key. Default: the caller's key on this machine."""
    signature: Annotated[str, Field(max_length=1000)] = ""
    """A signature that was made elsewhere, in hexadecimal; two for a change of keys, joined by a colon. Takes `key_id`."""


class SigningPayload(ResponseModel):
    """What a key-holder signs with a key that is kept elsewhere."""

    object: Literal["release.payload"]
    """Always `release.payload`."""
    change: str
    """ID of the change."""
    payloads: list[str]
    """What to sign, each by itself, in base64: one payload, or two for a change of keys."""


class NewKeyRequest(StrictModel):
    """Body of `POST /v1/releases/keys`."""

    passphrase: Passphrase = ""
    """Protects the key. Needed once several people decide; nobody can recover it."""


class NewHolderRequest(StrictModel):
    """Body of `POST /v1/releases/keys/holders`. Either `key_id`, or `public` and `person`."""

    key_id: KeyId = ""
    """ID of a key on this machine."""
    public: Annotated[str, Field(max_length=64, pattern="^([0-9a-f]{64})?$")] = ""
    """Public part of a key that is kept elsewhere, in hexadecimal."""
    person: Annotated[str, Field(max_length=64)] = ""
    """ID of the person whose key `public` is."""
    threshold: Annotated[int, Field(ge=1, le=50)] | None = None
    """How many key-holders have to sign from then on; default: as before."""
    reason: Reason = ""
    """Why; stays visible."""


class ProtectKeyRequest(StrictModel):
    """Body of `POST /v1/releases/keys/{key_id}/protect`."""

    passphrase: Passphrase
    """The new passphrase."""
    old_passphrase: Passphrase = ""
    """The present passphrase, if there is one."""


class RevokeKeyRequest(StrictModel):
    """Body of `POST /v1/releases/keys/{key_id}/revoke`."""

    threshold: Annotated[int, Field(ge=1, le=50)] | None = None
    """How many key-holders have to sign from then on; default: as before."""
    reason: Reason = ""
    """Why; stays visible."""


class ThresholdRequest(StrictModel):
    """Body of `POST /v1/releases/keys/threshold`."""

    threshold: Annotated[int, Field(ge=1, le=50)]
    """How many key-holders have to sign."""
    reason: Reason = ""
    """Why; stays visible."""


class ReleaseKeysView(ResponseModel):
    """The key-holders, and keys on this machine that have no vote yet."""

    object: Literal["release_keys"]
    """Always `release_keys`."""
    threshold: int
    """How many key-holders have to sign."""
    holders: list[KeyHolderView]
    """The key-holders."""
    unused: list[KeyHolderView]
    """Keys on this machine that have no vote."""
    expires_utc: dict[str, str]
    """When the signatures of each role expire, ISO 8601 in UTC."""
    needs_renewal: bool
    """Whether the key-holders' signatures expire within 60 days."""
