"""Repair of text that holds halves of surrogate pairs, which have no UTF-8. Programs cut text by UTF-16 units and leave them."""

from __future__ import annotations

import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def mend_surrogates(text: str) -> str:
    """Join the halves of a surrogate pair that stand side by side, and replace every other half by U+FFFD."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mend_surrogates_in_json(value: Any) -> Any:
    """A decoded JSON value with all its texts mended, keys too. Raises RecursionError for a value that is nested too deeply."""
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, list):
        return [mend_surrogates_in_json(item) for item in value]
    if isinstance(value, dict):
        return {mend_surrogates(key): mend_surrogates_in_json(item) for key, item in value.items()}
    return value
