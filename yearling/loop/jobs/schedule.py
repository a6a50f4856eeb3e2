"""When jobs may run and when a cycle is due: hours of the day, written as `22:00` and `09:00-17:00`. Pure functions."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

HOUR_PATTERN = r"([01]\d|2[0-3]):[0-5]\d"
HOURS_PATTERN = rf"{HOUR_PATTERN}-{HOUR_PATTERN}"
_HOURS = re.compile(rf"(?P<start>{HOUR_PATTERN})-(?P<end>{HOUR_PATTERN})")


def is_quiet_now(hours: str, local_now: datetime) -> bool:
    """Whether a time lies in the hours, such as `09:00-17:00` or `22:00-06:00`. Empty: never."""
    match = _HOURS.fullmatch(hours)
    if match is None:
        return False
    start, end, now = time.fromisoformat(match["start"]), time.fromisoformat(match["end"]), local_now.time()
    return start <= now < end if start <= end else now >= start or now < end


def last_due(at: str, local_now: datetime) -> datetime | None:
    """The last moment that a daily time came, such as today's or yesterday's 02:00. None for an empty time."""
    if not re.fullmatch(HOUR_PATTERN, at):
        return None
    today = datetime.combine(local_now.date(), time.fromisoformat(at), local_now.tzinfo)
    return today if today <= local_now else today - timedelta(days=1)
