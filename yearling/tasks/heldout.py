"""Reads the held-out part of a lesson set, for exams only.

Only `evals/` may import this file, and `tests/test_architecture.py` enforces it, so that no training sees held-out lessons. At
present no exam reads them; tests do.
"""

from __future__ import annotations

from yearling.tasks.lesson import Lesson
from yearling.tasks.lesson_set import HELDOUT_FILE, LessonSet, read_lessons


def read_heldout_lessons(lessons: LessonSet) -> list[Lesson]:
    """Return the lessons that no training on this set sees. Raises Untrusted if the file changed since the set was opened."""
    return list(read_lessons(lessons.folder, HELDOUT_FILE, lessons.manifest))
