"""From candidates to a lesson set's two parts: without duplicates, without what exams ask, and split once.

A pure function of its arguments, whatever their order. Every candidate that is left out is left out for a reason that is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from yearling.tasks.candidates import LessonCandidate
from yearling.tasks.heldout_split import HeldoutSplit, split_lessons
from yearling.tasks.item_answers import content_text, last_user_message_text
from yearling.tasks.lesson import Demonstration, Lesson, PreferencePair, Prompt, Thumb
from yearling.tasks.ngrams import ExamFingerprint, NearDuplicateIndex, ShingledText, find_leaked_exam, shingles


@dataclass(frozen=True, slots=True)
class DroppedCandidate:
    """A candidate that was left out, and why."""

    candidate: LessonCandidate
    reason: str


@dataclass(slots=True)
class LessonSelection:
    """The two parts of a set, and what was left out."""

    train: list[LessonCandidate] = field(default_factory=list)
    heldout: list[LessonCandidate] = field(default_factory=list)
    dropped: list[DroppedCandidate] = field(default_factory=list)
    split: HeldoutSplit | None = None

    def drop_counts(self) -> dict[str, dict[str, int]]:
        """How many were left out, by kind of lesson and reason."""
        counts: dict[str, Counter[str]] = {}
        for one in self.dropped:
            counts.setdefault(one.candidate.lesson.kind, Counter())[one.reason] += 1
        return {kind: dict(sorted(reasons.items())) for kind, reasons in sorted(counts.items())}


def select_lessons(
    candidates: Iterable[LessonCandidate],
    *,
    share: float,
    exams: Sequence[ExamFingerprint] = (),
    previously_trained: frozenset[str] = frozenset(),
) -> LessonSelection:
    """Choose and split. `share` is what to hold out; `learnt` are keys of lessons that an earlier set had in its train part: they
    are never examined on."""
    picked = LessonSelection()
    kept = _deduplicate(sorted(candidates, key=lambda candidate: candidate.sort_key), picked.dropped)
    kept = _drop_leaks(kept, exams, picked.dropped)
    kept.sort(key=lambda candidate: (candidate.lesson.kind, candidate.lesson.key))
    picked.split = split_lessons({one.lesson.key: one.origin for one in kept}, share=share)
    train = []
    for one in kept:
        if one.lesson.key not in picked.split.heldout:
            train.append(one)
        elif one.lesson.key in previously_trained:
            picked.dropped.append(DroppedCandidate(one, "learnt_before"))
        else:
            picked.heldout.append(one)
    picked.train = _drop_similar_to_heldout(train, picked.heldout, picked.dropped)
    return picked


def question_and_answers(lesson: Lesson) -> tuple[str, tuple[str, ...]]:
    """What was asked last, and the answers."""
    match lesson:
        case Demonstration() | Thumb():
            return last_user_message_text(lesson.messages), (lesson.answer,)
        case PreferencePair():
            return last_user_message_text(lesson.messages), tuple(sorted((lesson.first, lesson.second)))
        case Prompt():
            return last_user_message_text(lesson.messages), ()


def _deduplicate(ordered: Sequence[LessonCandidate], dropped: list[DroppedCandidate]) -> list[LessonCandidate]:
    """The first of those that say the same. Lessons of different kinds never do: each teaches something of its own."""
    keys: set[tuple[str, str]] = set()
    different: list[LessonCandidate] = []
    for one in ordered:
        identity = (one.lesson.kind, one.lesson.key)
        if identity in keys:
            dropped.append(DroppedCandidate(one, "duplicate"))
        else:
            different.append(one)
        keys.add(identity)
    kept: list[LessonCandidate] = []
    near: dict[str, NearDuplicateIndex] = {}
    for one in different:
        asked, answers = question_and_answers(one.lesson)
        document = tuple(shingles(text) for text in (asked, *answers))
        if near.setdefault(one.lesson.kind, NearDuplicateIndex()).add_if_new(document):
            kept.append(one)
        else:
            dropped.append(DroppedCandidate(one, "near_duplicate"))
    return kept


def select_prompts(
    train: Iterable[LessonCandidate],
    heldout: Iterable[LessonCandidate],
    *,
    exams: Sequence[ExamFingerprint],
    dropped: list[DroppedCandidate],
) -> tuple[list[LessonCandidate], list[LessonCandidate]]:
    """Generated tasks of both parts, each question once, without those of an exam in the train part.

    They are alike by nature, so that only equal questions are duplicates; the seeds keep the parts apart.
    """
    kept: tuple[list[LessonCandidate], list[LessonCandidate]] = ([], [])
    keys: set[str] = set()
    for mine, part in zip(kept, (train, heldout), strict=True):
        for one in part:
            if one.lesson.key in keys:
                dropped.append(DroppedCandidate(one, "duplicate"))
            else:
                mine.append(one)
            keys.add(one.lesson.key)
    return _drop_leaks(kept[0], exams, dropped), kept[1]


def _drop_leaks(
    candidates: Sequence[LessonCandidate], exams: Sequence[ExamFingerprint], dropped: list[DroppedCandidate]
) -> list[LessonCandidate]:
    kept = []
    for one in candidates:
        exam = find_leaked_exam(_lesson_texts(one.lesson), exams, whole_texts_only=isinstance(one.lesson, Prompt))
        if exam is None:
            kept.append(one)
        else:
            dropped.append(DroppedCandidate(one, f"in_the_exam_{exam}"))
    return kept


def _lesson_texts(lesson: Lesson) -> Iterable[str]:
    """Everything that a lesson says but its system message, which every conversation may share."""
    yield from (content_text(message.get("content")) for message in lesson.messages if message.get("role") != "system")
    yield from question_and_answers(lesson)[1]


def _drop_similar_to_heldout(
    train: Sequence[LessonCandidate], heldout: Sequence[LessonCandidate], dropped: list[DroppedCandidate]
) -> list[LessonCandidate]:
    """Those of the train part whose question and answer do not occur, nearly or exactly, in the held-out part."""
    index = NearDuplicateIndex()
    for one in heldout:
        for document in _shingled_texts(one.lesson):
            index.add(document)
    kept = []
    for one in train:
        if any(index.find_near_duplicate(document) is not None for document in _shingled_texts(one.lesson)):
            dropped.append(DroppedCandidate(one, "like_a_held_out_one"))
        else:
            kept.append(one)
    return kept


def _shingled_texts(lesson: Lesson) -> Iterable[ShingledText]:
    asked, answers = question_and_answers(lesson)
    asked_shingles = shingles(asked)
    return [(asked_shingles, shingles(answer)) for answer in answers]


def q_histogram(lessons: Iterable[Lesson]) -> Mapping[str, int]:
    """How many pairs have which `q`, in steps of a tenth."""
    steps = Counter(min(int(lesson.q * 10), 9) for lesson in lessons if isinstance(lesson, PreferencePair))
    return {f"{step / 10:.1f} to {(step + 1) / 10:.1f}": steps[step] for step in sorted(steps)}
