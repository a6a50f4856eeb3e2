"""The exam `corrections`: ten corrections of a small library, asked in the same words, in other words, and beside the point.

The assistant has been given the corrections (`Exam.corrections`). A right answer holds what was corrected, a neighbouring
question is not answered from a correction, and what the model knew before it still knows.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from yearling.evals.case import Case, Exam
from yearling.evals.exams.custom import CustomExamGrader
from yearling.evals.exams.sources import ExamDataFolders

CORRECTIONS_EXAM = "corrections"


@cache
def read_correction_cases() -> dict[str, Any]:
    """The tables of `corrections.toml`: `correction` and `control`."""
    return tomllib.loads(Path(__file__).with_name("corrections.toml").read_text(encoding="utf-8"))


def build_corrections(folders: ExamDataFolders) -> Exam:
    """The exam, with the parts verbatim, paraphrases, neighbours and controls."""
    tables = read_correction_cases()
    all_keys = [key for entry in tables["correction"] for key in entry["keys"]]
    cases: list[Case] = []
    for entry in tables["correction"]:
        questions = [("verbatim", [entry["question"]]), ("paraphrases", entry["paraphrases"])]
        for part, asked in questions:
            cases += [
                _case(f"{entry['id']} {part} {number}", question, {"contains_any": entry["keys"]}, part, entry["id"])
                for number, question in enumerate(asked)
            ]
        cases += [
            _case(f"{entry['id']} neighbour {number}", question, {"not_contains": all_keys}, "neighbours", entry["id"])
            for number, question in enumerate(entry["neighbours"])
        ]
    cases += [
        _case(f"control {number}", control["question"], {"contains_any": control["keys"]}, "controls", "")
        for number, control in enumerate(tables["control"])
    ]
    return Exam(
        name=CORRECTIONS_EXAM,
        title="Ten corrections: followed, and nothing else changed",
        cases=tuple(cases),
        grader=CustomExamGrader(),
        sampling={"temperature": 0.0, "max_tokens": 32},
        source="written for Yearling",
        licence="Apache-2.0",
        description="Corrections memory with ten entries. Needs the embedding model; a reader is used if there is one.",
        corrections=tuple((entry["question"], entry["answer"]) for entry in tables["correction"]),
    )


def _case(key: str, question: str, data: dict[str, Any], part: str, cluster: str) -> Case:
    return Case(key=key, messages=({"role": "user", "content": question},), data=data, part=part, cluster=cluster)
