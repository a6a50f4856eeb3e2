"""Splits a comparison on the exam `constraints` by the kinds of constraint: those that training may use, and those it never does.

A gain on both says that the model follows instructions better; a gain on the practised kinds alone, that it learnt these.
"""

from __future__ import annotations

from dataclasses import dataclass

from yearling.evals.comparison import CasePair, ExamComparison
from yearling.evals.exams.constraints import build_constraints
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.paired_tests import difference_interval, paired_test_from_scores
from yearling.evals.statistics import Interval
from yearling.tasks import constraint_kinds

CONSTRAINTS_EXAM = "constraints"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindsComparison:
    """One group of cases. `interval` is for the challenger's mean score less the champion's."""

    is_practised: bool
    """Whether training may use all kinds of constraint in the cases."""
    num_cases: int
    champion: float
    challenger: float
    interval: Interval
    p_better: float


def compare_practised_kinds(comparison: ExamComparison, folders: ExamDataFolders) -> tuple[KindsComparison, ...]:
    """The practised kinds, then the never-practised ones. Empty for another exam, or if the cases have changed since the runs."""
    if comparison.exam != CONSTRAINTS_EXAM:
        return ()
    _, held_out = constraint_kinds()
    kinds_of = {
        case.key: {constraint["kind"] for constraint in case.data["task"]["constraints"]}
        for case in build_constraints(folders).cases
    }
    if any(pair.key not in kinds_of for pair in comparison.pairs):
        return ()
    groups: dict[bool, list[CasePair]] = {True: [], False: []}
    for pair in comparison.pairs:
        groups[kinds_of[pair.key].isdisjoint(held_out)].append(pair)
    return tuple(_compare(is_practised, pairs) for is_practised, pairs in groups.items() if pairs)


def _compare(is_practised: bool, pairs: list[CasePair]) -> KindsComparison:
    before, after = [pair.champion for pair in pairs], [pair.challenger for pair in pairs]
    keys = [pair.key for pair in pairs]
    return KindsComparison(
        is_practised=is_practised,
        num_cases=len(pairs),
        champion=sum(before) / len(pairs),
        challenger=sum(after) / len(pairs),
        interval=difference_interval(before, after, keys),
        p_better=paired_test_from_scores(before, after, keys).p_better,
    )
