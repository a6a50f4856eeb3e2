"""Times in JSON. Two forms are in use; each route keeps the form that it has always had."""

from __future__ import annotations

from datetime import datetime


def format_utc(moment: datetime) -> str:
    """ISO 8601 with the suffix `Z`: conversations, feedback and the spec."""
    return moment.isoformat().replace("+00:00", "Z")


def format_utc_offset(moment: datetime) -> str:
    """ISO 8601 with the suffix `+00:00`: people, runs, lessons and exams."""
    return moment.isoformat()


def format_utc_offset_or_none(moment: datetime | None) -> str | None:
    """Like `format_utc_offset`; None stays None."""
    return None if moment is None else format_utc_offset(moment)
