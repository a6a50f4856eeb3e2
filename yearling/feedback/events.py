"""Feedback events: one frozen record for each act, canonical bytes, and the state that a prefix of the log adds up to.

The log is append-only. What counts at any point is a pure function of a prefix: `fold_events`. After a retraction, every later
result is as if the act had never happened. A removal by an administrator stays visible as an event of its own. Events are
ordered by (time, id), so shuffling or repeating an export changes nothing.

This file knows nothing of storage, hash chains or names: `actor`, `item` and `person` are opaque identifiers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, get_args

from yearling.canonical import canonical_json
from yearling.errors import BadInput, Untrusted
from yearling.store import REMOVED, REPLACED_BY_LATER, judgement_subject, latest_judgements, void_acts

ComparisonOutcome = Literal["left", "right", "tie"]
AdmissionBasis = Literal["invitation", "data_set", "log"]
EventTags = tuple[str, ...]
EventDict = Mapping[str, Any]
"""An event as JSON values, as `event_to_dict` writes it."""

RATING_VALUES = (0.0, 0.5, 1.0)
"""Not helpful, somewhat helpful, helpful."""

_EARLIEST_UTC = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEvent:
    """Fields of every event. `actor` is the pseudonym of the person who acted. `id` is unique in the log.

    An act imported from another log has an `origin`, its id in that log, and `acted_utc`, the time that the imported file gives
    for it. Both are unverified claims. `created_utc` is the time at which the event entered this log, and only this time counts.

    Raises BadInput if a time has no time zone, or if only one of `origin` and `acted_utc` is set.
    """

    kind: ClassVar[str] = ""
    id: str
    created_utc: datetime
    actor: str
    origin: str = ""
    acted_utc: str = ""

    def __post_init__(self) -> None:
        if self.created_utc.tzinfo is None:
            raise BadInput(f"Event {self.id} has a time without a time zone.", advice="Give times in UTC.", param="created_utc")
        if bool(self.origin) != bool(self.acted_utc):
            raise BadInput(f"Event {self.id} has only one of origin and acted_utc.", advice="Give both or none.", param="origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating(FeedbackEvent):
    """How helpful an answer is: 1 helpful, 0.5 somewhat helpful, 0 not helpful. Raises BadInput for another value."""

    kind: ClassVar[str] = "rating"
    item: str
    value: float
    tags: EventTags = ()

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if self.value not in RATING_VALUES:
            raise BadInput(f"A rating is 0, 0.5 or 1, not {self.value}.", advice="Map your scale to these values.", param="value")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRating(Rating):
    """How helpful a note is. `item` is the id of the note."""

    kind: ClassVar[str] = "note_rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(FeedbackEvent):
    """Which of two answers is better. Raises BadInput for an unknown outcome, or if both answers are the same."""

    kind: ClassVar[str] = "comparison"
    left: str
    right: str
    outcome: ComparisonOutcome
    tags: EventTags = ()

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if self.outcome not in get_args(ComparisonOutcome):
            raise BadInput(f"The outcome of a comparison is left, right or tie, not {self.outcome!r}.", param="outcome")
        if self.left == self.right:
            raise BadInput("An answer cannot be compared with itself.", advice="Name two answers.", param="right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(FeedbackEvent):
    """A better wording of an answer. `result` is the id of the new text, which is an item that people can judge."""

    kind: ClassVar[str] = "edit"
    item: str
    result: str
    text_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(FeedbackEvent):
    """Context that a person adds to an answer. `note` is the id under which people rate the note itself."""

    kind: ClassVar[str] = "note"
    item: str
    note: str
    text_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction(FeedbackEvent):
    """The actor withdraws an act of their own, which then counts as if it had never happened."""

    kind: ClassVar[str] = "retraction"
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(FeedbackEvent):
    """An administrator withdraws an act of any person, with a public reason. Raises BadInput if the reason is empty."""

    kind: ClassVar[str] = "removal"
    event: str
    reason: str

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if not self.reason.strip():
            raise BadInput("A removal needs a reason.", advice="Everybody can read it.", param="reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouch(FeedbackEvent):
    """The actor vouched that `account` is the only account of `person`. Earlier versions wrote it; it has no effect."""

    kind: ClassVar[str] = "vouch"
    account: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission(FeedbackEvent):
    """An administrator let `account` in, by inviting the person or by importing the account's judgements from a file.

    A file is a data set, whose annotators somebody chose, or a log, in which anybody may have acted. Raises BadInput for another
    basis.
    """

    kind: ClassVar[str] = "admission"
    account: str
    basis: AdmissionBasis

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if self.basis not in get_args(AdmissionBasis):
            raise BadInput(f"The basis of an admission is invitation, data_set or log, not {self.basis!r}.", param="basis")


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryInvitation(FeedbackEvent):
    """Raters drawn by lot are invited to judge an item. Their later ratings of it form the jury's verdict.

    The hashes name the code and the parameters that drew the lot over the log so far, so that anybody can repeat the draw.
    """

    kind: ClassVar[str] = "jury_invitation"
    item: str
    jurors: tuple[str, ...]
    code_hash: str = ""
    parameters_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange(FeedbackEvent):
    """A full consensus run changed the status of an item. Inertia and the cap on flips are computed from these events."""

    kind: ClassVar[str] = "status_change"
    item: str
    status: str
    snapshot: str = ""


EVENT_TYPES: dict[str, type[FeedbackEvent]] = {
    cls.kind: cls
    for cls in (Rating, NoteRating, Comparison, Edit, Note, Retraction, Removal, Vouch, Admission, JuryInvitation, StatusChange)
}
"""Event classes by kind."""


def canonical_utf8_json(value: object) -> bytes:
    """Return the canonical JSON of events, parameters and snapshots, which is in UTF-8. The store hashes its log in ASCII.

    Raises ValueError for NaN and infinities.
    """
    return canonical_json(value, ensure_ascii=False)


def format_utc(moment: datetime) -> str:
    """Return a time as RFC 3339 text in UTC, with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def event_to_dict(event: FeedbackEvent) -> dict[str, Any]:
    """Return an event as JSON values: its `kind` and its fields, with times as RFC 3339 text in UTC."""
    values: dict[str, Any] = {"kind": event.kind}
    for name in _FIELD_NAMES[event.kind]:
        value = getattr(event, name)
        if value == "" and name in _OMITTED_WHEN_EMPTY:
            continue
        if isinstance(value, datetime):
            values[name] = format_utc(value)
        else:
            values[name] = list(value) if isinstance(value, tuple) else value
    return values


