"""Searches lessons for exam questions: every lesson of a set against the fingerprints of all exams (13-grams)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yearling.tasks import ExamFingerprint, Lesson, LessonSet, Prompt, find_leaked_exam


@dataclass(frozen=True, slots=True)
class LessonLeak:
    """A training lesson that contains text of an exam."""

    lesson_set: str
    """The hash of the set."""
    key: str
    exam: str


def find_leaks(lesson_set: LessonSet, exams: Sequence[ExamFingerprint]) -> list[LessonLeak]:
    """The lessons that share text with an exam.

    Lesson sets are searched when they are built; this finds overlap with exams that were added later.
    """
    leaks = []
    for lesson in lesson_set.lessons():
        exam = find_leaked_exam(_lesson_texts(lesson), exams, whole_texts_only=isinstance(lesson, Prompt))
        if exam is not None:
            leaks.append(LessonLeak(lesson_set.hash, lesson.key, exam))
    return leaks


def _lesson_texts(lesson: Lesson) -> Iterable[str]:
    for message in lesson.messages:
        content = message.get("content")
        if message.get("role") != "system" and isinstance(content, str):
            yield content
    for name in ("answer", "first", "second"):
        if text := getattr(lesson, name, ""):
            yield text
