"""How many lessons wait for the next training: what a build would give at most from today's consensus, and nobody trained on yet.

The consensus and the sets that runs trained on are looked through once; whether the words are still there, at each call, since
they can be withdrawn at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from yearling.errors import NotFound
from yearling.feedback import Comparison, Edit, EventIndex, ItemResult, LiveConsensus, NoteRating, Rating, Snapshot
from yearling.store import Store

LESSONS_GOAL = 20
"""Number of new lessons from which a training run can be expected to show anything."""

Subject = tuple[str, ...]
"""What a lesson is about: one item, or two items in alphabetical order."""


class LessonProgress:
    """Counts the lessons of one server, and remembers what it found out about the newest consensus run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[object, ...] = ()
        self._subjects: tuple[Subject, ...] = ()

    def count(self, store: Store, consensus: LiveConsensus) -> int:
        """The number of lessons that wait. Blocks on the disk. Raises StorageFailed."""
        subjects = self._waiting_subjects(store, consensus)
        items = sorted({item for subject in subjects for item in subject})
        with_words = store.texts.existing_ids(items)
        with_words |= store.samples.ids_with_words([item for item in items if item not in with_words])
        return sum(1 for subject in subjects if with_words.issuperset(subject))

    def _waiting_subjects(self, store: Store, consensus: LiveConsensus) -> tuple[Subject, ...]:
        run = consensus.latest_run
        trained_sets = sorted({run.lesson_set for run in store.runs.list() if run.lesson_set and run.step > 0})
        key = (run.record.sequence, *trained_sets)
        with self._lock:
            if key != self._key:
                with consensus.log.index.consistent_view() as index:
                    wanted = find_lesson_subjects(run.snapshot, index)
                    self._subjects = tuple(sorted(wanted - _trained_subjects(store, index, trained_sets)))
                self._key = key
            return self._subjects


def has_weight(result: ItemResult) -> bool:
    """Return whether a lesson can be made of the item's ratings."""
    return result.weight > 0.0


def find_lesson_subjects(snapshot: Snapshot, index: EventIndex) -> set[Subject]:
    """Return what lessons can be about: items and pairs with a weight, and edits. Notes are never lessons."""
    subjects: set[Subject] = {(result.item,) for result in snapshot.items if has_weight(result)}
    subjects |= {_pair(pair.better, pair.worse) for pair in snapshot.pairs if pair.weight > 0.0}
    subjects |= {
        _pair(event.item, event.result)
        for event in index.events()
        if isinstance(event, Edit) and index.withdrawal_of(event.id) is None
    }
    return {subject for subject in subjects if not any(index.is_note(item) for item in subject)}


def _trained_subjects(store: Store, index: EventIndex, set_hashes: Iterable[str]) -> set[Subject]:
    subjects: set[Subject] = set()
    for set_hash in set_hashes:
        try:
            sources = store.lesson_sets.list_sources(set_hash)
        except NotFound:  # trained on a set from elsewhere
            continue
        for event_id in {event_id for source in sources for event_id in source.event_ids}:
            event = index.find_event(event_id)
            if isinstance(event, Comparison):
                subjects.add(_pair(event.left, event.right))
            elif isinstance(event, Edit):
                subjects.add(_pair(event.item, event.result))
            elif isinstance(event, Rating | NoteRating):
                subjects.add((event.item,))
    return subjects


def _pair(first: str, second: str) -> Subject:
    return (first, second) if first < second else (second, first)
