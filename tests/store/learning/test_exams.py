"""Exam runs and gate decisions: stored once, finished only if complete, and resumable."""

from __future__ import annotations

import pytest

from tests.store.examples import make_graded, start_exam
from yearling.errors import Conflict, NotFound
from yearling.store import Store


def test_graded_samples_round_trip(store: Store) -> None:
    run = start_exam(store)
    samples = [make_graded("b"), make_graded("a", 1, score=-1.0), make_graded("a", 0, logprobs=(), output_ids=())]
    store.exams.add_samples(run.id, samples)
    assert store.exams.list_samples(run.id) == (samples[2], samples[1], samples[0])
    assert store.exams.stored_sample_keys(run.id) == {("a", 0), ("a", 1), ("b", 0)}
    assert store.exams.list_lowest_scoring(run.id, 1) == (samples[1],)


def test_duplicate_sample_refuses_the_whole_batch(store: Store) -> None:
    run = start_exam(store)
    store.exams.add_samples(run.id, [make_graded("a")])
    with pytest.raises(Conflict):
        store.exams.add_samples(run.id, [make_graded("b"), make_graded("a")])
    assert store.exams.stored_sample_keys(run.id) == {("a", 0)}


def test_run_is_finished_once_and_only_if_complete(store: Store) -> None:
    run = start_exam(store)
    store.exams.add_samples(run.id, [make_graded("a")])
    with pytest.raises(Conflict, match="incomplete"):
        store.exams.finish_run(run.id, {})
    criteria = {"exam_hash": run.exam_hash, "subject": "engine", "model_hash": run.model_hash}
    assert store.exams.find_unfinished(**criteria, seed=0) == run
    assert store.exams.find_unfinished(**criteria, seed=1) is None
    store.exams.add_samples(run.id, [make_graded("b")])
    finished = store.exams.finish_run(run.id, {"score": 0.5})
    assert finished.finished_utc is not None
    assert finished.summary == {"score": 0.5}
    assert store.exams.find_unfinished(**criteria, seed=0) is None
    with pytest.raises(Conflict, match="already finished"):
        store.exams.finish_run(run.id, {})


def test_run_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    run = start_exam(store)
    assert store.exams.get(run.id[:-3]) == run
    for unknown in ("zz", "", "%"):
        with pytest.raises(NotFound):
            store.exams.get(unknown)
    start_exam(store)
    with pytest.raises(Conflict):
        store.exams.get(run.id[:6])
    assert len(store.exams.list(exam="letters", model_hash=run.model_hash)) == 2
    assert store.exams.list(exam="other") == []
    store.exams.delete(run.id)
    assert [other.id for other in store.exams.list()] != [run.id]


def test_gate_decisions_are_stored_and_audited(store: Store) -> None:
    record = store.gates.record(champion="a", challenger="b", decision="REJECT", body={"é": [1.5]}, actor="owner")
    assert store.gates.list(challenger="b") == [record]
    assert store.gates.list(challenger="a") == []
    assert list(store.audit.entries())[-1].action == "gate.decide"
