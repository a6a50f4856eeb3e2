"""An in-memory index of the feedback log, so that a running server can answer within milliseconds.

The index follows the stored log, whichever process appends to it, by reading the new entries at each `sync`. It knows which
events concern which item, who wrote which text, and what was withdrawn. It decides nothing about statuses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from yearling.clock import now_utc
from yearling.errors import NotFound
from yearling.feedback.defences import COUNT_AT_ONCE
from yearling.feedback.events import (
    Admission,
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
from yearling.feedback.rating.judgement_index import JudgementIndex
from yearling.store import EventLogHead, Store, withdrawal_error

MIN_TIME_STEP = timedelta(microseconds=1)
"""Smallest difference between the times of two events, so that the order of acts is the order of their times."""


class EventIndex:
    """All events of one store's log, indexed. Thread-safe: hold `consistent_view()` to ask several questions about one state."""

    def __init__(self, store: Store) -> None:
        self.judgements = JudgementIndex()
        """Who judged what. Ask it within `consistent_view()`."""
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
        self._admissions: dict[str, list[Admission]] = {}
        self._last_act_sequence = 0
        self._newest_utc = datetime(1, 1, 1, tzinfo=UTC)
        self._head = EventLogHead(sequence=0, hash="")

    @contextmanager
    def consistent_view(self) -> Iterator[EventIndex]:
        """Read the newest entries, then hold the index in that state until the block ends. Raises as `sync` does."""
        with self._lock:
            self.sync()
            yield self

    def sync(self) -> None:
        """Read the entries that were appended since the last call.

        Raises BadInput for an event that this version does not know, and StorageFailed.
        """
        with self._lock, self._store.events.stream(after=self._head.sequence) as entries:
            for entry in entries:
                self._index_event(event_from_dict(entry.event), entry.sequence)
                self._head = EventLogHead(sequence=entry.sequence, hash=entry.hash)

    @property
    def head(self) -> EventLogHead:
        """The newest entry that the index has read."""
        return self._head

    @property
    def last_act_sequence(self) -> int:
        """Number of the newest entry that is not a status change; 0 if there is none."""
        return self._last_act_sequence

    def events(self) -> list[FeedbackEvent]:
        """Return all events in the order in which they were appended."""
        with self._lock:
            return list(self._events)

    def get_event(self, event_id: str) -> FeedbackEvent:
        """Return the event with this id. Raises NotFound if there is none."""
        event = self._by_id.get(event_id)
        if event is None:
            raise NotFound(f"There is no event {event_id[:100]!r}.")
        return event

    def find_event(self, act_id: str) -> FeedbackEvent | None:
        """Return the act with this id, or the imported act that had this id in the log it came from."""
        return self._by_id.get(act_id) or self._events_by_origin.get(act_id)

    def events_about(self, item: str) -> list[FeedbackEvent]:
        """Return the events that decide an item: its ratings, their withdrawals, its jury invitations and changes of status."""
        with self._lock:
            return list(self._events_by_item.get(item, ()))

    def has_item(self, item: str) -> bool:
        """Return whether any event judges this item or created it."""
        return item in self._events_by_item or item in self._authoring_events

    def get_note(self, note_id: str) -> Note:
        """Return a note. Raises NotFound if there is none or if it was withdrawn."""
        event = self._authoring_events.get(note_id)
        if not isinstance(event, Note) or event.id in self._withdrawals:
            raise NotFound(f"There is no note {note_id[:100]!r}.", advice="It may have been retracted.")
        return event

    def list_notes(self) -> list[Note]:
        """Return the notes that were not withdrawn, oldest first."""
        with self._lock:
            notes = [event for event in self._authoring_events.values() if isinstance(event, Note)]
            return [note for note in notes if note.id not in self._withdrawals]

    def authoring_event(self, item: str) -> Note | Edit | None:
        """Return the note or edit that created this item, withdrawn or not; None for a model's answer."""
        return self._authoring_events.get(item)

    def author_pseudonym(self, item: str) -> str | None:
        """Return the pseudonym of the person who wrote this note or edit; None for a model's answer."""
        event = self._authoring_events.get(item)
        return event.actor if event else None

    def is_note(self, item: str) -> bool:
        """Return whether this item is a note."""
        return isinstance(self._authoring_events.get(item), Note)

    def withdrawal_of(self, event_id: str) -> Retraction | Removal | None:
        """Return the retraction or removal that withdrew an event, or None."""
        return self._withdrawals.get(event_id)

    def has_rated(self, actor: str, item: str) -> bool:
        """Return whether this person has a rating of this item that was not withdrawn."""
        with self._lock:
            ratings = (event for event in self._events_by_item.get(item, ()) if isinstance(event, Rating))
            return any(rating.actor == actor and rating.id not in self._withdrawals for rating in ratings)

    def admissions_of(self, account: str) -> list[Admission]:
        """Return the admissions of an account that were not withdrawn."""
        with self._lock:
            return [admission for admission in self._admissions.get(account, ()) if admission.id not in self._withdrawals]

    def was_admitted(self, account: str) -> bool:
        """Return whether an admission of the account was ever recorded, withdrawn or not."""
        with self._lock:
            return account in self._admissions

    def accounts_without_admission(self) -> set[str]:
        """Return the accounts with a rating or a comparison of which no admission was ever recorded."""
        with self._lock:
            return self.judgements.num_judged_by_actor().keys() - self._admissions.keys()

    def counts_at_once(self, account: str) -> bool:
        """Return whether an account counts from its first judgement, because an administrator let it in."""
        return any(admission.basis in COUNT_AT_ONCE for admission in self.admissions_of(account))

    def active_juries(self, item: str) -> list[JuryInvitation]:
        """Return the jury invitations for an item that were not withdrawn."""
        with self._lock:
            invitations = (event for event in self._events_by_item.get(item, ()) if isinstance(event, JuryInvitation))
            return [jury for jury in invitations if jury.id not in self._withdrawals]

    def jurors_who_rated(self, jury: JuryInvitation) -> set[str]:
        """Return the jurors who rated the item after the invitation and did not withdraw the rating."""
        with self._lock:
            ratings = (event for event in self._events_by_item.get(jury.item, ()) if isinstance(event, Rating))
            raters = {r.actor for r in ratings if r.created_utc >= jury.created_utc and r.id not in self._withdrawals}
        return raters & set(jury.jurors)

    def pending_jury_items(self, actor: str) -> list[str]:
        """Return the items that this person is invited to judge as a juror and has not rated yet, newest first."""
        with self._lock:
            invitations = [jury for jury in self._jury_invitations if actor in jury.jurors and jury.id not in self._withdrawals]
            pending = (jury.item for jury in reversed(invitations) if actor not in self.jurors_who_rated(jury))
            return list(dict.fromkeys(pending))

    def last_change_sequence(self, item: str) -> int:
        """Return the number of the newest entry that changed an item's ratings or juries; 0 if there is none."""
        return self._last_change_by_item.get(item, 0)

    def items_changed_after(self, sequence: int) -> dict[str, int]:
        """Return the items whose ratings or juries changed after an entry, with the number of the newest change."""
        with self._lock:
            return {item: newest for item, newest in self._last_change_by_item.items() if newest > sequence}

    def next_event_utc(self) -> datetime:
        """Return the time for a new event: now, or just after the newest event if the clock is behind it."""
        with self._lock:
            return max(now_utc(), self._newest_utc + MIN_TIME_STEP)

    def _index_event(self, event: FeedbackEvent, sequence: int) -> None:
        self._events.append(event)
        self._by_id[event.id] = event
        if event.origin:
            self._events_by_origin.setdefault(event.origin, event)
        self._newest_utc = max(self._newest_utc, event.created_utc)
        if isinstance(event, StatusChange):
            self._events_by_item.setdefault(event.item, []).append(event)
            return
        self._last_act_sequence = sequence
        if isinstance(event, Rating | Comparison):
            self.judgements.add(event)
        if isinstance(event, Admission):
            self._admissions.setdefault(event.account, []).append(event)
        if isinstance(event, Retraction | Removal):
            self._index_withdrawal(event, sequence)
        elif isinstance(event, Rating | JuryInvitation):
            self._index_under_item(event.item, event, sequence)
            if isinstance(event, JuryInvitation):
                self._jury_invitations.append(event)
        elif isinstance(event, Note):
            self._events_by_item.setdefault(event.item, [])
            self._authoring_events.setdefault(event.note, event)  # a later event cannot take over the text of an earlier one
            self._last_change_by_item[event.note] = sequence
        elif isinstance(event, Edit):
            self._events_by_item.setdefault(event.item, [])
            self._authoring_events.setdefault(event.result, event)
        elif isinstance(event, Comparison):
            for item in (event.left, event.right):
                self._events_by_item.setdefault(item, [])

    def _index_withdrawal(self, event: Retraction | Removal, sequence: int) -> None:
        target = self._by_id.get(event.event)
        if target is None or withdrawal_error(event, target):
            return  # without effect; the consensus lists it with its reason
        self._withdrawals.setdefault(target.id, event)
        if isinstance(target, Rating | Comparison):
            self.judgements.withdraw(target)
        if isinstance(target, Rating | JuryInvitation):
            self._index_under_item(target.item, event, sequence)

    def _index_under_item(self, item: str, event: FeedbackEvent, sequence: int) -> None:
        self._events_by_item.setdefault(item, []).append(event)
        self._last_change_by_item[item] = sequence
