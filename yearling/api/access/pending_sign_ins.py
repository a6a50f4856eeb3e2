"""Sign-ins by a provider that have begun and wait for the browser to come back."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from yearling.api.access.oidc_client import Asked
from yearling.api.access.policy import Caller
from yearling.store import token_hash

LASTS_S = 600
_MOST_PENDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A sign-in that has begun. `invitation` is the hash of one; `link` is who adds the provider to an account, and how."""

    asked: Asked
    invitation: str
    link: Caller | None
    then: str
    until_s: float


class Pendings:
    """Of one server, by the hash of the cookie that each browser got."""

    def __init__(self) -> None:
        self._pending: OrderedDict[str, Pending] = OrderedDict()

    def put(self, token: str, asked: Asked, *, invitation: str, link: Caller | None, then: str) -> None:
        until_s = time.monotonic() + LASTS_S
        pending = Pending(asked=asked, invitation=invitation, link=link, then=then, until_s=until_s)
        self._pending[token_hash(token)] = pending
        if len(self._pending) > _MOST_PENDING:
            self._pending.popitem(last=False)

    def take(self, token: str) -> Pending | None:
        """Once, and in time."""
        pending = self._pending.pop(token_hash(token), None)
        return pending if pending is not None and time.monotonic() < pending.until_s else None
