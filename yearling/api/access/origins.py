"""From where a server may be used: its network address, the host names that it answers to, and the web pages that may call it.

Browsers say with each request which page makes it (`Origin`, `Sec-Fetch-Site`). Other programs say nothing, and are not checked.
Sources: the Fetch standard, "HTTP extensions"; Fetch Metadata Request Headers.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.types import Scope

from yearling.api.access.credentials import RawHeaders
from yearling.api.http.errors import ApiError
from yearling.config import Settings
from yearling.errors import BadInput

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CROSS_ORIGIN_PATHS = frozenset({"/mermaid.tiny.js", "/mermaid-frame.js"})
"""Public scripts of the frame that draws diagrams. The frame's origin is opaque (`null`)."""

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?))(?::([0-9]{1,5}))?")
"""RFC 9110, section 7.2, of lower-case text: an IPv6 address in brackets, or a name or IPv4 address, then perhaps a port."""

HostAndPort = tuple[str, int | None]


def is_loopback(host: str) -> bool:
    """Whether a host name or an IP address is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_binding(settings: Settings, *, has_accounts: bool) -> None:
    """Raises BadInput for a server that other machines could use without signing in."""
    if not is_loopback(settings.host) and not settings.api_keys and not has_accounts:
        raise BadInput(
            f"Without accounts or API keys, the server listens on this machine only, not on {settings.host}.",
            advice="Give the owner a password (`yearling people password owner`) or set YEARLING_API_KEYS, "
            "or keep the host 127.0.0.1.",
            param="host",
        )


class OriginPolicy:
    """Which hosts and which pages a server accepts requests for and from.

    Host names, so that no web page reaches the server through DNS rebinding: on loopback this machine's names and the configured
    ones. Elsewhere authentication protects the server, and host names are checked only if some are configured.

    Pages: only the server's own, which have its host and its port, those of the setting `public_url`, and those of
    `cors_origins`.
    """

    def __init__(self, settings: Settings) -> None:
        configured = {host.lower() for host in settings.allowed_hosts}
        self._cors_origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self._public_origin: tuple[str, HostAndPort] | None = None
        if settings.public_url:
            self._public_origin = _parse_origin(settings.public_url)
            configured.add(urlsplit(settings.public_url).hostname or "")
        self._any_host = not is_loopback(settings.host) and not configured
        self._allowed = configured | _LOOPBACK_NAMES | {settings.host.lower().strip("[]")}

    def check(self, headers: RawHeaders, path: str = "") -> None:
        """Raises ApiError (403) for a host or an origin that is not allowed."""
        hosts = [_parse_host(value.decode("latin-1")) for name, value in headers if name == b"host"]
        host = hosts[0] if len(hosts) == 1 else None
        if host is None or not (self._any_host or host[0] in self._allowed):
            raise _forbidden("The header Host does not name this server.")
        for name, value in headers:
            if name == b"origin" and path not in CROSS_ORIGIN_PATHS and not self._may_call(value.decode("latin-1"), host):
                raise _forbidden("Web pages of other origins may not use this server.")

    def check_change(self, scope: Scope, *, must_prove_origin: bool) -> None:
        """Protects changes that a browser makes for any page: those of a session cookie, and all of them without accounts.

        Raises ApiError (403) if the browser reports another page than the server's own, and for a request that reports none if
        it `must_prove_origin`. Call `check` first, which compares origins. Pages of `cors_origins` may change things without
        accounts or by an API key, but not by the cookie of somebody who is signed in.
        """
        if scope["method"] in _SAFE_METHODS:
            return
        headers = {name: value.decode("latin-1").strip().lower() for name, value in scope["headers"]}
        site = headers.get(b"sec-fetch-site")
        if site is None and b"origin" not in headers and must_prove_origin:
            raise _forbidden("A request with a session cookie must have the header Origin.", code="origin_missing")
        is_configured = not must_prove_origin and headers.get(b"origin") in self._cors_origins
        if site not in (None, "same-origin") and not is_configured:
            raise _forbidden("Web pages of other origins may not use this server.")

    def _may_call(self, origin: str, host: HostAndPort) -> bool:
        """Whether the origin is the server's own or a configured one."""
        if origin.lower() in self._cors_origins:
            return True
        parsed = _parse_origin(origin)
        if parsed is None:
            return False
        scheme, (name, port) = parsed
        default = _DEFAULT_PORTS[scheme]
        # The scheme of the request is not compared: behind a proxy with TLS it differs.
        return parsed == self._public_origin or (name, port or default) == (host[0], host[1] or default)


def _parse_origin(origin: str) -> tuple[str, HostAndPort] | None:
    """(scheme, host and port) of an origin; None if it is opaque or malformed. A default port counts as none."""
    scheme, separator, rest = origin.strip().lower().partition("://")
    host = _parse_host(rest)
    if not separator or scheme not in _DEFAULT_PORTS or host is None:
        return None
    return scheme, (host[0], None if host[1] == _DEFAULT_PORTS[scheme] else host[1])


def _parse_host(value: str) -> HostAndPort | None:
    """`[::1]:80` -> (`::1`, 80), `Name` -> (`name`, None); None if it is malformed."""
    match = _HOST.fullmatch(value.strip().lower())
    if match is None:
        return None
    name, port = match[1] or match[2], int(match[3]) if match[3] else None
    if match[1]:
        try:
            name = str(ipaddress.IPv6Address(match[1]))
        except ValueError:
            return None
    return (name, port) if port is None or port <= 65535 else None


def _forbidden(message: str, *, code: str = "host_not_allowed") -> ApiError:
    return ApiError(403, message, kind="permission_error", code=code)
