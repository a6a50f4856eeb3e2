"""The evidence of a recorded gate is computed again from stored runs, and a number that they do not give is found."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.evals.sample_exams import make_exam
from tests.evals.test_preference_correlation import record_consensus
from tests.loop.test_gating import BOUNDS, NEW, NEW_HASH, OLD, OLD_HASH, TARGET, add_spec_run, gate, store, take
from yearling.loop import recompute_evidence
from yearling.loop.referee.differences import find_difference
from yearling.release import parse_rules
from yearling.store import GateRecord, Store

__all__ = ["store"]

MORE = BOUNDS + (
    '[[rule]]\nid = "preference"\nversion = 1\nkind = "preference"\nrole = "target"\n'
    '[[rule]]\nid = "floor"\nversion = 1\nkind = "floor"\nexam = "numbers"\nstatistic = "worst"\nmin = 0.1\n'
    '[[rule]]\nid = "kl"\nversion = 1\nkind = "kl"\nmax = 0.5\n'
)


async def test_all_kinds_of_evidence_come_out_again_and_a_wrong_number_is_found(store: Store, tmp_path: Path) -> None:
    await take(store, make_exam(30), OLD, NEW)
    add_spec_run(store, OLD_HASH, 0)
    add_spec_run(store, NEW_HASH, 0)
    record_consensus(store, [OLD_HASH, NEW_HASH])
    record = gate(store, MORE).record
    rules = parse_rules(f"version = 1\n{TARGET}{MORE}")

    def differences(changed: GateRecord) -> dict[str, str]:
        evidence, _ = recompute_evidence(store, rules, changed)
        stored = changed.body["evidence"]
        assert isinstance(stored, dict)
        values = {rule: {name: value for name, value in found.items() if name != "type"} for rule, found in stored.items()}
        found = {rule: find_difference(values[rule], asdict(each)) for rule, each in evidence.by_rule.items()}
        return {rule: difference for rule, difference in found.items() if difference}

    _, taken = recompute_evidence(store, rules, record)
    assert set(taken) == {"preference", "kl"}
    assert differences(record) == {}
    for rule, name in (("numbers", "p_better"), ("numbers", "difference"), ("bounds", "p_more"), ("floor", "value")):
        stored: Any = record.body["evidence"]
        evidence = {key: dict(value) for key, value in stored.items()}
        evidence[rule][name] += 0.001
        found = differences(replace(record, body={**record.body, "evidence": evidence}))
        assert list(found) == [rule]
        assert name in found[rule]
