"""Two sittings of one exam side by side, for those who show them and may not import exams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yearling.store import Store

if TYPE_CHECKING:
    from yearling.evals import ExamComparison


def compare_exam_runs(store: Store, champion: str, challenger: str) -> ExamComparison:
    """As `yearling exam compare`: paired case by case, with the interval and the exact test.

    Raises NotFound, Conflict for the beginning of several ids, and BadInput for runs that are open or not of the same exam.
    """
    from yearling.evals import compare_runs  # brings numpy and scipy, which a server that nobody asks for this does without

    return compare_runs(store, store.exams.get(champion).id, store.exams.get(challenger).id)
