"""Files that people brought along, served so that none of them can do anything in a browser."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from yearling.store import BINARY_MEDIA_TYPE, sniff_media_type

_CONTENT_SECURITY_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def file_response(request: Request, content: bytes, *, name: str, etag: str) -> Response:
    """The bytes, as what they are themselves: an image is shown, everything else (SVG and HTML too) is saved.

    Nothing is kept by a browser without asking again, so that a deleted file is gone. `name` is only a suggestion.
    """
    kind = sniff_media_type(content)
    headers = {
        "content-security-policy": _CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-disposition": f"{'attachment' if kind == BINARY_MEDIA_TYPE else 'inline'}; filename*=UTF-8''{quote(name, safe='')}",
        "cache-control": "private, no-cache",
        "etag": f'"{etag}"',
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
