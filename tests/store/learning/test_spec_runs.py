from __future__ import annotations

from typing import Any

import pytest

from yearling.errors import BadInput, Conflict, NotFound
from yearling.store import SpecOutput, SpecRun, Store

UNKNOWN = "0190a3e0-0000-7000-8000-000000000000"


def an_output(**changes: Any) -> SpecOutput:
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


def keep(store: Store, *outputs: SpecOutput) -> SpecRun:
    return store.spec_runs.add(
        outputs,
        model="tiny",
        model_hash="ab" * 32,
        spec_version="v1",
        cases_hash="cd" * 32,
        settings={"temperature": 0.0},
        summary={"calibrated": {"bug": 1}},
    )


def test_a_run_comes_back_as_it_was_kept(store: Store) -> None:
    outputs = (
        an_output(),
        an_output(twin=1, triage="passed", score=1.0),
        an_output(draw=1, clause="brief", triage="gap", score=0.0),
    )
    run = keep(store, *outputs)
    assert store.spec_runs.get(run.id) == run
    kept = store.spec_runs.list_outputs(run.id)
    assert [(one.twin, one.draw, one.output_text, one.messages) for one in kept] == [
        (one.twin, one.draw, one.output_text, one.messages) for one in outputs
    ]
    assert [one.triage for one in store.spec_runs.list_outputs(run.id, clause="calibrated")] == ["bug", "passed"]
    assert [one.draw for one in store.spec_runs.list_outputs(run.id, triage="gap")] == [1]
    assert store.spec_runs.list_outputs(run.id, after=kept[0].id, limit=1) == kept[1:2]
    assert [one.score for one in store.spec_runs.list_lowest_scoring(run.id, limit=2)] == [-2.0, 0.0]
    assert store.spec_runs.get_output(kept[0].id) == kept[0]
    later = keep(store)
    assert store.spec_runs.list() == [later, run]
    assert store.spec_runs.list(limit=1) == [later]
    with pytest.raises(NotFound):
        store.spec_runs.get(UNKNOWN)


def test_the_same_output_twice_keeps_nothing(store: Store) -> None:
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        keep(store, an_output(), an_output())
    assert store.spec_runs.list() == []


def test_a_triage_can_be_disputed_once_by_each_person(store: Store) -> None:
    run = keep(store, an_output())
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
def test_disputes_that_say_nothing_are_refused(store: Store, claim: Any, reason: str, param: str) -> None:
    run = keep(store, an_output())
    (output,) = store.spec_runs.list_outputs(run.id)
    with pytest.raises(BadInput) as told:
        store.spec_runs.add_dispute(output.id, store.people.owner().id, claim, reason)
    assert told.value.param == param
    assert store.spec_runs.list_disputes() == ()
    with pytest.raises(NotFound):
        store.spec_runs.add_dispute(UNKNOWN, store.people.owner().id, "gap", "Why.")
