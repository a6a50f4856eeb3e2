"""A small exam and subjects for it, for tests."""

from __future__ import annotations

from typing import Any

from yearling.evals import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.inference import FakeEngine, ServedModel, fake_served_model


class Contains:
    """Passes an answer that contains the word of the case."""

    name = "contains"
    version = "1"
    card = GraderCard(grader="contains", kind="exact")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        if case.data.get("raises"):
            raise ValueError("a defect")
        is_right = case.data["word"] in response.text
        return Verdict(
            score=float(is_right), label="right" if is_right else "wrong", ratios={"letters": (len(response.text), 1.0)}
        )


class UnprovenContains(Contains):
    """The same by a rule that nobody compared with people, so it may not gate."""

    card = GraderCard(grader="contains", kind="rules", bar=0.9)


def make_exam(count: int = 6, **changes: Any) -> Exam:
    """Cases that ask for their number. A model that repeats the question gets them right."""
    cases = tuple(
        Case(
            key=f"case {i}",
            messages=({"role": "user", "content": f"Say {i}!"},),
            data={"word": f"Say {i}!"},
            part="odd" if i % 2 else "even",
        )
        for i in range(count)
    )
    values: dict[str, Any] = {"name": "numbers", "title": "Numbers", "cases": cases, "grader": Contains()}
    return Exam(**{**values, **changes})


def wrong_on(*numbers: int) -> ServedModel:
    """A model that repeats the question, except for these numbers."""

    def answer(_: object, prompt: str) -> str:
        question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        return "No." if any(f"Say {number}!" == question for number in numbers) else question

    return fake_served_model(engine=FakeEngine(answer, model_hash=f"wrong on {numbers}"))
