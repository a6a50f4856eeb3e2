"""The web client: files built from `web/`, served under a content security policy that lets no foreign code run.

Nothing here is secret, so nobody is authenticated: the page gets a person's data from `/v1`, like every other client. Files are
stored compressed (`NAME.gz`), so that serving them needs no processor time, and running Yearling needs no Node.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from yearling.api.access.policy import allow_anyone
from yearling.api.http.errors import ApiError

STATIC_DIR = Path(__file__).parent / "static"

PAGE_PATHS = (
    "/",
    "/c/{rest}",
    "/temporary",
    "/compare",
    "/notes",
    "/rate",
    "/rounds",
    "/raters",
    "/memory",
    "/corrections",
    "/corrections/{rest}",
    "/documents",
    "/documents/{rest}",
    "/cycles/{rest}",
    "/history",
    "/incidents",
    "/learning",
    "/models",
    "/consensus",
    "/releases/{rest}",
    "/runs",
    "/runs/{rest}",
    "/exams",
    "/spec",
    "/spec/{rest:path}",
    "/settings",
    "/people",
    "/shared/{rest}",
    "/signin",
    "/signup",
)
"""Paths that return the page. The page itself decides what to show at each of them."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""No inline scripts or styles, no eval, nothing from other origins, and no code of the page can turn a string into HTML."""

FRAME_CONTENT_SECURITY_POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'unsafe-inline'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
"""For the frame that draws diagrams: an opaque origin without network, cookies or storage."""

_FRAME = "mermaid.html"
_FRAME_SCRIPTS = frozenset({"mermaid.tiny.js", "mermaid-frame.js"})

_MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}

_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}

router = APIRouter(dependencies=[allow_anyone], include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A built file. `content` is compressed if `is_gzipped`; `etag` includes its quotes."""

    name: str
    media_type: str
    content: bytes
    is_gzipped: bool
    etag: str


@cache
def _stored_names() -> frozenset[str]:
    """The paths below `STATIC_DIR`. No other path is ever asked for: what clients send may be anything."""
    return frozenset(path.relative_to(STATIC_DIR).as_posix() for path in STATIC_DIR.rglob("*") if path.is_file())


@lru_cache(maxsize=256)
def load_static_file(name: str) -> StaticFile | None:
    """A built file by its path below `STATIC_DIR`; None if there is none."""
    media_type = _MEDIA_TYPES.get(Path(name).suffix)
    for is_gzipped in (True, False):
        stored_name = f"{name}.gz" if is_gzipped else name
        if media_type and stored_name in _stored_names():
            content = (STATIC_DIR / stored_name).read_bytes()
            return StaticFile(name, media_type, content, is_gzipped, f'"{hashlib.sha256(content).hexdigest()[:24]}"')
    return None


def static_response(request: Request, name: str, *, headers: dict[str, str]) -> Response:
    """A built file with its security headers. Raises ApiError (404) if there is none."""
    file = load_static_file(name)
    if file is None:
        raise ApiError(404, "There is nothing at this address.", code="unknown_url")
    response_headers = {**_SECURITY_HEADERS, "etag": file.etag, **headers}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=response_headers)
    content = file.content
    if file.is_gzipped:
        response_headers["vary"] = "accept-encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            response_headers["content-encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
    return Response(content, headers=response_headers, media_type=file.media_type)


async def serve_index(request: Request) -> Response:
    """The page. Browsers revalidate it on each visit, so that a new version appears at once."""
    return static_response(
        request,
        "index.html",
        headers={"content-security-policy": CONTENT_SECURITY_POLICY, "x-frame-options": "DENY", "cache-control": "no-cache"},
    )


def is_page_request(request: Request) -> bool:
    """Whether a browser asks for a page to show, at an address that is not the API's."""
    is_api = request.url.path.startswith(("/v1/", "/assets/"))
    return request.method == "GET" and not is_api and "text/html" in request.headers.get("accept", "")


async def serve_unknown_page(request: Request) -> Response:
    """The page with status 404. It says itself that there is nothing at this address."""
    response = await serve_index(request)
    if response.status_code == 200:
        response.status_code = 404
    return response


async def serve_asset(request: Request, name: str) -> Response:
    """A file whose name contains the hash of its content. Browsers keep it for good."""
    if "/" in name:
        raise ApiError(404, "There is nothing at this address.", code="unknown_url")
    return static_response(
        request,
        f"assets/{name}",
        headers={"cache-control": "public, max-age=31536000, immutable", "cross-origin-resource-policy": "same-origin"},
    )


def _file_endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    headers = {"cache-control": "no-cache"}
    if name == _FRAME:
        headers |= {"content-security-policy": FRAME_CONTENT_SECURITY_POLICY, "x-frame-options": "SAMEORIGIN"}
    elif name in _FRAME_SCRIPTS:
        # The frame has an opaque origin, so its scripts come from another origin.
        headers |= {"cross-origin-resource-policy": "cross-origin"}
    else:
        headers |= {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}

    async def send(request: Request) -> Response:
        return static_response(request, name, headers=headers)

    return send


for _path in PAGE_PATHS:
    router.add_api_route(_path, serve_index)
router.add_api_route("/assets/{name}", serve_asset)
for _name in ("before.js", "icon.svg", "manifest.webmanifest", "licences.txt", _FRAME, *sorted(_FRAME_SCRIPTS)):
    router.add_api_route(f"/{_name}", _file_endpoint(_name))
