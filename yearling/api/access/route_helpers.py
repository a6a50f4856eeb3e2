"""What routes that change who may do what have in common: work in a thread, and at once a look whom it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from yearling.api.access.credentials import SESSION_COOKIE
from yearling.api.http.errors import ApiError, to_json_bytes
from yearling.api.services import get_services
from yearling.config import Settings
from yearling.store import MAX_SESSION_LIFETIME, Store

T = TypeVar("T")


async def change_access(request: Request, change: Callable[[Store], T]) -> T:
    """Do something that may end somebody's access. When it is done, what went on by that access has been ended.

    The request itself is answered, even if it was about the right by which it came.
    """
    services = get_services(request)
    request.scope["state"]["live"].authentication = None
    try:
        return await asyncio.to_thread(change, services.store)
    finally:
        await services.access.refresh()


def uncached_json(body: dict[str, Any]) -> Response:
    """The answer as JSON that nobody keeps: it may hold what is told once."""
    return Response(to_json_bytes(body), headers={"cache-control": "no-store"}, media_type="application/json")


def get_user_agent(request: Request) -> str:
    """What the browser says of itself."""
    return request.headers.get("user-agent", "")


def get_client_address(request: Request) -> str:
    address: str = request.scope["state"]["address"]
    return address


def set_session_cookie(response: Response, request: Request, settings: Settings, token: str) -> None:
    """Give the browser a session. Scripts cannot read its cookie, and pages of others cannot change anything by it."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(MAX_SESSION_LIFETIME.total_seconds()),
        path="/",
        secure=is_https(request, settings),
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, request: Request, settings: Settings) -> None:
    response.delete_cookie(SESSION_COOKIE, path="/", secure=is_https(request, settings), httponly=True, samesite="lax")


def is_https(request: Request, settings: Settings) -> bool:
    return settings.public_url.startswith("https:") or request.url.scheme == "https"


def base_url(request: Request, settings: Settings) -> str:
    """How people reach this server: as configured, else as they just did."""
    return settings.public_url or f"{request.url.scheme}://{request.headers['host']}"


def wrong_credentials_error() -> ApiError:
    """The same for a name that is unknown and for a wrong password."""
    return ApiError(401, "The name or the password is wrong.", kind="authentication_error", code="wrong_credentials")
