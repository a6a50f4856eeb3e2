"""What the routes for sign-in and accounts share: cookies, addresses, and the error for wrong credentials."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from yearling.api.access.credentials import SESSION_COOKIE, read_cookie
from yearling.api.access.live_request import request_state
from yearling.api.access.rate_limits import BROWSER_COOKIE
from yearling.api.http.errors import ApiError
from yearling.config import Settings
from yearling.store import MAX_SESSION_LIFETIME

_BROWSER_COOKIE_LIFETIME_S = 365 * 24 * 3600


def get_user_agent(request: Request) -> str:
    """The browser's description of itself; empty if it sends none."""
    return request.headers.get("user-agent", "")


def get_client_networks(request: Request) -> tuple[str, ...]:
    """The networks that the request comes from, as the gate determined them."""
    return request_state(request)["networks"]


def set_session_cookie(response: Response, request: Request, settings: Settings, token: str) -> None:
    """Sign the browser in. Scripts cannot read the cookie, and browsers do not send it with changes from other sites."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=int(MAX_SESSION_LIFETIME.total_seconds()),
        path="/",
        secure=is_https(request, settings),
        httponly=True,
        samesite="lax",
    )


def get_browser_token(request: Request) -> str:
    """The cookie of a browser in which somebody has signed in before; empty without one."""
    return read_cookie(request.scope["headers"], BROWSER_COOKIE)


def remember_browser(response: Response, request: Request, settings: Settings, token: str) -> None:
    """Let strangers' wrong passwords not keep a person out of the browser in which they have just signed in."""
    response.set_cookie(
        BROWSER_COOKIE,
        token,
        max_age=_BROWSER_COOKIE_LIFETIME_S,
        path="/v1/auth",
        secure=is_https(request, settings),
        httponly=True,
        samesite="strict",
    )


def clear_session_cookie(response: Response, request: Request, settings: Settings) -> None:
    """Sign the browser out."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=is_https(request, settings), httponly=True, samesite="lax")


def is_https(request: Request, settings: Settings) -> bool:
    """Whether people reach this server over TLS."""
    return settings.public_url.startswith("https:") or request.url.scheme == "https"


def base_url(request: Request, settings: Settings) -> str:
    """The URL under which people reach this server: the setting `public_url`, otherwise that of this request."""
    return settings.public_url or f"{request.url.scheme}://{request.headers['host']}"


def wrong_credentials_error() -> ApiError:
    """The same 401 for an unknown name and for a wrong password, so that names cannot be guessed."""
    return ApiError(401, "The name or the password is wrong.", kind="authentication_error", code="wrong_credentials")
