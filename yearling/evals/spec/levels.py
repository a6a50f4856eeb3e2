"""Compares two models on the clauses of one level of the behaviour spec: how many answers of each are bugs, clause by clause.

Reads stored spec runs. Both models must have answered every case of the level in the same draws, so that answers pair up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from yearling.chat import BehaviourSpec, load_spec
from yearling.evals.statistics import mcnemar_test
from yearling.evals.subject import is_same_model
from yearling.store import SpecOutput, SpecRun, Store

_AnswerKey = tuple[str, int, int]
MAX_RUNS_SEARCHED = 1000


@dataclass(frozen=True, slots=True)
class ClauseComparison:
    """Answers to one clause, and the bugs among those of each model."""

    clause: str
    outputs: int
    champion_bugs: int
    challenger_bugs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecLevelComparison:
    """Bugs by clause. `p_more` is the exact one-sided p-value of "the challenger has more bugs", over paired answers."""

    champion: SpecRun
    challenger: SpecRun
    clauses: tuple[ClauseComparison, ...]
    p_more: float


def compare_spec_level(
    store: Store, spec: BehaviourSpec, *, champion: str, challenger: str, level: str
) -> SpecLevelComparison | None:
    """Compare the newest comparable runs of two models that cover every case of the level; None without such runs.

    Models are named as `is_same_model` takes them. Answers that only a person can judge are left out.
    """
    clauses = {clause.id for clause in spec.clauses if clause.level == level}
    wanted = {
        (case.id, twin)
        for case in spec.cases
        if case.clause in clauses and case.judge != "person"
        for twin in range(len(case.twins))
    }
    runs = [run for run in store.spec_runs.list(limit=MAX_RUNS_SEARCHED) if run.cases_hash == spec.cases_hash]
    champion_runs = [run for run in runs if is_same_model(run.model_hash, champion)]
    for new in (run for run in runs if is_same_model(run.model_hash, challenger)):
        new_outputs = _answers_of_level(store, new, clauses)
        if not wanted or {(case_id, twin) for case_id, twin, _ in new_outputs} != wanted:
            continue
        for old in champion_runs:
            old_outputs = _answers_of_level(store, old, clauses)
            if old_outputs.keys() == new_outputs.keys():
                return _compare(old, new, old_outputs, new_outputs)
    return None


def compare_served_spec_level(store: Store, *, champion: str, challenger: str, level: str) -> SpecLevelComparison | None:
    """As `compare_spec_level`, by the spec that this installation serves."""
    return compare_spec_level(store, load_spec(), champion=champion, challenger=challenger, level=level)


def _answers_of_level(store: Store, run: SpecRun, clauses: set[str]) -> dict[_AnswerKey, SpecOutput]:
    outputs = store.spec_runs.list_outputs(run.id)
    return {
        (output.case_id, output.twin, output.draw): output
        for output in outputs
        if output.clause in clauses and output.triage != "person"
    }


def _compare(
    old: SpecRun, new: SpecRun, old_outputs: dict[_AnswerKey, SpecOutput], new_outputs: dict[_AnswerKey, SpecOutput]
) -> SpecLevelComparison:
    counts, old_bugs, new_bugs = Counter[str](), Counter[str](), Counter[str]()
    only_new = only_old = 0
    for key, output in new_outputs.items():
        is_old_bug, is_new_bug = old_outputs[key].triage == "bug", output.triage == "bug"
        counts[output.clause] += 1
        old_bugs[output.clause] += is_old_bug
        new_bugs[output.clause] += is_new_bug
        only_new += is_new_bug and not is_old_bug
        only_old += is_old_bug and not is_new_bug
    clauses = tuple(ClauseComparison(name, counts[name], old_bugs[name], new_bugs[name]) for name in sorted(counts))
    return SpecLevelComparison(champion=old, challenger=new, clauses=clauses, p_more=mcnemar_test(only_new, only_old))