def event_from_dict(plain: EventDict) -> FeedbackEvent:
    """Return the event that `event_to_dict` wrote. Raises BadInput for an unknown kind, an unknown field or a missing one."""
    kind = plain.get("kind")
    cls = EVENT_TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise BadInput(
            f"Unknown kind of event: {kind!r}.", advice=f"Known kinds: {', '.join(sorted(EVENT_TYPES))}.", param="kind"
        )
    values = dict(plain)
    del values["kind"]
    unknown = values.keys() - _FIELD_NAME_SETS[cls.kind]
    if unknown:
        raise BadInput(f"A {kind} has no field {sorted(unknown)[0]!r}.", param=sorted(unknown)[0])
    try:
        values["created_utc"] = datetime.fromisoformat(values["created_utc"])
        for name in _TUPLE_FIELDS:
            if name in values:
                values[name] = tuple(values[name])
        if "value" in values:
            values["value"] = float(values["value"])
        return cls(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"This {kind} is incomplete or malformed: {error}.", advice="Compare it with an exported line.") from error


def canonical_event_bytes(event: FeedbackEvent) -> bytes:
    """Return the bytes of an event that `log_hash` covers."""
    return canonical_utf8_json(event_to_dict(event))


_OMITTED_WHEN_EMPTY = frozenset({"code_hash", "parameters_hash", "origin", "acted_utc"})
"""Fields that later versions added. Omitting them when empty keeps the bytes of older events."""

