"""Compressed request bodies (`Content-Encoding: gzip`), decompressed within the limit of the body."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from yearling.api.http.errors import ApiError

_GZIP: Final = 31
"""zlib's number for the gzip format."""


class GzipBody:
    """Passes a gzip body to `write` as it is decompressed."""

    def __init__(self, write: Callable[[bytes], object], *, max_bytes: int, too_large: ApiError, name: str) -> None:
        self._write = write
        self._num_left = max_bytes
        self._too_large = too_large
        self._name = name
        self._decompressor = zlib.decompressobj(_GZIP)

    def push(self, chunk: bytes) -> None:
        """Decompress the next chunk. Raises ApiError: 400 for what is not gzip, 413 above the limit."""
        try:
            content = self._decompressor.decompress(chunk, self._num_left + 1)
        except zlib.error:
            raise self._invalid() from None
        self._num_left -= len(content)
        if self._num_left < 0:
            raise self._too_large
        if self._decompressor.unused_data:
            raise self._invalid()
        self._write(content)

    def finish(self) -> None:
        """Raises ApiError (400) if the body ended early."""
        if not self._decompressor.eof:
            raise self._invalid()

    def _invalid(self) -> ApiError:
        message = f"The {self._name} is not valid gzip, although its header Content-Encoding says so."
        return ApiError(400, message, code="invalid_encoding")


def is_gzipped(request: Request) -> bool:
    """Whether the body is compressed. Raises ApiError (415) for an encoding other than gzip."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return False
    if encoding in ("gzip", "x-gzip"):
        return True
    message = f"The Content-Encoding {encoding[:40]!r} is not supported. Send the body as it is, or as gzip."
    raise ApiError(415, message, code="unsupported_content_encoding", headers={"accept-encoding": "gzip, identity"})
