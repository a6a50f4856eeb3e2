"""Jobs as records: taken once, queued again, cancelled, and never changed after their end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import MAX_JOB_OPTIONS_BYTES, MAX_QUEUED_JOBS, Job, Store
from yearling.store.learning import jobs as module

MACHINE, OTHER = new_id(), new_id()


def make(store: Store, **values: object) -> Job:
    return store.jobs.create("exam", {"exam": "constraints", **values}, person_id=store.people.owner().id)


def test_oldest_job_is_taken_once(store: Store) -> None:
    first, second = make(store, seed=1), make(store, seed=2)
    taken = store.jobs.claim(MACHINE)
    assert taken is not None
    assert (taken.id, taken.state, taken.machine, taken.attempts) == (first.id, "running", MACHINE, 1)
    again = store.jobs.claim(OTHER)
    assert again is not None
    assert again.id == second.id
    assert store.jobs.claim(MACHINE) is None
    assert [job.id for job in store.jobs.list()] == [second.id, first.id]
    assert [job.id for job in store.jobs.list(states={"running"}, machine=OTHER)] == [second.id]
    assert store.jobs.list(kind="train") == []


def test_job_waits_for_its_time_and_its_machine(store: Store) -> None:
    later = store.jobs.create("exam", {}, person_id=None, not_before_utc=now_utc() + timedelta(hours=1))
    assert store.jobs.next_due(MACHINE) is None
    job = make(store)
    assert store.jobs.claim(MACHINE) is not None
    assert store.jobs.requeue(job.id, "The power failed.", is_crash=True, cpu_s=3.0)
    assert store.jobs.next_due(OTHER) is None  # what it left behind lies on the other machine
    waiting = store.jobs.next_due(MACHINE)
    assert waiting is not None
    assert (waiting.id, waiting.reason, waiting.crashes, waiting.cpu_s) == (job.id, "The power failed.", 1, 3.0)
    assert store.jobs.get(later.id).state == "queued"


def test_progress_ends_a_row_of_crashes(store: Store) -> None:
    job = make(store)
    store.jobs.claim(MACHINE)
    store.jobs.requeue(job.id, "", is_crash=True)
    store.jobs.claim(MACHINE)
    store.jobs.report(job.id, fraction=0.0, progress="as before", remaining_s=None, cpu_s=1.0)
    assert store.jobs.get(job.id).crashes == 1
    store.jobs.report(job.id, fraction=0.5, progress="x" * 3000, remaining_s=9.5, cpu_s=2.0)
    reported = store.jobs.get(job.id)
    assert (reported.crashes, reported.fraction, reported.remaining_s, reported.cpu_s) == (0, 0.5, 9.5, 2.0)
    assert len(reported.progress) == 2000


def test_ended_job_stays_as_it_is(store: Store) -> None:
    job = make(store)
    assert not store.jobs.finish(job.id, "done", result={})  # it does not run
    store.jobs.claim(MACHINE)
    assert store.jobs.finish(job.id, "done", result={"run": "a"}, cpu_s=4.0)
    assert not store.jobs.finish(job.id, "failed", error="late")
    assert not store.jobs.requeue(job.id, "late", is_crash=True)
    store.jobs.report(job.id, fraction=0.1, progress="late", remaining_s=1.0, cpu_s=9.0)
    ended = store.jobs.get(job.id)
    assert (ended.state, ended.result, ended.fraction, ended.cpu_s, ended.error) == ("done", {"run": "a"}, 1.0, 4.0, "")
    with pytest.raises(Conflict, match="done already"):
        store.jobs.request_cancel(job.id, actor="x")


def test_cancelling(store: Store) -> None:
    queued, running = make(store), make(store)
    assert store.jobs.request_cancel(queued.id, actor="x").state == "cancelled"
    store.jobs.claim(MACHINE)
    asked = store.jobs.request_cancel(running.id, actor="x")
    assert asked.state == "running"
    assert asked.cancel_utc is not None
    assert store.jobs.request_cancel(running.id, actor="x").cancel_utc == asked.cancel_utc
    actions = [entry.action for entry in store.audit.entries() if entry.action.startswith("job.")]
    assert actions == ["job.create", "job.create", "job.cancel", "job.cancel"]
    with pytest.raises(NotFound):
        store.jobs.request_cancel("no job", actor="x")


def test_asking_again_ends_a_job_whose_machine_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make(store)
    store.jobs.claim(MACHINE)
    store.jobs.request_cancel(job.id, actor="x")
    assert store.jobs.request_cancel(job.id, actor="x").state == "running"
    monkeypatch.setattr(module, "now_utc", lambda: now_utc() + timedelta(minutes=6))
    assert store.jobs.request_cancel(job.id, actor="x").state == "cancelled"


def test_jobs_are_found_by_parts_of_their_ids(store: Store) -> None:
    first, second = make(store), make(store)
    assert store.jobs.find(first.id[-12:]).id == first.id
    assert store.jobs.find(first.id).id == first.id
    assert store.jobs.find("latest").id == second.id
    for name in ("%", "", "x", "'"):
        with pytest.raises(NotFound):
            store.jobs.find(name)
    with pytest.raises(BadInput, match="Several jobs"):
        store.jobs.find(first.id[:8])


def test_ceilings(store: Store) -> None:
    with pytest.raises(BadInput, match="bytes"):
        make(store, text="x" * MAX_JOB_OPTIONS_BYTES)
    for number in range(MAX_QUEUED_JOBS):
        make(store, seed=number)
    with pytest.raises(Conflict, match="wait already"):
        make(store)


def test_job_outlives_the_person_who_started_it(store: Store) -> None:
    person = store.people.add("Ada", "maintainer")
    job = store.jobs.create("exam", {}, person_id=person.id)
    store.delete_person(person.id, actor=store.people.owner().id)
    assert store.jobs.get(job.id).person_id is None
