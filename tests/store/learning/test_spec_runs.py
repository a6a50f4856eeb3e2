"""Runs of the behaviour spec: outputs, triage and disputes."""

from __future__ import annotations

from typing import Any

import pytest

from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import SpecOutput, SpecRun, Store

UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


def make_output(**changes: Any) -> SpecOutput:
    values: dict[str, Any] = {
        "clause": "calibrated",
        "case_id": "truth.idk.001",
        "twin": 0,
        "draw": 0,
        "messages": ({"role": "user", "content": "In what year? 哪一年？"},),
        "output_text": "1648 \x00 年",
        "label": "confident_wrong",
        "evidence": "no hedge",
        "score": -2.0,
        "triage": "bug",
        "sample_id": UNKNOWN,
    }
    return SpecOutput(**{**values, **changes})


def add_run(store: Store, *outputs: SpecOutput) -> SpecRun:
    return store.spec_runs.add(
        outputs,
        model="tiny",
        model_hash="ab" * 32,
        spec_version="v1",
        cases_hash="cd" * 32,
        settings={"temperature": 0.0},
        summary={"calibrated": {"bug": 1}},
    )


def test_run_and_outputs_round_trip(store: Store) -> None:
    outputs = (
        make_output(),
        make_output(twin=1, triage="passed", score=1.0),
        make_output(draw=1, clause="brief", triage="gap", score=0.0),
    )
    run = add_run(store, *outputs)
    assert store.spec_runs.get(run.id) == run
    stored = store.spec_runs.list_outputs(run.id)
    assert [(output.twin, output.draw, output.output_text, output.messages) for output in stored] == [
        (output.twin, output.draw, output.output_text, output.messages) for output in outputs
    ]
    assert [output.triage for output in store.spec_runs.list_outputs(run.id, clause="calibrated")] == ["bug", "passed"]
    assert [output.draw for output in store.spec_runs.list_outputs(run.id, triage="gap")] == [1]
    assert store.spec_runs.list_outputs(run.id, after=stored[0].id, limit=1) == stored[1:2]
    assert [output.score for output in store.spec_runs.list_lowest_scoring(run.id, limit=2)] == [-2.0, 0.0]
    assert store.spec_runs.get_output(stored[0].id) == stored[0]
    later = add_run(store)
    assert store.spec_runs.list() == [later, run]
    assert store.spec_runs.list(limit=1) == [later]
    with pytest.raises(NotFound):
        store.spec_runs.get(UNKNOWN)


def test_run_with_duplicate_outputs_is_not_stored(store: Store) -> None:
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        add_run(store, make_output(), make_output())
    assert store.spec_runs.list() == []


def test_each_person_can_dispute_a_triage_once(store: Store) -> None:
    run = add_run(store, make_output())
    (output,) = store.spec_runs.list_outputs(run.id)
    owner, guest = store.people.owner(), store.people.add("Ada")
    first = store.spec_runs.add_dispute(output.id, owner.id, "policy", "It is what the clause asks for.")
    second = store.spec_runs.add_dispute(output.id, guest.id, "gap", "条款没有说。")
    assert store.spec_runs.list_disputes() == (first, second)
    assert store.spec_runs.list_disputes(run_id=run.id) == (first, second)
    assert store.spec_runs.list_disputes(output_id=UNKNOWN) == ()
    assert store.spec_runs.list_disputes(run_id=UNKNOWN) == ()
    entry = store.audit.entries()[-1]
    assert (entry.actor, entry.action, entry.subject) == (guest.id, "spec.dispute", output.id)
    assert entry.detail == {"case": "truth.idk.001", "triage": "bug", "claim": "gap"}
    with pytest.raises(Conflict):
        store.spec_runs.add_dispute(output.id, guest.id, "passed", "Again.")
    assert len(store.spec_runs.list_disputes()) == 2


@pytest.mark.parametrize(
    ("claim", "reason", "param"),
    [("bug", "It is.", "claim"), ("nonsense", "It is.", "claim"), ("gap", "  ", "reason"), ("gap", "x" * 4001, "reason")],
)
def test_invalid_disputes_are_refused(store: Store, claim: Any, reason: str, param: str) -> None:
    run = add_run(store, make_output())
    (output,) = store.spec_runs.list_outputs(run.id)
    with pytest.raises(BadInput) as raised:
        store.spec_runs.add_dispute(output.id, store.people.owner().id, claim, reason)
    assert raised.value.param == param
    assert store.spec_runs.list_disputes() == ()
    with pytest.raises(NotFound):
        store.spec_runs.add_dispute(UNKNOWN, store.people.owner().id, "gap", "Why.")
