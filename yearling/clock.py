"""Time, and the time-ordered ids that every record carries.

Knows nothing of what is being timed. All times are UTC; `*_utc` fields are aware datetimes.
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
    """The current time, aware, in UTC, to the microsecond."""
    return datetime.now(UTC)


def new_id() -> str:
    """A UUIDv7 in text form (RFC 9562, section 5.7): sorts by creation time, strictly so within one process.

    Within one millisecond the 12 bits of `rand_a` count up from a random start (section 6.2, method 1). When they run out, or the
    clock steps back, the id borrows the next millisecond instead of repeating or reordering.
    """
    global _last_id_parts
    with _lock:
        milliseconds = time.time_ns() // 1_000_000
        last_ms, last_count = _last_id_parts
        if milliseconds > last_ms:
            count = int.from_bytes(os.urandom(2)) & 0x3FF
        elif last_count < 0xFFF:
            milliseconds, count = last_ms, last_count + 1
        else:
            milliseconds, count = last_ms + 1, 0
        _last_id_parts = (milliseconds, count)
    random_62 = int.from_bytes(os.urandom(8)) >> 2
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | random_62
    return str(uuid.UUID(int=value))


def id_created_utc(record_id: str) -> datetime:
    """When an id of `new_id` was made, to the millisecond."""
    return datetime.fromtimestamp((uuid.UUID(record_id).int >> 80) / 1000, UTC)
