"""GSM8K (Cobbe et al., 2110.14168): grade-school maths problems with one number as the answer. Uses the test split only."""

from __future__ import annotations

import json

from yearling.checks import final_number
from yearling.errors import BadInput
from yearling.evals.case import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.sources import ExamDataFolders

ANSWER_INSTRUCTION = "\n\nWork it out step by step. Put the answer, a number, on a last line of its own behind ####."


class NumberGrader:
    """Passes the correct number: the one after `####`, or what `final_number` takes for the result without one."""

    name = "number"
    version = "2"
    card = GraderCard(grader="number", kind="exact", note="Equality of numbers.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class."""
        number = final_number(response.text)
        is_right = number is not None and abs(number - case.data["number"]) < 1e-6
        return Verdict(
            score=float(is_right),
            label="right" if is_right else "wrong" if number is not None else "no_number",
            detail={"found": None if number is None else float(number)},
        )


def build_gsm8k(folders: ExamDataFolders) -> Exam:
    """The exam. Raises NotFound without the data set in the user's folder."""
    rows = [
        json.loads(line) for line in folders.user_file("gsm8k", "gsm8k", "test.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    cases = tuple(
        Case(
            key=f"test {index}",
            messages=({"role": "user", "content": row["question"] + ANSWER_INSTRUCTION},),
            data={"number": _reference(row["answer"])},
        )
        for index, row in enumerate(rows)
    )
    return Exam(
        name="gsm8k",
        title="GSM8K: grade-school maths",
        cases=cases,
        grader=NumberGrader(),
        sampling={"temperature": 0.0, "max_tokens": 512},
        source="https://github.com/openai/grade-school-math",
        licence="MIT",
        description="Cobbe et al., 2110.14168. Zero-shot with the chat template, so scores are below published few-shot results.",
    )


def _reference(solution: str) -> float:
    number = final_number(solution)
    if number is None:
        raise BadInput("A solution in the file of GSM8K has no number.", advice="Fetch the file again.")
    return float(number)
