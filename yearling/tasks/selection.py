"""Selects candidates for the two parts of a lesson set: removes duplicates and exam leaks, and splits the rest.

The result is a pure function of the candidates, whatever their order. Every candidate that is left out has a counted reason.
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
    """The two parts of a set, and the candidates that were left out."""

    train: list[LessonCandidate] = field(default_factory=list)
    heldout: list[LessonCandidate] = field(default_factory=list)
    dropped: list[DroppedCandidate] = field(default_factory=list)
    split: HeldoutSplit | None = None

    def drop_counts(self) -> dict[str, dict[str, int]]:
        """Return the number of candidates left out, by kind of lesson and reason."""
        counts: dict[str, Counter[str]] = {}
        for entry in self.dropped:
            counts.setdefault(entry.candidate.lesson.kind, Counter())[entry.reason] += 1
        return {kind: dict(sorted(reasons.items())) for kind, reasons in sorted(counts.items())}


def select_lessons(
    candidates: Iterable[LessonCandidate],
    *,
    share: float,
    exams: Sequence[ExamFingerprint] = (),
    previously_trained: frozenset[str] = frozenset(),
) -> LessonSelection:
    """Select lessons and split them; about `share` of their groups is held out.

    `exams` are the fingerprints of the exams whose content must not be trained on. `previously_trained` are keys of lessons in
    the train part of an earlier set, which are never held out.
    """
    selection = LessonSelection()
    kept = _deduplicate(sorted(candidates, key=lambda candidate: candidate.sort_key), selection.dropped)
    kept = _drop_leaks(kept, exams, selection.dropped)
    kept.sort(key=lambda candidate: (candidate.lesson.kind, candidate.lesson.key))
    selection.split = split_lessons({candidate.lesson.key: candidate.origin for candidate in kept}, share=share)
    train = []
    for candidate in kept:
        if candidate.lesson.key not in selection.split.heldout:
            train.append(candidate)
        elif candidate.lesson.key in previously_trained:
            selection.dropped.append(DroppedCandidate(candidate, "learnt_before"))
        else:
            selection.heldout.append(candidate)
    selection.train = _drop_similar_to_heldout(train, selection.heldout, selection.dropped)
    return selection


def question_and_answers(lesson: Lesson) -> tuple[str, tuple[str, ...]]:
    """Return the text of the last user message, and the answers in alphabetical order."""
    match lesson:
        case Demonstration() | Thumb():
            return last_user_message_text(lesson.messages), (lesson.answer,)
        case PreferencePair():
            return last_user_message_text(lesson.messages), tuple(sorted((lesson.first, lesson.second)))
        case Prompt():
            return last_user_message_text(lesson.messages), ()


def _deduplicate(sorted_candidates: Sequence[LessonCandidate], dropped: list[DroppedCandidate]) -> list[LessonCandidate]:
    """Keep the first of equal or nearly equal lessons. Lessons of different kinds are never duplicates of each other."""
    keys: set[tuple[str, str]] = set()
    unique: list[LessonCandidate] = []
    for candidate in sorted_candidates:
        identity = (candidate.lesson.kind, candidate.lesson.key)
        if identity in keys:
            dropped.append(DroppedCandidate(candidate, "duplicate"))
        else:
            unique.append(candidate)
        keys.add(identity)
    kept: list[LessonCandidate] = []
    indexes: dict[str, NearDuplicateIndex] = {}
    for candidate in unique:
        question, answers = question_and_answers(candidate.lesson)
        document = tuple(shingles(text) for text in (question, *answers))
        if indexes.setdefault(candidate.lesson.kind, NearDuplicateIndex()).add_if_new(document):
            kept.append(candidate)
        else:
            dropped.append(DroppedCandidate(candidate, "near_duplicate"))
    return kept


def select_prompts(
    train: Iterable[LessonCandidate],
    heldout: Iterable[LessonCandidate],
    *,
    exams: Sequence[ExamFingerprint],
    dropped: list[DroppedCandidate],
) -> tuple[list[LessonCandidate], list[LessonCandidate]]:
    """Select generated tasks for both parts: each question once, and no exam question in the train part.

    Generated tasks resemble each other, so only equal questions are duplicates. The seeds keep the parts apart.
    """
    kept: tuple[list[LessonCandidate], list[LessonCandidate]] = ([], [])
    keys: set[str] = set()
    for kept_part, part in zip(kept, (train, heldout), strict=True):
        for candidate in part:
            if candidate.lesson.key in keys:
                dropped.append(DroppedCandidate(candidate, "duplicate"))
            else:
                kept_part.append(candidate)
            keys.add(candidate.lesson.key)
    return _drop_leaks(kept[0], exams, dropped), kept[1]


def _drop_leaks(
    candidates: Sequence[LessonCandidate], exams: Sequence[ExamFingerprint], dropped: list[DroppedCandidate]
) -> list[LessonCandidate]:
    kept = []
    for candidate in candidates:
        exam = find_leaked_exam(_lesson_texts(candidate.lesson), exams, whole_texts_only=isinstance(candidate.lesson, Prompt))
        if exam is None:
            kept.append(candidate)
        else:
            dropped.append(DroppedCandidate(candidate, f"in_the_exam_{exam}"))
    return kept


def _lesson_texts(lesson: Lesson) -> Iterable[str]:
    """Yield all texts of a lesson except its system message, which every conversation may share."""
    yield from (content_text(message.get("content")) for message in lesson.messages if message.get("role") != "system")
    yield from question_and_answers(lesson)[1]


def _drop_similar_to_heldout(
    train: Sequence[LessonCandidate], heldout: Sequence[LessonCandidate], dropped: list[DroppedCandidate]
) -> list[LessonCandidate]:
    """Keep the candidates whose question and answer do not occur in the held-out part, exactly or nearly."""
    index = NearDuplicateIndex()
    for candidate in heldout:
        for document in _shingled_texts(candidate.lesson):
            index.add(document)
    kept = []
    for candidate in train:
        if any(index.find_near_duplicate(document) is not None for document in _shingled_texts(candidate.lesson)):
            dropped.append(DroppedCandidate(candidate, "like_a_held_out_one"))
        else:
            kept.append(candidate)
    return kept


def _shingled_texts(lesson: Lesson) -> Iterable[ShingledText]:
    question, answers = question_and_answers(lesson)
    question_shingles = shingles(question)
    return [(question_shingles, shingles(answer)) for answer in answers]


def q_histogram(lessons: Iterable[Lesson]) -> Mapping[str, int]:
    """Return the number of pairs in each range of `q`, in steps of a tenth."""
    steps = Counter(min(int(lesson.q * 10), 9) for lesson in lessons if isinstance(lesson, PreferencePair))
    return {f"{step / 10:.1f} to {(step + 1) / 10:.1f}": steps[step] for step in sorted(steps)}
