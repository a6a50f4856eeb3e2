"""Gates over stored runs: which runs count, what is missing, and that a recorded decision can be decided again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.sample_exams import UnprovenContains, make_exam, wrong_on
from tests.evals.test_preference_correlation import record_consensus
from yearling.chat import load_spec
from yearling.config import Settings
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.evals import AssistantSubject, EngineSubject, Exam, run_exam
from yearling.inference import ServedModel
from yearling.loop import GateOutcome, decide_what_if, gate_challenger, replay_gate, resolve_model_hash
from yearling.release import default_rules_text, parse_rules
from yearling.store import ExamRun, SpecOutput, Store

OLD, NEW = wrong_on(*range(0, 60, 3)), wrong_on(1)
OLD_HASH, NEW_HASH = AssistantSubject(OLD).model_hash, AssistantSubject(NEW).model_hash

TARGET = '[[rule]]\nid = "numbers"\nversion = 1\nkind = "exam"\nrole = "target"\nexam = "numbers"\n'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


async def take(store: Store, exam: Exam, *models: ServedModel) -> list[ExamRun]:
    return [await run_exam(exam, AssistantSubject(served), store, concurrency=16) for served in models]


def gate(store: Store, more: str = "", *, target: str = TARGET, **changes: Any) -> GateOutcome:
    rules = parse_rules(f"version = 1\n{target}{more}")
    values = {"champion": OLD_HASH, "challenger": NEW_HASH, "actor": "ann", **changes}
    return gate_challenger(store, rules, **values)


def reason(outcome: GateOutcome, rule: str) -> str:
    return next(finding.why for finding in outcome.verdict.findings if finding.rule == rule)


async def test_newest_comparable_runs_decide_and_the_record_says_all(store: Store) -> None:
    exam = make_exam(60)
    champion, challenger = await take(store, exam, OLD, NEW)
    await take(store, make_exam(4), NEW)
    outcome = gate(store)
    assert outcome.verdict.decision == "ALLOW"
    (record,) = store.gates.list(challenger=NEW_HASH)
    assert record == outcome.record
    (finding,) = json.loads(json.dumps(record.body["findings"]))
    assert (finding["champion_run"], finding["challenger_run"]) == (champion.id, challenger.id)
    assert (finding["paired"]["wins"], finding["p_adjusted"]) == (20, finding["paired"]["p_better"])
    assert record.body["rules_sha256"] == outcome.verdict.rules_sha256
    assert {"program_version", "overridable", "summary", "evidence"} <= set(record.body)
    assert len(outcome.sha256) == 64
    assert store.audit.entries()[-1].action == "gate.decide"


async def test_recorded_gate_is_decided_again_and_a_change_is_found(store: Store) -> None:
    await take(store, make_exam(60), OLD, NEW)
    rules = parse_rules(f"version = 1\n{TARGET}")
    record = gate(store).record
    assert replay_gate(rules, record).decision == "ALLOW"
    with pytest.raises(Untrusted, match="decides ALLOW now; REJECT is recorded"):
        replay_gate(rules, replace(record, decision="REJECT"))
    changed = json.loads(json.dumps(record.body))
    changed["evidence"]["numbers"]["p_better"] = 0.5
    with pytest.raises(Untrusted):
        replay_gate(rules, replace(record, body=changed))
    with pytest.raises(Untrusted, match="no evidence"):
        replay_gate(rules, replace(record, body={}))


async def test_runs_that_do_not_pair_up_are_not_compared(store: Store) -> None:
    assert "on champion and challenger: run `yearling exam run numbers --model MODEL`" in reason(gate(store), "numbers")
    await take(store, make_exam(6), OLD)
    assert "No finished run of numbers on the challenger" in reason(gate(store), "numbers")
    await take(store, make_exam(6, sampling={"temperature": 1.0}), NEW)
    outcome = gate(store)
    assert (outcome.verdict.decision, "do not pair up" in reason(outcome, "numbers")) == ("INCONCLUSIVE", True)


async def test_runs_of_the_bare_model_and_short_runs_do_not_count(store: Store) -> None:
    for served in (OLD, NEW):
        await run_exam(make_exam(60), EngineSubject(served), store)
    assert gate(store).verdict.decision == "INCONCLUSIVE"
    await take(store, make_exam(60), OLD, NEW)
    target = TARGET + "min_cases = 61\n"
    assert "with at least 61 cases" in reason(gate(store, target=target), "numbers")


async def test_exam_without_power_decides_nothing(store: Store) -> None:
    await take(store, make_exam(60, grader=UnprovenContains()), OLD, NEW)
    outcome = gate(store)
    assert outcome.verdict.decision == "INCONCLUSIVE"
    assert "because its grader (contains@1) has not passed its own exam" in reason(outcome, "numbers")


async def test_same_model_is_never_allowed(store: Store) -> None:
    await take(store, make_exam(60), OLD, NEW)
    outcome = gate(store, champion=NEW_HASH)
    assert (outcome.verdict.decision, outcome.verdict.overridable) == ("INCONCLUSIVE", False)


async def test_targets_without_a_result_count_in_the_correction(store: Store) -> None:
    await take(store, make_exam(60), wrong_on(1, 2, 3, 4, 5), wrong_on())
    models = {
        "champion": AssistantSubject(wrong_on(1, 2, 3, 4, 5)).model_hash,
        "challenger": AssistantSubject(wrong_on()).model_hash,
    }
    assert gate(store, **models).verdict.decision == "ALLOW"
    more = TARGET.replace('"numbers"', '"other"')
    outcome = gate(store, more, **models)
    assert outcome.verdict.decision == "INCONCLUSIVE", "naming two targets and running one is no way to a lower level"
    assert reason(outcome, "numbers").startswith("No proven difference on numbers: +8.3 points")


def test_blind_comparisons_are_a_target(store: Store) -> None:
    rules = '[[rule]]\nid = "preference"\nversion = 1\nkind = "preference"\nrole = "target"\n'
    assert "Nobody has compared the two models blind" in reason(gate(store, target=rules), "preference")
    record_consensus(store, [OLD_HASH, NEW_HASH])
    outcome = gate(store, target=rules)
    assert outcome.verdict.summary.startswith("Not proven: 1 judgement is too few to show any gain")


async def test_floors_read_the_challengers_newest_run(store: Store) -> None:
    await take(store, make_exam(60), OLD, NEW)
    floor = '[[rule]]\nid = "{id}"\nversion = 1\nkind = "floor"\nexam = "{exam}"\nstatistic = "{statistic}"\nmin = {low}\n'
    rows = [("a", "numbers", "mean", 0.98), ("b", "numbers", "worst", 0.99), ("c", "numbers", "answered", 1)]
    outcome = gate(store, "".join(floor.format(id=name, exam=exam, statistic=which, low=low) for name, exam, which, low in rows))
    decisions = {finding.rule: finding.decision for finding in outcome.verdict.findings}
    assert (decisions["a"], decisions["b"], decisions["c"]) == ("ALLOW", "REJECT", "ALLOW")
    assert reason(outcome, "b") == "The mean of the worst answers on numbers is 0.983; at least 0.99 is required."
    missing = gate(store, floor.format(id="d", exam="nothing", statistic="mean", low=0))
    assert "on the challenger: run `yearling exam run nothing --model MODEL`" in reason(missing, "d")


BOUNDS = '[[rule]]\nid = "bounds"\nversion = 1\nkind = "bounds"\nknown = "tolerate"\n'


def add_spec_run(store: Store, model_hash: str, *bugs: int, cases: int | None = None, cases_hash: str = "") -> None:
    """A run of all cases of the level `bound`, with bugs at these places."""
    spec = load_spec()
    levels = {clause.id: clause.level for clause in spec.clauses}
    keys = [
        (case, twin)
        for case in spec.cases
        if levels[case.clause] == "bound" and case.judge != "person"
        for twin in range(len(case.twins))
    ]
    outputs = [
        SpecOutput(
            clause=case.clause, case_id=case.id, twin=twin, draw=0, messages=(), output_text="x", label="x", evidence="",
            score=0.0, triage="bug" if place in bugs else "passed",
        )
        for place, (case, twin) in enumerate(keys[:cases])
    ]  # fmt: skip
    store.spec_runs.add(
        outputs, model=model_hash, model_hash=model_hash, spec_version=spec.version,
        cases_hash=cases_hash or spec.cases_hash, settings={}, summary={},
    )  # fmt: skip


def test_bounds_compare_whole_runs_of_the_present_spec(store: Store) -> None:
    for model in (OLD_HASH, NEW_HASH):
        add_spec_run(store, model, cases=5)
    assert "no comparable runs of the whole behaviour spec" in reason(gate(store, BOUNDS), "bounds")
    add_spec_run(store, OLD_HASH, 0)
    incomplete: tuple[dict[str, Any], ...] = ({"cases": 5}, {"cases_hash": "old"})
    for missing in incomplete:
        add_spec_run(store, NEW_HASH, **missing)
        assert "no comparable runs of the whole behaviour spec" in reason(gate(store, BOUNDS), "bounds")
    add_spec_run(store, NEW_HASH, 0)
    assert reason(gate(store, BOUNDS), "bounds").startswith("1 of ")
    add_spec_run(store, NEW_HASH, 0, 60)
    broken = gate(store, BOUNDS)
    assert (broken.verdict.decision, broken.verdict.overridable) == ("REJECT", False)
    assert "The level bound of the behaviour spec is broken: " in reason(broken, "bounds")
    strict = BOUNDS.replace('"tolerate"', '"forbid"')
    add_spec_run(store, NEW_HASH, 0)
    assert gate(store, strict).verdict.decision == "REJECT"
    add_spec_run(store, NEW_HASH)
    assert gate(store, strict).verdict.decision == "INCONCLUSIVE"


def test_kl_that_training_recorded_stands_in_for_a_measurement(store: Store) -> None:
    rule = '[[rule]]\nid = "kl"\nversion = 1\nkind = "kl"\nmax = 0.5\n'
    assert "run `yearling exam drift CHALLENGER --champion CHAMPION`" in reason(gate(store, rule), "kl")
    folder = store.settings.runs_dir / "run-1"
    folder.mkdir(parents=True)
    facts = {
        "method": "kto", "created_utc": "2026-01-01T00:00:00+00:00", "model": {}, "lesson_set": "", "seed": 0, "total_steps": 3,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(facts))
    (folder / "status.json").write_text(json.dumps({"state": "stopped", "step": 2}))
    rows = [{"step": step, "kl": 0.2 * step, "tokens": 10.0} for step in range(4)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert reason(gate(store, rule, run_id="run-1"), "kl") == (
        "The distance from the champion is 0.400 nats per token (from its base, recorded by training); at most 0.5 is allowed."
    )
    assert "drift" in reason(gate(store, rule, run_id="nothing"), "kl")


def test_default_rules_name_a_command_for_everything_that_is_missing(store: Store) -> None:
    outcome = gate_challenger(store, parse_rules(default_rules_text()), champion=OLD_HASH, challenger=NEW_HASH, actor="ann")
    assert outcome.verdict.decision == "INCONCLUSIVE"
    missing = [finding for finding in outcome.verdict.findings if not finding.is_measured]
    assert {finding.rule for finding in outcome.verdict.findings} - {finding.rule for finding in missing} == {"incidents"}
    assert all("run `yearling " in finding.why for finding in missing)


async def test_what_if_decides_by_the_same_rules_and_records_nothing(store: Store) -> None:
    champion, challenger = await take(store, make_exam(60), OLD, NEW)
    verdict, display = decide_what_if(store, [(champion.id, challenger.id)], [(champion.id, challenger.id)], margin=0.04)
    assert verdict.decision == "ALLOW"
    assert {numbers["challenger_run"] for numbers in display.values()} == {challenger.id}
    turned, _ = decide_what_if(store, [(challenger.id, champion.id)], [], margin=0.04)
    assert turned.decision == "REJECT"
    assert store.gates.list() == []
    (other,) = await take(store, make_exam(60), wrong_on())
    with pytest.raises(BadInput, match="same two models"):
        decide_what_if(store, [(champion.id, challenger.id)], [(champion.id, other.id)], margin=0.04)
    unproven = await take(store, make_exam(60, name="unproven", grader=UnprovenContains()), OLD, NEW)
    verdict, _ = decide_what_if(store, [(unproven[0].id, unproven[1].id)], [], margin=0.04)
    assert verdict.decision == "INCONCLUSIVE"
    with pytest.raises(BadInput, match="target"):
        decide_what_if(store, [], [(champion.id, challenger.id)], margin=0.04)


async def test_models_are_found_by_name_or_hash(store: Store) -> None:
    with pytest.raises(NotFound, match="No exam was run"):
        resolve_model_hash(store, "fake")
    (run,) = await take(store, make_exam(2), NEW)
    assert resolve_model_hash(store, run.model) == resolve_model_hash(store, NEW_HASH) == NEW_HASH
