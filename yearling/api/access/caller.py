"""The person behind a request. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from yearling.records import KEY_SCOPES, KeyScope, Person, PersonRole, role_rank

AuthMethod = Literal["loopback", "setting", "key", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The person who makes a request, how they are authenticated, and their scopes. Equal while their access is unchanged."""

    person: Person
    auth_method: AuthMethod
    """`loopback`: there are no accounts yet, and the server listens on this machine only. `setting`: a key of `api_keys`."""
    scopes: frozenset[KeyScope] = frozenset(KEY_SCOPES)
    credential_id: str = ""
    """ID of the session or of the key."""

    def is_allowed(self, role: PersonRole, scope: KeyScope) -> bool:
        """Whether the caller has at least this role, and this scope."""
        return role_rank(self.person.role) >= role_rank(role) and scope in self.scopes
