"""Who may call a route, and who is calling it.

The gate authenticates a request before its route runs. A route declares who may call it, with `require_role` or `allow_anyone`,
and takes the person from `current_person`. An application with a route that declares neither does not start. Access to a single
object is decided by the store: an object of another person does not exist for the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, params
from fastapi.routing import APIRoute

from yearling.api.access.caller import Caller
from yearling.api.access.live_request import caller_or_none
from yearling.api.http.errors import ApiError
from yearling.records import KeyScope, Person, PersonRole, role_rank

_DEFAULT_SCOPES: dict[PersonRole, KeyScope] = {"reader": "read", "member": "chat", "maintainer": "admin", "owner": "admin"}


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """The minimum role and, for API keys, the scope that a route requires. Without a role, anyone may call it."""

    role: PersonRole | None
    scope: KeyScope = "read"


_policy_by_dependency: dict[Callable[..., object], RoutePolicy] = {}
"""The policy that each dependency of this module checks."""


def _policy_dependency(policy: RoutePolicy) -> params.Depends:
    async def check(request: Request) -> None:
        """Raises ApiError: 401 if unauthenticated, 403 if forbidden."""
        if policy.role is not None and not (caller := get_caller(request)).is_allowed(policy.role, policy.scope):
            raise _not_allowed_error(policy, caller)

    _policy_by_dependency[check] = policy
    return params.Depends(check)


def require_role(role: PersonRole, *, scope: KeyScope | None = None) -> params.Depends:
    """A dependency for `dependencies=[...]` of a route or a router. Default: the scope that belongs to the role."""
    return _policy_dependency(RoutePolicy(role, scope or _DEFAULT_SCOPES[role]))


allow_anyone = _policy_dependency(RoutePolicy(None))
"""A dependency for routes that need no authentication, such as sign-in."""


def get_caller(request: Request) -> Caller:
    """The caller. Raises ApiError (401) if unauthenticated."""
    caller = caller_or_none(request)
    if caller is None:
        raise unauthenticated_error("Sign in, or send an API key as 'Authorization: Bearer KEY'.", code="not_signed_in")
    return caller


def current_person(request: Request) -> Person:
    """The person who makes the request. Raises ApiError (401) if unauthenticated."""
    return get_caller(request).person


def unauthenticated_error(message: str, *, code: str = "invalid_api_key") -> ApiError:
    """A 401 that asks for an API key."""
    return ApiError(401, message, kind="authentication_error", code=code, headers={"www-authenticate": "Bearer"})


def _not_allowed_error(policy: RoutePolicy, caller: Caller) -> ApiError:
    role = policy.role or "reader"
    if role_rank(caller.person.role) < role_rank(role):
        message = f"This needs the role {role}; yours is {caller.person.role}."
    else:
        message = f"This needs an API key with the scope {policy.scope}."
    return ApiError(403, message, kind="permission_error", code="not_allowed")


def route_policies(route: APIRoute) -> list[RoutePolicy]:
    """The policies of a route and its router. All of them must hold."""
    calls = (dependency.call for dependency in route.dependant.dependencies)
    return [_policy_by_dependency[call] for call in calls if call in _policy_by_dependency]


def routes_without_policy(router: APIRouter) -> list[str]:
    """The paths of routes that do not declare who may call them."""
    return [route.path for route in router.routes if isinstance(route, APIRoute) and not route_policies(route)]
