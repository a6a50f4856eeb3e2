"""The order of sources, with reasons: score = relevance × quality prior × log(1 + independent origins) − rumour penalty.

Noise lowers the score. Between equal scores a primary source comes first, labelled as a party, then first reports, copies and
comments. Pure functions of records: no store, no network.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from yearling.retrieval.ranking.near_duplicates import group_near_duplicates, group_stories
from yearling.retrieval.ranking.noise import coordinated_groups, emotional_reasons
from yearling.retrieval.ranking.source_quality import NEUTRAL, domain_quality

SourceRole = Literal["primary", "first report", "copy", "comment"]
PrimaryKind = Literal["party", "document", "judgement", "data"]

_ROLES: tuple[SourceRole, ...] = ("primary", "first report", "copy", "comment")
_EMOTIONAL_FACTOR = 0.7
_COORDINATED_FACTOR = 0.6
_RUMOUR_WEIGHT = 0.5
_RUMOUR_FROM = 0.5
"""Probability of resembling rumours from which there is a penalty."""
_TIE_DECIMALS = 2
"""Scores that agree to this many decimals are tied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankableSource:
    """A passage, a page or a post that search found. `relevance` is 0 or more."""

    uri: str
    text: str
    relevance: float
    author: str = ""
    domain: str = ""
    """Of the publisher. Leave it empty for posts on a platform: there the author is the origin, not the platform."""
    created_utc: datetime | None = None
    reply_to: str = ""
    """URI of what it replies to."""
    quote: str = ""
    """URI of what it quotes or reposts."""
    primary: PrimaryKind | None = None
    """What makes it a primary source: the party itself, the document, the judgement, the data."""
    rumour: float | None = None
    """Probability of resembling posts that were later found false; None if it was not estimated."""

    def __post_init__(self) -> None:
        if not 0 <= self.relevance < math.inf:
            raise ValueError("relevance must be 0 or more, and finite")
        if self.rumour is not None and not 0 <= self.rumour <= 1:
            raise ValueError("the probability of a rumour must be from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedSource:
    """A source in its place. `reasons` say in words what raised or lowered it."""

    source: RankableSource
    score: float
    role: SourceRole
    group: str
    """URI of the first source of its near-duplicates; its own where it has none."""
    num_origins: int
    """Independent origins of its story."""
    reasons: tuple[str, ...]


def rank_sources(sources: Sequence[RankableSource], quality: Mapping[str, float]) -> list[OrderedSource]:
    """The sources, best first. `quality` is the owner's table of domain and score.

    Raises ValueError for more sources than can be compared (`near_duplicates.MAX_TEXTS`).
    """
    texts = [source.text for source in sources]
    groups, stories = group_near_duplicates(texts), group_stories(texts)
    origins = independent_origins(sources, groups)
    origins_by_story: defaultdict[int, set[int]] = defaultdict(set)
    for story, origin in zip(stories, origins, strict=True):
        origins_by_story[story].add(origin)
    firsts = _first_of_groups(sources, groups)
    coordinated = coordinated_groups(groups, [source.author for source in sources], [source.created_utc for source in sources])
    ordered = [
        _order(
            source,
            _role(place, source, firsts[groups[place]]),
            sources[firsts[groups[place]]].uri,
            len(origins_by_story[stories[place]]),
            domain_quality(source.domain, quality) if source.domain else None,
            coordinated.get(groups[place], 0),
        )
        for place, source in enumerate(sources)
    ]
    return sorted(ordered, key=_order_key)


def independent_origins(sources: Sequence[RankableSource], groups: Sequence[int]) -> list[int]:
    """The origin of each source. Copies, one author, one domain, and what replies to or quotes another count once.

    `groups` are the near-duplicate groups. An origin is named by the place of its first source.
    """
    parents = list(range(len(sources)))
    seen: dict[tuple[str, object], int] = {}
    places = {source.uri: place for place, source in enumerate(sources)}
    for place, (source, group) in enumerate(zip(sources, groups, strict=True)):
        keys: list[tuple[str, object]] = [("group", group)]
        keys += [("author", source.author)] if source.author else []
        keys += [("domain", source.domain.casefold().removeprefix("www."))] if source.domain else []
        linked = [seen.setdefault(key, place) for key in keys]
        linked += [places[uri] for uri in (source.reply_to, source.quote) if uri in places]
        for other in linked:
            first, second = _root(parents, other), _root(parents, place)
            parents[max(first, second)] = min(first, second)
    return [_root(parents, place) for place in range(len(sources))]


def _first_of_groups(sources: Sequence[RankableSource], groups: Sequence[int]) -> dict[int, int]:
    """The place of the first source of each group: a primary one, else the earliest that is no comment."""
    firsts: dict[int, int] = {}
    for place, group in enumerate(groups):
        best = firsts.get(group)
        if best is None or _firstness(sources[place]) < _firstness(sources[best]):
            firsts[group] = place
    return firsts


def _firstness(source: RankableSource) -> tuple[bool, bool, bool, float, str]:
    time = source.created_utc
    is_comment = bool(source.reply_to or source.quote)
    return source.primary is None, is_comment, time is None, 0.0 if time is None else time.timestamp(), source.uri


def _role(place: int, source: RankableSource, first: int) -> SourceRole:
    if source.primary is not None:
        return "primary"
    if source.reply_to or source.quote:
        return "comment"
    return "first report" if place == first else "copy"


def _order(
    source: RankableSource, role: SourceRole, group: str, num_origins: int, quality: float | None, num_coordinated: int
) -> OrderedSource:
    prior = 1.0 if quality is None else 1 + quality - NEUTRAL
    score = source.relevance * prior * math.log(1 + num_origins)
    reasons = [_ROLE_REASONS[role] if source.primary is None else _primary_reason(source.primary)]
    reasons.append(f"{num_origins} independent origins" if num_origins > 1 else "one origin")
    if quality is not None:
        reasons.append(f"your table rates {source.domain} {quality:g}")
    if emotional := emotional_reasons(source.text):
        score *= _EMOTIONAL_FACTOR
        reasons += emotional
    if num_coordinated:
        score *= _COORDINATED_FACTOR
        reasons.append(f"{num_coordinated} authors posted nearly the same text within minutes")
    if source.rumour is not None and source.rumour >= _RUMOUR_FROM:
        score -= _RUMOUR_WEIGHT * source.rumour
        reasons.append(f"resembles posts that were later found false, probability {source.rumour:.0%}; people question it")
    return OrderedSource(source=source, score=score, role=role, group=group, num_origins=num_origins, reasons=tuple(reasons))


_ROLE_REASONS: Mapping[SourceRole, str] = {
    "primary": "primary source",
    "first report": "first report",
    "copy": "copy of another source",
    "comment": "comment on another source",
}


def _primary_reason(primary: PrimaryKind) -> str:
    return "primary source: a party, which speaks for itself" if primary == "party" else f"primary source: the {primary}"


def _order_key(ordered: OrderedSource) -> tuple[float, int, float, str]:
    time = ordered.source.created_utc
    seconds = math.inf if time is None else time.timestamp()
    return -round(ordered.score, _TIE_DECIMALS), _ROLES.index(ordered.role), seconds, ordered.source.uri


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place
