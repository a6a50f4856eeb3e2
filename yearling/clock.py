"""The current time, and time-ordered ids for records.

This module does not know what the times and ids are for. All times are UTC; `*_utc` fields are aware datetimes.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import UTC, datetime

_lock = threading.Lock()
_last_id_parts: tuple[int, int] = (0, 0)  # (milliseconds, counter) of the newest id


def now_utc() -> datetime:
    """Return the current time as an aware datetime in UTC, with microseconds."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a new UUIDv7 as text (RFC 9562, section 5.7). Ids sort by creation time, strictly so within one process.

    Within one millisecond the 12 bits of `rand_a` count up from a random start (section 6.2, method 1). If they run out, or if
    the clock steps back, the id uses the next millisecond instead of repeating or reordering.
    """
    global _last_id_parts
    with _lock:
        milliseconds = time.time_ns() // 1_000_000
        last_milliseconds, last_count = _last_id_parts
        if milliseconds > last_milliseconds:
            count = int.from_bytes(os.urandom(2)) & 0x3FF
        elif last_count < 0xFFF:
            milliseconds, count = last_milliseconds, last_count + 1
        else:
            milliseconds, count = last_milliseconds + 1, 0
        _last_id_parts = (milliseconds, count)
    random_62_bits = int.from_bytes(os.urandom(8)) >> 2
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | random_62_bits
    return str(uuid.UUID(int=value))


def id_created_utc(record_id: str) -> datetime:
    """Return the creation time of an id from `new_id`, with milliseconds. Raises ValueError if the id is no UUID."""
    return datetime.fromtimestamp((uuid.UUID(record_id).int >> 80) / 1000, UTC)
