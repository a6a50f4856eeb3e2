"""The event log in memory: what a running server needs at hand to answer within milliseconds.

Follows the stored log, whoever appends to it, by reading what is new at each `sync`. Decides nothing about statuses; knows which
events concern which item, who wrote what, and what was taken back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from yearling.clock import now_utc
from yearling.errors import NotFound
from yearling.feedback.events import (
    Comparison,
    Edit,
    FeedbackEvent,
    JuryInvitation,
    Note,
    Rating,
    Removal,
    Retraction,
    StatusChange,
    event_from_dict,
)
from yearling.store import EventLogHead, Store

_MIN_TIME_STEP = timedelta(microseconds=1)


class EventIndex:
    """All events of one store's log, indexed. Thread-safe: hold `reading()` for several questions about one moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._events: list[FeedbackEvent] = []
        self._by_id: dict[str, FeedbackEvent] = {}
        self._events_by_item: dict[str, list[FeedbackEvent]] = {}
        self._authoring_events: dict[str, Note | Edit] = {}
        self._events_by_origin: dict[str, FeedbackEvent] = {}
        self._withdrawals: dict[str, Retraction | Removal] = {}
        self._last_change_by_item: dict[str, int] = {}
        self._jury_invitations: list[JuryInvitation] = []
        self._last_act_sequence = 0
        self._newest_utc = datetime(1, 1, 1, tzinfo=UTC)
        self._head = EventLogHead(sequence=0, hash="")

    @contextmanager
    def consistent_view(self) -> Iterator[EventIndex]:
        """One moment of the log, as new as can be."""
        with self._lock:
            self.sync()
            yield self

    def sync(self) -> None:
        """Read what was appended since. Raises BadInput for an event that this program does not know, StorageFailed."""
        with self._lock, self._store.events.stream(after=self._head.sequence) as entries:
            for entry in entries:
                self._index_event(event_from_dict(entry.event), entry.sequence)
                self._head = EventLogHead(sequence=entry.sequence, hash=entry.hash)

    @property
    def head(self) -> EventLogHead:
        """Where the ledger stands: the newest entry it has read."""
        return self._head

    @property
    def last_act_sequence(self) -> int:
        """Number of the newest entry that is not a status change."""
        return self._last_act_sequence

    def events(self) -> list[FeedbackEvent]:
        """All events, in the order in which they were appended."""
        with self._lock:
            return list(self._events)

    def get_event(self, event_id: str) -> FeedbackEvent:
        """Raises NotFound."""
        found = self._by_id.get(event_id)
        if found is None:
            raise NotFound(f"There is no event {event_id[:100]!r}.")
        return found

    def find_event(self, act_id: str) -> FeedbackEvent | None:
        """The act of this id: one of this log, or one that was brought along from the log where it had it."""
        return self._by_id.get(act_id) or self._events_by_origin.get(act_id)

    def events_about(self, item: str) -> list[FeedbackEvent]:
        """Ratings of an item, with what took them back, and its juries."""
        with self._lock:
            return list(self._events_by_item.get(item, ()))

    def has_item(self, item: str) -> bool:
        """Whether any event is about this item."""
        return item in self._last_change_by_item or item in self._events_by_item or item in self._authoring_events

    def get_note(self, note_id: str) -> Note:
        """A note that stands. Raises NotFound, for one that was taken back too."""
        found = self._authoring_events.get(note_id)
        if not isinstance(found, Note) or found.id in self._withdrawals:
            raise NotFound(f"There is no note {note_id[:100]!r}.", advice="It may have been taken back.")
        return found

    def list_notes(self) -> list[Note]:
        """The notes that stand, oldest first."""
        with self._lock:
            notes = [event for event in self._authoring_events.values() if isinstance(event, Note)]
            return [note for note in notes if note.id not in self._withdrawals]

    def authoring_event(self, item: str) -> Note | Edit | None:
        """The event by which somebody wrote the words that this item is, taken back or not; None for a model's answer."""
        return self._authoring_events.get(item)

    def author_of(self, item: str) -> str | None:
        """Who wrote the note or the edit that this item is."""
        found = self._authoring_events.get(item)
        return found.actor if found else None

    def is_note(self, item: str) -> bool:
        """Whether this item is a note."""
        return isinstance(self._authoring_events.get(item), Note)

    def withdrawal_of(self, event_id: str) -> Retraction | Removal | None:
        """What retracted or removed an event, if anything did."""
        return self._withdrawals.get(event_id)

    def has_rated(self, actor: str, item: str) -> bool:
        """Whether a rating of this item by this person stands."""
        with self._lock:
            ratings = (event for event in self._events_by_item.get(item, ()) if isinstance(event, Rating))
            return any(rating.actor == actor and rating.id not in self._withdrawals for rating in ratings)

    def active_juries(self, item: str) -> list[JuryInvitation]:
        """The standing invitations of juries on an item."""
        with self._lock:
            found = (event for event in self._events_by_item.get(item, ()) if isinstance(event, JuryInvitation))
            return [jury for jury in found if jury.id not in self._withdrawals]

    def jurors_who_rated(self, jury: JuryInvitation) -> set[str]:
        """Those of a jury whose rating of its item, given since the invitation, stands."""
        with self._lock:
            ratings = (event for event in self._events_by_item.get(jury.item, ()) if isinstance(event, Rating))
            later = {r.actor for r in ratings if r.created_utc >= jury.created_utc and r.id not in self._withdrawals}
        return later & set(jury.jurors)

    def pending_jury_items(self, actor: str) -> list[str]:
        """Items on whose jury this person is and has not spoken yet, newest first."""
        with self._lock:
            mine = [jury for jury in self._jury_invitations if actor in jury.jurors and jury.id not in self._withdrawals]
            return list(dict.fromkeys(jury.item for jury in reversed(mine) if actor not in self.jurors_who_rated(jury)))

    def last_change_sequence(self, item: str) -> int:
        """Number of the newest entry that changed an item's ratings or juries; 0 when there is none."""
        return self._last_change_by_item.get(item, 0)

    def items_changed_after(self, sequence: int) -> dict[str, int]:
        """Items whose ratings or juries changed after an entry, with the number of the newest change."""
        with self._lock:
            return {item: newest for item, newest in self._last_change_by_item.items() if newest > sequence}

    def next_event_utc(self) -> datetime:
        """A time for a new event: now, but later than every event there is, so that the order of acts is that of their times."""
        with self._lock:
            return max(now_utc(), self._newest_utc + _MIN_TIME_STEP)

    def _index_event(self, event: FeedbackEvent, sequence: int) -> None:
        self._events.append(event)
        self._by_id[event.id] = event
        if event.origin:
            self._events_by_origin.setdefault(event.origin, event)
        self._newest_utc = max(self._newest_utc, event.created_utc)
        if isinstance(event, StatusChange):
            return
        self._last_act_sequence = sequence
        if isinstance(event, Retraction | Removal):
            target = self._by_id.get(event.event)
            valid = isinstance(event, Removal) or (target is not None and target.actor == event.actor)
            if target is None or not valid or isinstance(target, Retraction | Removal | StatusChange):
                return  # void; the consensus lists it with its reason
            self._withdrawals.setdefault(target.id, event)
            if isinstance(target, Rating | JuryInvitation):
                self._index_under_item(target.item, event, sequence)
        elif isinstance(event, Rating | JuryInvitation):
            self._index_under_item(event.item, event, sequence)
            if isinstance(event, JuryInvitation):
                self._jury_invitations.append(event)
        elif isinstance(event, Note):
            self._events_by_item.setdefault(event.item, [])
            self._authoring_events.setdefault(event.note, event)  # nobody takes another's words over by their id
            self._last_change_by_item[event.note] = sequence
        elif isinstance(event, Edit):
            self._events_by_item.setdefault(event.item, [])
            self._authoring_events.setdefault(event.result, event)
        elif isinstance(event, Comparison):
            for item in (event.left, event.right):
                self._events_by_item.setdefault(item, [])

    def _index_under_item(self, item: str, event: FeedbackEvent, sequence: int) -> None:
        self._events_by_item.setdefault(item, []).append(event)
        self._last_change_by_item[item] = sequence
