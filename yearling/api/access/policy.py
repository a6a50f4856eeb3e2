"""Who asks, and what they may: the one place from which routes take the person.

The gate finds out who asks before a route runs, and leaves it with the request. A route says at its registration who may call it,
by `require(role)` or `anyone`, and takes the person from `current(request)`; an application with a route that says neither does
not start. Whose object something is, the store decides: someone else's is not found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from yearling.api.http.errors import ApiError
from yearling.records import KEY_SCOPES, KeyScope, Person, PersonRole, role_rank

AuthMethod = Literal["loopback", "setting", "key", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, by what right, and with what scopes. Equal as long as nothing about that has changed."""

    person: Person
    auth_method: AuthMethod
    """`loopback`: nobody has an account yet and only this machine is served. `setting`: a key of the setting `api_keys`."""
    scopes: frozenset[KeyScope] = frozenset(KEY_SCOPES)
    credential_id: str = ""
    """The id of the session or of the key."""

    def is_allowed(self, role: PersonRole, scope: KeyScope) -> bool:
        return role_rank(self.person.role) >= role_rank(role) and scope in self.scopes


_DEFAULT_SCOPES: dict[PersonRole, KeyScope] = {"reader": "read", "member": "chat", "maintainer": "admin", "owner": "admin"}


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """Who may call a route: at least this role, by a key with this scope. No role: everybody, unknown people too."""

    role: PersonRole | None
    scope: KeyScope = "read"


_policy_by_dependency: dict[Callable[..., Any], RoutePolicy] = {}
"""The policy that each dependency of ours checks."""


def _policy_dependency(policy: RoutePolicy) -> Any:
    async def check(request: Request) -> None:
        """Raises ApiError: 401 for who is unknown, 403 for who may not."""
        if policy.role is not None and not (caller := get_caller(request)).is_allowed(policy.role, policy.scope):
            raise _not_allowed_error(policy, caller)

    _policy_by_dependency[check] = policy
    return Depends(check)


def require_role(role: PersonRole, *, scope: KeyScope | None = None) -> Any:
    """For `dependencies=[...]` of a route or a router: at least this role. The scope follows from the role unless given."""
    return _policy_dependency(RoutePolicy(role, scope or _DEFAULT_SCOPES[role]))


allow_anyone = _policy_dependency(RoutePolicy(None))
"""For routes that are open to people who are not known, such as signing in."""


def get_caller(request: Request) -> Caller:
    """Raises ApiError (401) when it is not known who asks."""
    caller: Caller | None = request.scope["state"].get("caller")
    if caller is None:
        raise unauthenticated_error("Sign in, or send an API key as 'Authorization: Bearer KEY'.", code="not_signed_in")
    return caller


def current_person(request: Request) -> Person:
    """The person who asks. Raises ApiError (401)."""
    return get_caller(request).person


async def _current_person_dependency(request: Request) -> Person:
    return current_person(request)


CurrentPerson = Annotated[Person, Depends(_current_person_dependency)]
"""The person who asks, as a parameter of a route."""


def unauthenticated_error(message: str, *, code: str = "invalid_api_key") -> ApiError:
    return ApiError(401, message, kind="authentication_error", code=code, headers={"www-authenticate": "Bearer"})


def _not_allowed_error(policy: RoutePolicy, caller: Caller) -> ApiError:
    role = policy.role or "reader"
    if role_rank(caller.person.role) < role_rank(role):
        message = f"This needs the role {role}; yours is {caller.person.role}."
    else:
        message = f"This needs an API key with the scope {policy.scope}."
    return ApiError(403, message, kind="permission_error", code="not_allowed")


def route_policies(route: APIRoute) -> list[RoutePolicy]:
    """What a route, its router and the application demand; all of it holds."""
    calls = (dependency.call for dependency in route.dependant.dependencies)
    return [_policy_by_dependency[call] for call in calls if call in _policy_by_dependency]


def routes_without_policy(router: APIRouter) -> list[str]:
    """The paths of routes that do not say who may call them."""
    return [route.path for route in router.routes if isinstance(route, APIRoute) and not route_policies(route)]
