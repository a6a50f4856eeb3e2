"""When to offer two answers side by side without being asked: rarely, and less often to people who ignore the offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from yearling.store import ComparisonRecord

NUM_RECENT_OFFERS = 3
"""How many of a person's newest offers decide whether to make another one."""

_ONE_DAY = timedelta(days=1)
_MIN_PAUSE = timedelta(minutes=20)
_PAUSE_AFTER_TWO_IGNORED = timedelta(days=7)


def should_offer_comparison(rate: float, draw: float, recent: Sequence[ComparisonRecord], now: datetime) -> bool:
    """Whether to offer a comparison now.

    `draw` is uniform in [0, 1) and `rate` the share of questions with an offer. `recent` holds the person's newest offers, newest
    first. Offers keep a minimum distance and a daily limit. Ignoring or skipping an offer suppresses offers for a day, doing so
    twice in a row for a week.
    """
    if draw >= rate:
        return False
    if not recent:
        return True
    since_last = now - recent[0].created_utc
    if since_last < _MIN_PAUSE:
        return False
    ignored = [comparison.state != "decided" for comparison in recent]
    if ignored[0] and since_last < (_PAUSE_AFTER_TWO_IGNORED if ignored[:2] == [True, True] else _ONE_DAY):
        return False
    return len(recent) < NUM_RECENT_OFFERS or now - recent[NUM_RECENT_OFFERS - 1].created_utc >= _ONE_DAY
