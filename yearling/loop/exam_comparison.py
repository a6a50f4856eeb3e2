"""Compares two runs of one exam, for rooms that show the comparison but may not import `evals`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yearling.store import Store

if TYPE_CHECKING:
    from yearling.evals import ExamComparison


def compare_exam_runs(store: Store, champion: str, challenger: str) -> ExamComparison:
    """Return the comparison of two exam runs case by case, with the interval and the exact test, as `yearling exam compare` does.

    `champion` and `challenger` are ids of exam runs, or unambiguous beginnings of ids. Raises NotFound for an unknown run,
    Conflict for an ambiguous id, and BadInput for runs that are unfinished or of different exams.
    """
    from yearling.evals import compare_runs  # late: a server needs numpy and scipy only for this

    return compare_runs(store, store.exams.get(champion).id, store.exams.get(challenger).id)
