"""Records of lesson sets: versions, sources and the current set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.examples import make_sample
from yearling.errors import NotFound
from yearling.store import LessonSource, Store

SOURCES = [
    LessonSource(part="train", kind="pair", key="k1", event_ids=("e1", "e2")),
    LessonSource(part="heldout", kind="prompt", key="k2", event_ids=()),
]


def manifest(number: int) -> dict[str, Any]:
    return {
        "hash": f"{number:x}" * 64,
        "version": number,
        "created_utc": f"2026-03-0{number}T10:00:00+00:00",
        "counts": {"train": {"pair": 1}},
        "consensus": {"run": number},
    }


def test_set_is_found_by_version_hash_and_event(store: Store) -> None:
    first = store.lesson_sets.record(manifest(1), {"seen": 3}, SOURCES)
    second = store.lesson_sets.record(manifest(2), {}, [])
    assert store.lesson_sets.list() == [first, second]
    assert (first.report, first.manifest) == ({"seen": 3}, manifest(1))
    assert store.lesson_sets.get("1") == store.lesson_sets.get("1" * 6) == first
    assert store.lesson_sets.list_sources(first.hash) == SOURCES
    assert store.lesson_sets.list_sources(second.hash) == []
    assert store.lesson_sets.lessons_from_events(["e2", "e9"]) == {first.hash: SOURCES[:1]}
    assert store.lesson_sets.lessons_from_events(["e9"]) == {}
    for unknown in ("3", "22222", "", "0" * 64):
        with pytest.raises(NotFound):
            store.lesson_sets.get(unknown)
    with pytest.raises(NotFound):
        store.lesson_sets.list_sources("0" * 64)


def test_current_set_is_the_last_one_recorded(store: Store) -> None:
    assert store.lesson_sets.get_current() is None
    first = store.lesson_sets.record(manifest(1), {"seen": 3}, SOURCES)
    second = store.lesson_sets.record(manifest(2), {}, [])
    assert store.lesson_sets.get_current() == second
    assert store.lesson_sets.record({**manifest(1), "version": 3}, {"seen": 9}, []) == first
    assert store.lesson_sets.get_current() == first
    assert store.lesson_sets.list_sources(first.hash) == SOURCES
    assert [entry.subject for entry in store.audit.entries() if entry.action == "lessons.build"] == [
        first.hash,
        second.hash,
        first.hash,
    ]


def test_blobs_of_a_set_are_not_collected(store: Store) -> None:
    record = store.lesson_sets.record(manifest(1), {}, SOURCES)
    assert store.blobs.collect_garbage(grace_period_s=0) == []
    assert store.verify().ok
    assert store.lesson_sets.list_sources(record.hash) == SOURCES


def test_samples_and_conversations_of_all_people_by_sample_id(store: Store) -> None:
    owner, guest = store.people.owner(), store.people.add("guest")
    samples = [make_sample(owner.id), make_sample(guest.id), make_sample(guest.id)]
    store.samples.add_many(samples)
    conversation = store.conversations.create(guest.id)
    store.conversations.add_message(
        conversation.id, person_id=guest.id, role="assistant", content="words", sample_id=samples[1].id
    )
    ids = [sample.id for sample in samples]
    assert store.samples.get_many([*ids, "unknown"]) == {sample.id: sample for sample in samples}
    assert store.conversations.conversation_ids_by_sample([*ids, "unknown"]) == {samples[1].id: conversation.id}
    assert store.samples.get_many([]) == {}
    assert store.conversations.conversation_ids_by_sample([]) == {}
