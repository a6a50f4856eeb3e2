"""Repair of text that holds halves of surrogate pairs, which have no UTF-8. Programs cut text by UTF-16 units and leave them.

Every entry repairs what it takes in: bodies of requests, files, answers of endpoints, arguments of commands. Halves that meet are
joined, every other half becomes U+FFFD.
"""

from __future__ import annotations

import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_JSON_ESCAPES = re.compile(
    rb"(?:\\(?:[^u]|u(?![dD][89a-fA-F])))+"  # others, so that an escaped backslash before a `u` is none
    rb"|(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"  # a whole pair
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"  # half of one
)


def mend_surrogates(text: str) -> str:
    """Join the halves of a surrogate pair that stand side by side, and replace every other half by U+FFFD."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_surrogates_in_json(value: object) -> Any:
    """A decoded JSON value with all its texts mended, keys too. Raises RecursionError for a value that is nested too deeply."""
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, list):
        return [mend_surrogates_in_json(item) for item in value]
    if isinstance(value, dict):
        return {mend_surrogates(key): mend_surrogates_in_json(item) for key, item in value.items()}
    return value


def mend_surrogate_escapes(json_text: bytes) -> bytes:
    """JSON text with the escapes of single halves (`\\ud83d`) replaced by that of U+FFFD. Linear in the length."""
    if not _SURROGATE_ESCAPE.search(json_text):
        return json_text
    return _JSON_ESCAPES.sub(
        lambda match: match[0] if match[1] or not _SURROGATE_ESCAPE.match(match[0]) else b"\\ufffd", json_text
    )
