"""Sign-ins by a provider that have begun and wait for the browser to come back."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from yearling.api.access.oidc_client import OidcAuthorization
from yearling.api.access.policy import Caller
from yearling.store import hash_token

PENDING_TTL_S = 600
_MAX_PENDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignIn:
    """A sign-in that has begun. `invitation` is the hash of one; `link` is who adds the provider to an account, and how."""

    authorization: OidcAuthorization
    invitation_hash: str
    linking_caller: Caller | None
    return_path: str
    expires_at_s: float


class PendingSignIns:
    """Of one server, by the hash of the cookie that each browser got."""

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
        until_s = time.monotonic() + PENDING_TTL_S
        pending = PendingSignIn(
            authorization=authorization,
            invitation_hash=invitation_hash,
            linking_caller=linking_caller,
            return_path=return_path,
            expires_at_s=until_s,
        )
        self._pending[hash_token(token)] = pending
        if len(self._pending) > _MAX_PENDING:
            self._pending.popitem(last=False)

    def take(self, token: str) -> PendingSignIn | None:
        """Once, and in time."""
        pending = self._pending.pop(hash_token(token), None)
        return pending if pending is not None and time.monotonic() < pending.expires_at_s else None
