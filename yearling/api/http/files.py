"""Responses with files from users, safe to open in a browser."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from yearling.store import BINARY_MEDIA_TYPE, sniff_media_type

_CONTENT_SECURITY_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


def file_response(request: Request, content: bytes, *, name: str, etag: str) -> Response:
    """The file, with the media type of its content. Browsers display images and save everything else, SVG and HTML included.

    Browsers revalidate the file on each use, so that a deleted file is gone. `name` is the suggested file name.
    """
    content_type = sniff_media_type(content)
    disposition = "attachment" if content_type == BINARY_MEDIA_TYPE else "inline"
    headers = {
        "content-security-policy": _CONTENT_SECURITY_POLICY,
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-disposition": f"{disposition}; filename*=UTF-8''{quote(name, safe='')}",
        "cache-control": "private, no-cache",
        "etag": f'"{etag}"',
    }
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=content_type, headers=headers)
