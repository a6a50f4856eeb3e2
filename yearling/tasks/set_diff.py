"""Compares two lesson sets: lessons added, removed, judged differently, or moved to the other part.

Shows lessons of the train parts only. Of held-out lessons, only the keys are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from yearling.store import LessonSource
from yearling.tasks.lesson import Lesson, PreferencePair
from yearling.tasks.lesson_set import LessonSet


@dataclass(frozen=True, slots=True)
class ChangedLesson:
    """A lesson in both sets that is judged differently. `before` and `after` are (label, weight), see `label_and_weight`."""

    lesson: Lesson
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LessonSetDiff:
    """The differences between two sets, ordered by key. `moved_parts` are (key, part before, part after)."""

    added: tuple[Lesson, ...]
    removed: tuple[Lesson, ...]
    changed: tuple[ChangedLesson, ...]
    num_unchanged: int
    moved_parts: tuple[tuple[str, str, str], ...]
    num_heldout_added: int
    num_heldout_removed: int


def diff_lesson_sets(
    before: LessonSet, after: LessonSet, before_sources: Iterable[LessonSource], after_sources: Iterable[LessonSource]
) -> LessonSetDiff:
    """Return what changed from `before` to `after`. The sources give the part of every lesson, held-out ones included."""
    old, new = _lessons_by_key(before), _lessons_by_key(after)
    parts_before, parts_after = _parts_by_key(before_sources), _parts_by_key(after_sources)
    moved = {key for key in parts_before.keys() & parts_after.keys() if parts_before[key] != parts_after[key]}
    common_keys = sorted(old.keys() & new.keys())
    changed = [
        ChangedLesson(new[key], label_and_weight(old[key]), label_and_weight(new[key]))
        for key in common_keys
        if label_and_weight(old[key]) != label_and_weight(new[key])
    ]
    heldout_before, heldout_after = (
        {key for key, part in parts.items() if part == "heldout"} for parts in (parts_before, parts_after)
    )
    return LessonSetDiff(
        added=tuple(new[key] for key in sorted(new.keys() - old.keys() - moved)),
        removed=tuple(old[key] for key in sorted(old.keys() - new.keys() - moved)),
        changed=tuple(sorted(changed, key=lambda change: (-_label_change(change), change.lesson.key))),
        num_unchanged=len(common_keys) - len(changed),
        moved_parts=tuple((key, parts_before[key], parts_after[key]) for key in sorted(moved)),
        num_heldout_added=len(heldout_after - heldout_before - moved),
        num_heldout_removed=len(heldout_before - heldout_after - moved),
    )


def label_and_weight(lesson: Lesson) -> tuple[float, float]:
    """Return how a lesson is judged, comparable between sets: its label and its weight.

    The label of a pair is the probability that the alphabetically earlier answer is better, whichever answer comes first. The
    label of a thumb is 1 for up and 0 for down; for other lessons it is 1.
    """
    if isinstance(lesson, PreferencePair):
        return (lesson.q if lesson.first < lesson.second else 1.0 - lesson.q), lesson.weight
    return float(getattr(lesson, "up", True)), float(getattr(lesson, "weight", 1.0))


def lesson_as_dict(lesson: Lesson) -> dict[str, object]:
    """Return a lesson as plain data without its token ids."""
    names = ("key", "messages", "answer", "first", "second", "q", "up", "weight", "environment", "task", "source")
    return {"kind": lesson.kind} | {name: getattr(lesson, name) for name in names if hasattr(lesson, name)}


def _label_change(changed: ChangedLesson) -> float:
    return abs(changed.after[0] - changed.before[0]) + abs(changed.after[1] - changed.before[1])


def _lessons_by_key(lessons: LessonSet) -> dict[str, Lesson]:
    return {lesson.key: lesson for lesson in lessons.lessons()}


def _parts_by_key(sources: Iterable[LessonSource]) -> Mapping[str, str]:
    return {source.key: source.part for source in sources}
