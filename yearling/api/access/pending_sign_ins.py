"""Sign-ins through the OpenID Connect provider that wait for the browser to come back."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from yearling.api.access.caller import Caller
from yearling.api.access.oidc_client import OidcAuthorization
from yearling.store import hash_token

PENDING_TTL_S = 600
_MAX_PENDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """A sign-in in progress. `invitation_hash` is empty without an invitation.

    `linking_caller` is the caller who adds the provider to their account, or None.
    """

    authorization: OidcAuthorization
    invitation_hash: str
    linking_caller: Caller | None
    return_path: str
    expires_at_s: float
    """On the monotonic clock."""


class PendingSignIns:
    """The sign-ins in progress on one server, by the hash of each browser's cookie."""

    def __init__(self) -> None:
        self._pending: OrderedDict[str, PendingSignIn] = OrderedDict()

    def put(
        self,
        token: str,
        authorization: OidcAuthorization,
        *,
        invitation_hash: str,
        linking_caller: Caller | None,
        return_path: str,
    ) -> None:
        """Remember a sign-in under the token of the browser's cookie."""
        self._pending[hash_token(token)] = PendingSignIn(
            authorization=authorization,
            invitation_hash=invitation_hash,
            linking_caller=linking_caller,
            return_path=return_path,
            expires_at_s=time.monotonic() + PENDING_TTL_S,
        )
        if len(self._pending) > _MAX_PENDING:
            self._pending.popitem(last=False)

    def take(self, token: str) -> PendingSignIn | None:
        """Remove and return a sign-in; None if it is unknown or has expired."""
        pending = self._pending.pop(hash_token(token), None)
        return pending if pending is not None and time.monotonic() < pending.expires_at_s else None
