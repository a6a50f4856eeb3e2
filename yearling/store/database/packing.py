"""The layout of values in columns: token ids, log-probabilities, JSON, text. Lossless, and the same on every database.

Layout:
- token ids: consecutive little-endian int32 (`<i4`) without a header; an empty column is an empty tuple;
- log-probabilities: one byte, `f` or `d`, then consecutive little-endian float32 or float64. `f` is used when every value is
  exactly a float32, which is usual because engines compute in float32; an empty column is an empty tuple;
- JSON: ASCII without spaces. Key order is kept because chat templates print it, except where a column is hashed;
- text: unchanged, except U+0000 (which Postgres refuses), lone surrogates (which have no UTF-8) and the escape character itself,
  each written as U+10FFFD and four hexadecimal digits.
"""

from __future__ import annotations

import json
import re
import sys
from array import array
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

from yearling.canonical import canonical_json
from yearling.errors import BadInput, Untrusted

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
V = TypeVar("V", int, float)

_ESCAPE = "\U0010fffd"
_NEEDS_ESCAPE = re.compile("[\x00\ud800-\udfff\U0010fffd]")
_ESCAPED = re.compile(_ESCAPE + "([0-9a-f]{4})")


def pack_ids(ids: Sequence[int]) -> bytes:
    """Token ids as int32. Raises ValueError for ids that are negative or too large."""
    if ids and min(ids) < 0:
        raise ValueError("a token id is negative")
    try:
        return _little_endian(array("i", ids)).tobytes()
    except OverflowError:
        raise ValueError("a token id does not fit into 31 bits") from None


def unpack_ids(packed: bytes) -> tuple[int, ...]:
    """The inverse of `pack_ids`. Raises Untrusted for a column of a wrong length."""
    return tuple(_unpack_array(array("i"), packed, "token ids"))


def pack_logprobs(logprobs: Sequence[float]) -> bytes:
    """Log-probabilities as float32 if that is exact for all of them, else as float64."""
    if not logprobs:
        return b""
    wide = array("d", logprobs)
    narrow = array("f", wide)
    if narrow.tolist() == wide.tolist():
        return b"f" + _little_endian(narrow).tobytes()
    return b"d" + _little_endian(wide).tobytes()


def unpack_logprobs(packed: bytes) -> tuple[float, ...]:
    """The inverse of `pack_logprobs`. Raises Untrusted for an unknown layout or a wrong length."""
    if not packed:
        return ()
    if packed[:1] not in (b"f", b"d"):
        raise _corrupt_column_error("log-probabilities")
    values = array("f") if packed[:1] == b"f" else array("d")
    return tuple(_unpack_array(values, packed[1:], "log-probabilities"))


def compact_json(value: object) -> str:
    """A value as ASCII JSON with its keys in their order. Raises BadInput for what JSON cannot hold, such as NaN."""
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise _not_json_error(error) from None


def pack_canonical_json(value: object) -> str:
    """A value as the text of a column that is hashed: ASCII JSON with sorted keys. Raises BadInput for what JSON cannot hold."""
    try:
        return canonical_json(value).decode()
    except (TypeError, ValueError) as error:
        raise _not_json_error(error) from None


def record_values(record: DataclassInstance) -> dict[str, object]:
    """The fields of a dataclass, by name, as they are: the columns of its row unless some are packed."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def record_from(record_type: type[T], source: object) -> T:
    """A dataclass made of the attributes of a row, or of another record, that have the names of its fields."""
    return record_type(**{field.name: getattr(source, field.name) for field in fields(record_type)})


def escape_text(text: str) -> str:
    """Escape the characters that some database cannot store."""
    return _NEEDS_ESCAPE.sub(lambda match: f"{_ESCAPE}{ord(match[0]) & 0xFFFF:04x}", text)


def unescape_text(text: str) -> str:
    """The inverse of `escape_text`."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda match: _ESCAPE if match[1] == "fffd" else chr(int(match[1], 16)), text)


def _unpack_array(values: array[V], packed: bytes, content: str) -> array[V]:
    if len(packed) % values.itemsize:
        raise _corrupt_column_error(content)
    values.frombytes(packed)
    return _little_endian(values)


def _little_endian(values: array[V]) -> array[V]:
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _not_json_error(error: Exception) -> BadInput:
    return BadInput(f"A value cannot be stored as JSON: {error}.", advice="Send plain JSON values only.")


def _corrupt_column_error(content: str) -> Untrusted:
    return Untrusted(
        f"A stored column of {content} is broken.", advice="Run `yearling verify`; restore a backup if it is damaged."
    )
