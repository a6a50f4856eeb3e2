"""What changed from one lesson set to another: what came, what went, what is judged otherwise, what changed sides.

The words shown are those of the train parts; of held-out lessons only keys are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from yearling.store import LessonSource
from yearling.tasks.lesson import Lesson, PreferencePair
from yearling.tasks.lesson_set import LessonSet


@dataclass(frozen=True, slots=True)
class ChangedLesson:
    """A lesson of both sets that is judged otherwise. `before` and `after` are (q or direction, weight)."""

    lesson: Lesson
    before: tuple[float, float]
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LessonSetDiff:
    """From one set to another; lessons by kind and key. `moved` are keys with where they lay before and lie now."""

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
    """What changed from `before` to `after`."""
    old, new = _lessons_by_key(before), _lessons_by_key(after)
    parts_before, parts_after = _parts_by_key(before_sources), _parts_by_key(after_sources)
    moved = {key for key in parts_before.keys() & parts_after.keys() if parts_before[key] != parts_after[key]}
    both = sorted(old.keys() & new.keys())
    changed = [
        ChangedLesson(new[key], label_and_weight(old[key]), label_and_weight(new[key]))
        for key in both
        if label_and_weight(old[key]) != label_and_weight(new[key])
    ]
    held_before, held_after = ({key for key, part in parts.items() if part == "heldout"} for parts in (parts_before, parts_after))
    return LessonSetDiff(
        added=tuple(new[key] for key in sorted(new.keys() - old.keys() - moved)),
        removed=tuple(old[key] for key in sorted(old.keys() - new.keys() - moved)),
        changed=tuple(sorted(changed, key=lambda one: (-_label_change(one), one.lesson.key))),
        num_unchanged=len(both) - len(changed),
        moved_parts=tuple((key, parts_before[key], parts_after[key]) for key in sorted(moved)),
        num_heldout_added=len(held_after - held_before - moved),
        num_heldout_removed=len(held_before - held_after - moved),
    )


def label_and_weight(lesson: Lesson) -> tuple[float, float]:
    """How a lesson is judged: for a pair the probability that the alphabetically earlier answer is better, for a thumb whether it
    is up, and the weight. Comparable between sets, whichever answer is called the first."""
    if isinstance(lesson, PreferencePair):
        return (lesson.q if lesson.first < lesson.second else 1.0 - lesson.q), lesson.weight
    return float(getattr(lesson, "up", True)), float(getattr(lesson, "weight", 1.0))


def lesson_as_dict(lesson: Lesson) -> dict[str, Any]:
    """A lesson as plain data for people and programs, without its token ids."""
    names = ("key", "messages", "answer", "first", "second", "q", "up", "weight", "environment", "task", "source")
    return {"kind": lesson.kind} | {name: getattr(lesson, name) for name in names if hasattr(lesson, name)}


def _label_change(changed: ChangedLesson) -> float:
    return abs(changed.after[0] - changed.before[0]) + abs(changed.after[1] - changed.before[1])


def _lessons_by_key(lessons: LessonSet) -> dict[str, Lesson]:
    return {lesson.key: lesson for lesson in lessons.lessons()}


def _parts_by_key(sources: Iterable[LessonSource]) -> Mapping[str, str]:
    return {one.key: one.part for one in sources}
