"""Noise that lowers the rank of a source: emotional wording and coordinated posting. Each sign is a reason that people can read.

It says nothing about whether a text is true.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

MAX_TEXT_CHARS = 20_000
COORDINATED_AUTHORS = 4
"""Authors that post nearly the same text within `COORDINATED_WINDOW`, from which it counts as coordinated."""
COORDINATED_WINDOW = timedelta(minutes=10)

_URGENCY = re.compile(
    r"\b(?:share (?:this )?(?:before|now)|before (?:it(?:'s| is)|they) (?:deleted?|remove)|wake up|must (?:read|watch|see)"
    r"|they don'?t want you to know|spread the word|urgent)\b|速转|急转|紧急扩散|转疯了|不转不是|赶紧转"
    r"|快看.{0,4}删|删前速看|万分火急",
    re.IGNORECASE,
)
_EMOTION = re.compile(
    r"\b(?:shocking|outrage(?:ous)?|disgusting|horrif(?:ic|ying)|unbelievable|terrifying|evil|disgrace(?:ful)?|sickening)\b"
    r"|震惊|惊呆|可怕|恐怖|令人发指|丧尽天良|太可恶|吓死|愤怒|无耻",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[!！]{2,}|[?？][!！]|[!！][?？]|[\U0001F621\U0001F92C\U0001F631\U0001F525\U0001F6A8]")
_CAPITALS = re.compile(r"\b[A-Z]{3,}\b")
_MIN_CAPITALS = 3
_MIN_EMOTION = 2


def emotional_reasons(text: str) -> tuple[str, ...]:
    """Why the wording of a text is emotional, in words; empty if it is not. A single sign is no reason, except urgency."""
    read = text[:MAX_TEXT_CHARS]
    emotional, marks, capitals = _EMOTION.findall(read), _MARKS.findall(read), _CAPITALS.findall(read)
    reasons = []
    if urgent := _URGENCY.search(read):
        reasons.append(f"urges people to share: “{urgent[0]}”")
    if len(emotional) + len(marks) >= _MIN_EMOTION:
        found = list(dict.fromkeys([*emotional, *marks]))[:3]
        reasons.append("emotional wording: " + ", ".join(f"“{each}”" for each in found))
    if len(capitals) >= _MIN_CAPITALS and sum(map(len, capitals)) > sum(map(str.islower, read)):
        reasons.append("mostly capital letters")
    return tuple(reasons)


def coordinated_groups(groups: Sequence[int], authors: Sequence[str], times: Sequence[datetime | None]) -> dict[int, int]:
    """The near-duplicate groups that many authors posted within minutes, and the most authors in one window.

    `groups`, `authors` and `times` have one entry a text. Texts without an author or a time do not count.
    """
    posted: defaultdict[int, list[tuple[datetime, str]]] = defaultdict(list)
    for group, author, time in zip(groups, authors, times, strict=True):
        if author and time is not None:
            posted[group].append((time, author))
    most = {group: _most_authors(sorted(entries)) for group, entries in posted.items()}
    return {group: number for group, number in most.items() if number >= COORDINATED_AUTHORS}


def _most_authors(posts: Sequence[tuple[datetime, str]]) -> int:
    counts: dict[str, int] = {}
    first = most = 0
    for time, author in posts:
        counts[author] = counts.get(author, 0) + 1
        while time - posts[first][0] > COORDINATED_WINDOW:
            left = posts[first][1]
            counts[left] -= 1
            if not counts[left]:
                del counts[left]
            first += 1
        most = max(most, len(counts))
    return most
