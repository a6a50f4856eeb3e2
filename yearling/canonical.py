"""Canonical JSON: equal values give equal bytes on every machine, for hashing and for comparing.

Keys are sorted and nothing is indented, as in RFC 8785. Numbers and the order of non-ASCII keys are Python's, so the bytes are
not RFC 8785's in every case. Values that JSON cannot hold are refused, NaN and infinities included.

Functions that write JSON for people (indented), that keep the order of keys (chat templates print it) or that must accept NaN or
lone surrogates because old hashes did, have their own call of `json.dumps`.
"""

from __future__ import annotations

import json

_ASCII_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_UTF8_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: object, *, ensure_ascii: bool = True) -> bytes:
    """The canonical JSON of plain values. `ensure_ascii` escapes every other character; without it the bytes are UTF-8.

    Each hash in a stored format fixes one of the two forms, so a caller may not change its choice. Raises TypeError for a value
    of a foreign type and ValueError for NaN, an infinity, a circular reference, or a lone surrogate in UTF-8.
    """
    encoder = _ASCII_ENCODER if ensure_ascii else _UTF8_ENCODER
    return encoder.encode(value).encode()
