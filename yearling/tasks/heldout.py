"""The held-out part of a lesson set: for exams, and for nothing that learns. Only `evals/` may import this file."""

from __future__ import annotations

from yearling.tasks.lesson import Lesson
from yearling.tasks.lesson_set import HELDOUT_FILE, LessonSet, read_lessons


def read_heldout_lessons(lessons: LessonSet) -> list[Lesson]:
    """The lessons that no training on this set sees. Raises Untrusted when the file changed since it was opened."""
    return list(read_lessons(lessons.folder, HELDOUT_FILE, lessons.manifest))
