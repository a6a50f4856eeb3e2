"""IDs in OpenAI's form: a prefix and 32 hexadecimal digits. The ID of a record without a prefix is accepted as well."""

from __future__ import annotations

import uuid
from typing import Literal

from yearling.errors import NotFound

IdPrefix = Literal["file-", "vs_", "vsfb_"]

_NOUNS = {"file-": "file", "vs_": "vector store", "vsfb_": "batch of files"}
_PARAMS = {"file-": "file_id", "vs_": "vector_store_id", "vsfb_": "batch_id"}


def public_id(prefix: IdPrefix, record_id: str) -> str:
    """The ID that clients see."""
    return f"{prefix}{record_id.replace('-', '')}"


def record_id(prefix: IdPrefix, given: str) -> str:
    """The ID of the record. Raises NotFound for what is no ID."""
    try:
        return str(uuid.UUID(given.removeprefix(prefix)))
    except ValueError:
        raise NotFound(f"There is no {_NOUNS[prefix]} {given[:100]!r}.", param=_PARAMS[prefix]) from None
