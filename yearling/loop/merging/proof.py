"""The proof of a merge: what each side held alone, it still holds in the merge, and what the model knew before stays.

Every side is asked what it was taught, with its own corrections and its own adapter; then the merge is asked the same. A side
whose adapter was trained is also asked without corrections: those would hide what the weights forget. Refuses a merge that loses
more than the tolerances, and one that proves nothing because there was nothing to lose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from yearling.errors import BadInput, Unavailable
from yearling.evals import (
    Case,
    CustomExamGrader,
    ExamDataFolders,
    Grader,
    SubjectResponse,
    TaughtAnswerGrader,
    grade_response,
    last_user_text,
    open_exam,
)
from yearling.loop.merging.bundle import MergeEntry, MergeSide
from yearling.loop.merging.entries import MergedEntries

ProofPartName = Literal["corrections", "questions", "weights"]

MAX_ASKED = 100
"""How many corrections of one side are asked. Of more, these are chosen by the hash of the question."""
LOST_OF = 10
"""One in this many may be lost by a side: 2 of 20."""
CONTROLS_LOST_OF = 30
"""The controls may fall by one in this many: 2 of 60."""
_MIN_TOKENS, _MAX_TOKENS = 32, 256

MergeProgress = Callable[[int, int], None]
"""Called with (answers so far, all answers)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofQuestion:
    """A question with the grader of its answer."""

    case: Case
    grader: Grader
    max_tokens: int = _MIN_TOKENS

    @property
    def text(self) -> str:
        """The question as a person would ask it."""
        return last_user_text(self.case.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRequest:
    """What the assistant is asked, with which corrections and which adapter (its hash; empty for none)."""

    adapter: str
    corrections: Sequence[tuple[str, str]]
    questions: Sequence[ProofQuestion]


class MergeTools(Protocol):
    """What a proof needs of models and engines."""

    def answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
        """The assistant's greedy answers. Calls `progress` after each."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofPart:
    """What one side held alone, and how much of it the merge still holds.

    `corrections` are its corrections as people ask them, `questions` its held-back questions, `weights` both without corrections.
    """

    side: str
    part: ProofPartName
    total: int
    alone: int
    kept: int
    """Of those that the side answered rightly alone."""
    gained: int
    """Of those that it answered wrongly alone."""
    lost: tuple[str, ...]
    """The questions that only the side alone answered rightly."""

    @property
    def allowed(self) -> int:
        """How many of them may be lost."""
        return self.total // LOST_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeProof:
    """The figures, and whether they let the merge pass."""

    parts: tuple[ProofPart, ...]
    controls: int
    """How many questions about what the model knew before were asked."""
    controls_alone: tuple[int, ...]
    """How many of them each side answered rightly alone."""
    controls_after: int

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the merge may not pass, one sentence each."""
        found = [
            f"{part.side} loses {len(part.lost)} of {part.alone} that it held ({_WORDS[part.part]}); {part.allowed} may be lost."
            for part in self.parts
            if len(part.lost) > part.allowed
        ]
        sides = dict.fromkeys(part.side for part in self.parts)
        for side in sides:
            own = [part for part in self.parts if part.side == side]
            if not any(part.alone for part in own if part.part != "weights"):
                found.append(f"{side} answers none of its questions rightly alone, so nothing can be proved of it.")
            elif any(part.part == "weights" and not part.alone for part in own):
                found.append(f"The adapter of {side} alone knows none of its questions, so nothing can be proved of it.")
        allowed = self.controls // CONTROLS_LOST_OF
        if self.controls_after < max(self.controls_alone) - allowed:
            before = max(self.controls_alone)
            found.append(
                f"Of {self.controls} questions about what the model knew before, {self.controls_after} are still right and "
                f"{before} were; {allowed} may be lost."
            )
        return tuple(found)

    @property
    def ok(self) -> bool:
        """Whether the merge passes."""
        return not self.objections


_WORDS: dict[ProofPartName, str] = {
    "corrections": "corrections",
    "questions": "held-back questions",
    "weights": "without corrections",
}


def control_questions(folders: ExamDataFolders) -> list[ProofQuestion]:
    """The questions about what the model knew before: the controls of the exam `corrections`."""
    exam = open_exam("corrections", folders)
    return [ProofQuestion(case=case, grader=exam.grader) for case in exam.cases if case.part == "controls"]


def taught_questions(entries: Sequence[MergeEntry]) -> list[ProofQuestion]:
    """Each correction as a question, at most `MAX_ASKED` of them."""
    chosen = sorted(entries, key=lambda entry: hashlib.sha256(entry.question.encode()).hexdigest())[:MAX_ASKED]
    return [
        ProofQuestion(
            case=Case(
                key=entry.key,
                messages=({"role": "user", "content": entry.question},),
                data={"question": entry.question, "answer": entry.answer},
            ),
            grader=TaughtAnswerGrader(),
            max_tokens=max(_MIN_TOKENS, min(_MAX_TOKENS, len(entry.answer) // 2)),
        )
        for entry in chosen
    ]


def prove_merge(
    sides: Sequence[MergeSide],
    merged: MergedEntries,
    adapters: Sequence[str],
    merged_adapter: str,
    controls: Sequence[ProofQuestion],
    tools: MergeTools,
    *,
    progress: MergeProgress = lambda done, total: None,
) -> MergeProof:
    """Ask every side alone and then the merge. `adapters` has the hash of each side's adapter, or an empty string.

    What a later answer of another side replaced is not asked. Raises BadInput for a side without questions, and Unavailable if
    a question cannot be answered.
    """
    kept = {(entry.key, entry.answer.casefold()) for entry in merged.all}
    taught, held_back = [], []
    for side in sides:
        own = taught_questions([entry for entry in side.entries if (entry.key, entry.answer.casefold()) in kept])
        other = [ProofQuestion(case=case, grader=CustomExamGrader()) for case in side.questions]
        if not own and not other:
            raise BadInput(
                f"{side.name} has no corrections and no held-back questions: nothing can be proved of it.",
                advice="Give it questions with `--questions FILE`.",
            )
        taught.append(own)
        held_back.append(other)
    counter = _Counter(_count_answers(taught, held_back, adapters, len(controls)), progress)

    def ask(adapter: str, entries: Sequence[MergeEntry], questions: Sequence[ProofQuestion]) -> list[bool]:
        if not questions:
            return []
        pairs = [(entry.question, entry.answer) for entry in entries]
        request = ProofRequest(adapter=adapter, corrections=pairs, questions=questions)
        return _grade(questions, tools.answer(request, counter.advance))

    parts, controls_alone = [], []
    for number, side in enumerate(sides):
        asked = [*taught[number], *held_back[number]]
        alone = ask(adapters[number], side.entries, [*asked, *controls])
        after = ask(merged_adapter, merged.all, asked)
        controls_alone.append(sum(alone[len(asked) :]))
        middle = len(taught[number])
        parts.append(_part(side.name, "corrections", taught[number], alone[:middle], after[:middle]))
        parts.append(_part(side.name, "questions", held_back[number], alone[middle : len(asked)], after[middle:]))
        if adapters[number]:
            parts.append(_part(side.name, "weights", asked, ask(adapters[number], (), asked), ask(merged_adapter, (), asked)))
    return MergeProof(
        parts=tuple(part for part in parts if part.total),
        controls=len(controls),
        controls_alone=tuple(controls_alone),
        controls_after=sum(ask(merged_adapter, merged.all, controls)),
    )


def _count_answers(
    taught: Sequence[Sequence[ProofQuestion]],
    held_back: Sequence[Sequence[ProofQuestion]],
    adapters: Sequence[str],
    num_controls: int,
) -> int:
    asked = [len(own) + len(other) for own, other in zip(taught, held_back, strict=True)]
    times = [4 if adapter else 2 for adapter in adapters]
    return sum(count * each for count, each in zip(asked, times, strict=True)) + num_controls * (len(asked) + 1)


class _Counter:
    def __init__(self, total: int, progress: MergeProgress) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def advance(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)


def _grade(questions: Sequence[ProofQuestion], responses: Sequence[SubjectResponse]) -> list[bool]:
    results = []
    for question, response in zip(questions, responses, strict=True):
        verdict = grade_response(question.grader, question.case, response)
        if verdict.error:  # an answer that is missing alone would lower what the merge has to reach
            raise Unavailable(f"{question.text[:80]!r} could not be answered: {verdict.error}", advice="Nothing was merged.")
        results.append(verdict.score == 1.0)
    return results


def _part(
    side: str, part: ProofPartName, questions: Sequence[ProofQuestion], alone: Sequence[bool], after: Sequence[bool]
) -> ProofPart:
    rows = list(zip(questions, alone, after, strict=True))
    return ProofPart(
        side=side,
        part=part,
        total=len(rows),
        alone=sum(alone),
        kept=sum(was and still for _, was, still in rows),
        gained=sum(still and not was for _, was, still in rows),
        lost=tuple(question.text for question, was, still in rows if was and not still),
    )