_FIELD_NAMES: dict[str, tuple[str, ...]] = {kind: tuple(f.name for f in fields(cls)) for kind, cls in EVENT_TYPES.items()}
_FIELD_NAME_SETS = {kind: frozenset(names) for kind, names in _FIELD_NAMES.items()}
_TUPLE_FIELDS = ("tags", "jurors")
_ADMISSION_STRENGTH: dict[AdmissionBasis, int] = {"log": 0, "data_set": 1, "invitation": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedEvent:
    """An event that does not count, and the reason."""

    event: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What counts after a log prefix. All tuples are in log order."""

    ratings: tuple[Rating, ...] = ()
    """The last rating of each (actor, item) that is neither retracted nor removed; includes note ratings."""
    comparisons: tuple[Comparison, ...] = ()
    """The last comparison of each (actor, unordered pair of items)."""
    edits: tuple[Edit, ...] = ()
    notes: tuple[Note, ...] = ()
    admissions: Mapping[str, AdmissionBasis] = field(default_factory=dict)
    """By account: the basis on which it counts, the strongest of several."""
    juries: tuple[JuryInvitation, ...] = ()
    statuses: Mapping[str, StatusChange] = field(default_factory=dict)
    """Newest status change of each item."""
    removals: tuple[Removal, ...] = ()
    dropped: tuple[DroppedEvent, ...] = ()
    as_of_utc: datetime = _EARLIEST_UTC
    """Time of the newest event of any kind. Ages are measured up to this time and not by a clock, which nobody could replay."""
    actors_since_status_change: frozenset[str] = frozenset()
    """People who acted in any way since the last status change."""
    moves: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """By item with a status: the people who rated it, or withdrew a rating of it, since it got that status, each with the rating
    that counted when it got the status, if any."""
    weakened: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By item with a status: the supporters who withdrew their rating since it got that status, or made it a neutral one."""


def sort_events(events: Iterable[FeedbackEvent]) -> list[FeedbackEvent]:
    """Return events in log order, (time, id), without repetitions. Raises Untrusted if two different events share an id."""
    events_by_id: dict[str, FeedbackEvent] = {}
    for event in events:
        first = events_by_id.setdefault(event.id, event)
        if first is not event and first != event:
            raise Untrusted(f"Two different events have the id {event.id}.", advice="Get the log from its source again.")
    return sorted(events_by_id.values(), key=lambda event: (event.created_utc, event.id))


def fold_events(events: Iterable[FeedbackEvent]) -> LogState:
    """Return the state after these events, whatever their order in the iterable. Raises Untrusted as `sort_events` does.

    `dropped` lists every event that does not count, with its reason: events that were replaced, retracted or removed,
    retractions of another person's act, and withdrawals that name no earlier event.
    """
    return fold_sorted_events(sort_events(events))


def fold_sorted_events(sorted_events: list[FeedbackEvent]) -> LogState:
    """Return the state after events that `sort_events` returned."""
    void_reasons = void_acts(sorted_events, _withdrawn_id)
    latest, replaced = latest_judgements(sorted_events, void_reasons, _subject_or_none)
    latest_ids = {event.id for event in latest}
    dropped = [DroppedEvent(event=event_id, reason=code.replace("_", " ")) for event_id, code in void_reasons.items()]
    dropped += [DroppedEvent(event=event.id, reason=REPLACED_BY_LATER.replace("_", " ")) for event in replaced]
    dropped += [DroppedEvent(event=e.id, reason="vouches have no effect any more") for e in sorted_events if isinstance(e, Vouch)]
    counting: dict[str, list[Any]] = {kind: [] for kind in EVENT_TYPES}
    for event in sorted_events:
        if event.id in void_reasons or (isinstance(event, Rating | Comparison) and event.id not in latest_ids):
            continue
        counting[event.kind].append(event)
    statuses = {event.item: event for event in counting["status_change"]}
    removed = {event_id for event_id, code in void_reasons.items() if code == REMOVED}
    moves, weakened = _moves_since_status(sorted_events, statuses, removed)
    return LogState(
        ratings=tuple(sorted((*counting["rating"], *counting["note_rating"]), key=lambda e: (e.created_utc, e.id))),
        comparisons=tuple(counting["comparison"]),
        edits=tuple(counting["edit"]),
        notes=tuple(counting["note"]),
        admissions=_strongest_admissions(counting["admission"]),
        juries=tuple(counting["jury_invitation"]),
        statuses=statuses,
        removals=tuple(counting["removal"]),
        dropped=tuple(sorted(dropped, key=lambda d: (d.event, d.reason))),
        as_of_utc=sorted_events[-1].created_utc if sorted_events else _EARLIEST_UTC,
        actors_since_status_change=_actors_since_status_change(sorted_events),
        moves=moves,
        weakened=weakened,
    )


def _strongest_admissions(admissions: Iterable[Admission]) -> dict[str, AdmissionBasis]:
    by_account: dict[str, AdmissionBasis] = {}
    for admission in admissions:
        known = by_account.get(admission.account)
        if known is None or _ADMISSION_STRENGTH[admission.basis] > _ADMISSION_STRENGTH[known]:
            by_account[admission.account] = admission.basis
    return by_account


def _actors_since_status_change(sorted_events: list[FeedbackEvent]) -> frozenset[str]:
    actors: set[str] = set()
    for event in reversed(sorted_events):
        if isinstance(event, StatusChange):
            break
        if not isinstance(event, Admission):
            actors.add(event.actor)
    return frozenset(actors)


def _moves_since_status(
    sorted_events: list[FeedbackEvent], statuses: Mapping[str, StatusChange], removed: Container[str]
) -> tuple[dict[str, dict[str, float | None]], dict[str, frozenset[str]]]:
    """Return `moves` and `weakened` of the state.

    Removals by administrators are no moves, because they answer for them in public; a removed rating (`removed`) never counted.
    """
    if not statuses:
        return {}, {}
    ratings = {event.id: event for event in sorted_events if isinstance(event, Rating)}
    before: dict[tuple[str, str], float] = {}
    moves: dict[str, dict[str, float | None]] = {}
    weakened: dict[str, set[str]] = {}
    for event in sorted_events:
        rating = ratings.get(event.event) if isinstance(event, Retraction) else event
        if not isinstance(rating, Rating) or rating.actor != event.actor or rating.id in removed:
            continue
        item, actor, change = rating.item, rating.actor, statuses.get(rating.item)
        if change is None:
            continue
        if (event.created_utc, event.id) <= (change.created_utc, change.id):
            if isinstance(event, Retraction):
                before.pop((item, actor), None)
            else:
                before[item, actor] = rating.value
            continue
        held = before.get((item, actor))
        moves.setdefault(item, {})[actor] = held
        direction = 1.0 if change.status == "helpful" else -1.0
        support = 0.0 if held is None else direction * (held - 0.5)
        # A vote turned against the status speaks for itself in the evidence.
        if support > 0.0 and (isinstance(event, Retraction) or 0.0 <= direction * (rating.value - 0.5) < support):
            weakened.setdefault(item, set()).add(actor)
    return moves, {item: frozenset(actors) for item, actors in weakened.items()}


def _withdrawn_id(event: FeedbackEvent) -> str:
    return event.event if isinstance(event, Retraction | Removal) else ""


def judgement_subject_of(event: Rating | Comparison) -> tuple[str, ...]:
    """Return the key of a judgement: a later judgement with the same key replaces this one."""
    if isinstance(event, Comparison):
        return judgement_subject(event.actor, event.left, event.right)
    return judgement_subject(event.actor, event.item)


def _subject_or_none(event: FeedbackEvent) -> tuple[str, ...] | None:
    return judgement_subject_of(event) if isinstance(event, Rating | Comparison) else None
