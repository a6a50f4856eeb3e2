"""What people do to the record: one frozen event per act, canonical bytes, and the fold of a log prefix into what stands.

The log is append-only; nothing is ever taken out of it. What counts now is a pure function of a prefix: `fold`. A person who
retracts is, for every later result, someone who never rated; an administrator who removes something leaves a visible event. The
order of events is (time, id), so that shuffling a file, or reading it twice, changes nothing.

Knows nothing of storage, hash chains or names: `actor`, `item` and `person` are opaque identifiers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, get_args

from yearling.errors import BadInput, Untrusted

ComparisonOutcome = Literal["left", "right", "tie"]
EventTags = tuple[str, ...]

RATING_VALUES = (0.0, 0.5, 1.0)

_EARLIEST_UTC = datetime(1, 1, 1, tzinfo=UTC)
_CANONICAL_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEvent:
    """What every event has. `actor` is who did it; `id` is unique in the log and is never derived from a name.

    An act that its person brought along from another log has an `origin`, its id there, and `acted_utc`, when it was done there
    as far as the person's file says. Both are claims: `created_utc` is when it entered this log, and that is what counts.
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
            raise BadInput(f"Event {self.id} says only half of where it comes from.", param="origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating(FeedbackEvent):
    """How helpful an answer is: 1 helpful, 0.5 somewhat, 0 not."""

    kind: ClassVar[str] = "rating"
    item: str
    value: float
    tags: EventTags = ()

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if self.value not in RATING_VALUES:
            raise BadInput(f"A rating is 0, 0.5 or 1, not {self.value}.", advice="Map your scale to these three.", param="value")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRating(Rating):
    """How helpful a note is; `item` is the note's id."""

    kind: ClassVar[str] = "note_rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(FeedbackEvent):
    """Which of two answers is better."""

    kind: ClassVar[str] = "comparison"
    left: str
    right: str
    outcome: ComparisonOutcome
    tags: EventTags = ()

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if self.outcome not in get_args(ComparisonOutcome):
            raise BadInput(f"A comparison is won by left, right or tie, not {self.outcome!r}.", param="outcome")
        if self.left == self.right:
            raise BadInput("An answer cannot be compared with itself.", advice="Name two answers.", param="right")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(FeedbackEvent):
    """A better wording of an answer; `result` is the id of the new text, which is an item of its own."""

    kind: ClassVar[str] = "edit"
    item: str
    result: str
    text_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(FeedbackEvent):
    """Context that someone adds to an answer; `note` is the id by which the note itself is rated."""

    kind: ClassVar[str] = "note"
    item: str
    note: str
    text_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction(FeedbackEvent):
    """The actor takes back an act of theirs; it then counts as never done."""

    kind: ClassVar[str] = "retraction"
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(FeedbackEvent):
    """An administrator sets an act of somebody aside, in public and with a reason."""

    kind: ClassVar[str] = "removal"
    event: str
    reason: str

    def __post_init__(self) -> None:
        FeedbackEvent.__post_init__(self)
        if not self.reason.strip():
            raise BadInput("A removal needs a reason.", advice="Say why, everyone can read it.", param="reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouch(FeedbackEvent):
    """The actor vouches that `account` is the one account of `person` (an opaque identifier of a human being)."""

    kind: ClassVar[str] = "vouch"
    account: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryInvitation(FeedbackEvent):
    """Raters drawn by lot are asked about an item. Their later ratings of it form the verdict.

    The hashes say by which code and parameters the lot was drawn over the log so far, so that everybody can draw it again.
    """

    kind: ClassVar[str] = "jury_invitation"
    item: str
    jurors: tuple[str, ...]
    code_hash: str = ""
    parameters_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange(FeedbackEvent):
    """A full run gave an item a status. Written by the run itself; what inertia and flip caps look back on."""

    kind: ClassVar[str] = "status_change"
    item: str
    status: str
    snapshot: str = ""


EVENT_TYPES: dict[str, type[FeedbackEvent]] = {
    cls.kind: cls
    for cls in (Rating, NoteRating, Comparison, Edit, Note, Retraction, Removal, Vouch, JuryInvitation, StatusChange)
}


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces, shortest exact numbers: equal values give equal bytes. NaN is refused."""
    return _CANONICAL_ENCODER.encode(value).encode()


def format_utc(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def event_to_dict(event: FeedbackEvent) -> dict[str, Any]:
    """Plain data of an event: `kind`, and its fields with times as RFC 3339 in UTC with microseconds."""
    plain: dict[str, Any] = {"kind": event.kind}
    for name in _FIELD_NAMES[event.kind]:
        value = getattr(event, name)
        if value == "" and name in _OMITTED_WHEN_EMPTY:
            continue
        if isinstance(value, datetime):
            plain[name] = format_utc(value)
        else:
            plain[name] = list(value) if isinstance(value, tuple) else value
    return plain


def event_from_dict(plain: Mapping[str, Any]) -> FeedbackEvent:
    """The event that `to_dict` described. Raises BadInput for an unknown kind, an unknown field or a missing one."""
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
    """The bytes over which the log is chained and hashed."""
    return canonical_json(event_to_dict(event))


_OMITTED_WHEN_EMPTY = frozenset({"code_hash", "parameters_hash", "origin", "acted_utc"})
"""Fields that came later: an event without them has the bytes that it always had."""

_FIELD_NAMES: dict[str, tuple[str, ...]] = {kind: tuple(f.name for f in fields(cls)) for kind, cls in EVENT_TYPES.items()}
_FIELD_NAME_SETS = {kind: frozenset(names) for kind, names in _FIELD_NAMES.items()}
_TUPLE_FIELDS = ("tags", "jurors")


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedEvent:
    """An event that does not count, and why."""

    event: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What stands after a log prefix. All sequences are in log order."""

    ratings: tuple[Rating, ...] = ()
    """The last rating of each (actor, item) that is neither retracted nor removed; note ratings included."""
    comparisons: tuple[Comparison, ...] = ()
    """The last comparison of each (actor, unordered pair)."""
    edits: tuple[Edit, ...] = ()
    notes: tuple[Note, ...] = ()
    vouches: tuple[Vouch, ...] = ()
    juries: tuple[JuryInvitation, ...] = ()
    statuses: Mapping[str, StatusChange] = field(default_factory=dict)
    """Newest status change of each item."""
    removals: tuple[Removal, ...] = ()
    dropped: tuple[DroppedEvent, ...] = ()
    as_of_utc: datetime = _EARLIEST_UTC
    """Time of the newest event. Ages are counted up to here and not by a clock, which nobody could replay: an item grows older
    when the next act comes, whoever's and about whatever it is."""
    num_actors_since_status_change: int = 0
    """How many people did anything since the last change of a status."""


def sort_events(events: Iterable[FeedbackEvent]) -> list[FeedbackEvent]:
    """Events by (time, id), each once. Raises Untrusted when one id stands for two different events."""
    seen: dict[str, FeedbackEvent] = {}
    for event in events:
        first = seen.setdefault(event.id, event)
        if first is not event and first != event:
            raise Untrusted(f"Two different events have the id {event.id}.", advice="Take the log from its source again.")
    return sorted(seen.values(), key=lambda event: (event.created_utc, event.id))


def fold_events(events: Iterable[FeedbackEvent]) -> LogState:
    """The state after these events: a pure function, whatever their order in the iterable.

    An event that another one supersedes, retracts or removes is listed under `dropped` with its reason; so is a retraction of
    somebody else's act and one that names no earlier event.
    """
    return fold_sorted_events(sort_events(events))


def fold_sorted_events(sorted_events: list[FeedbackEvent]) -> LogState:
    """`fold` for events that `in_log_order` returned."""
    gone = _void_event_reasons(sorted_events)
    dropped = [DroppedEvent(event=event_id, reason=reason) for event_id, reason in gone.items()]
    kept: dict[str, list[Any]] = {kind: [] for kind in EVENT_TYPES}
    last: dict[tuple[str, ...], FeedbackEvent] = {}
    for event in sorted_events:
        if event.id not in gone:
            kept[event.kind].append(event)
            if isinstance(event, Rating | Comparison):
                last[_judgement_key(event)] = event
    standing = {event.id for event in last.values()}
    for kind in ("rating", "note_rating", "comparison"):
        dropped += [DroppedEvent(event=e.id, reason="replaced by a later one") for e in kept[kind] if e.id not in standing]
        kept[kind] = [e for e in kept[kind] if e.id in standing]
    return LogState(
        ratings=tuple(sorted((*kept["rating"], *kept["note_rating"]), key=lambda e: (e.created_utc, e.id))),
        comparisons=tuple(kept["comparison"]),
        edits=tuple(kept["edit"]),
        notes=tuple(kept["note"]),
        vouches=tuple(kept["vouch"]),
        juries=tuple(kept["jury_invitation"]),
        statuses={event.item: event for event in kept["status_change"]},
        removals=tuple(kept["removal"]),
        dropped=tuple(sorted(dropped, key=lambda d: (d.event, d.reason))),
        as_of_utc=sorted_events[-1].created_utc if sorted_events else _EARLIEST_UTC,
        num_actors_since_status_change=_count_actors_since_status_change(sorted_events),
    )


def _count_actors_since_status_change(sorted_events: list[FeedbackEvent]) -> int:
    people: set[str] = set()
    for event in reversed(sorted_events):
        if isinstance(event, StatusChange):
            break
        people.add(event.actor)
    return len(people)


def _judgement_key(event: Rating | Comparison) -> tuple[str, ...]:
    if isinstance(event, Comparison):
        return (event.actor, *sorted((event.left, event.right)))
    return (event.actor, event.item)


def _void_event_reasons(sorted_events: list[FeedbackEvent]) -> dict[str, str]:
    """Ids of events that do not count because of a retraction or removal (or are a void one), with the reason."""
    by_id: dict[str, FeedbackEvent] = {}
    gone: dict[str, str] = {}
    for event in sorted_events:
        if isinstance(event, Retraction | Removal):
            target = by_id.get(event.event)
            if target is None:
                gone[event.id] = "names no earlier event"
            elif isinstance(target, Retraction | Removal | StatusChange):
                gone[event.id] = f"a {target.kind.replace('_', ' ')} cannot be taken back"
            elif isinstance(event, Removal):
                gone[target.id] = "removed by an administrator"
            elif target.actor != event.actor:
                gone[event.id] = "retracts an act of somebody else"
            else:
                gone.setdefault(target.id, "retracted")
        by_id[event.id] = event
    return gone
