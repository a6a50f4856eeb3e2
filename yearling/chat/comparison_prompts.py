"""When two answers are offered side by side without being asked for: now and then, and never to who does not care for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from yearling.store import ComparisonRecord

NUM_RECENT_OFFERS = 3
"""How many of the last offers decide whether there is another."""

_ONE_DAY = timedelta(days=1)
_MIN_PAUSE = timedelta(minutes=20)
_PAUSE_AFTER_TWO_IGNORED = timedelta(days=7)


def should_offer_comparison(rate: float, draw: float, recent: Sequence[ComparisonRecord], now: datetime) -> bool:
    """Whether to offer a comparison. `draw` is uniform in [0, 1); `recent` are the person's last offers, newest first.

    Never two within 20 minutes, nor more than three a day. Who let the last offer lie, or skipped it, has peace for a day; who
    did so twice in a row, for a week.
    """
    if draw >= rate:
        return False
    if not recent:
        return True
    since = now - recent[0].created_utc
    if since < _MIN_PAUSE:
        return False
    ignored = [one.state != "decided" for one in recent]
    if ignored[0] and since < (_PAUSE_AFTER_TWO_IGNORED if ignored[:2] == [True, True] else _ONE_DAY):
        return False
    return len(recent) < NUM_RECENT_OFFERS or now - recent[NUM_RECENT_OFFERS - 1].created_utc >= _ONE_DAY
