"""The questions of CMRC 2018 and XQuAD, each with its passage and where the answer stands in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question about one passage. `answers` are (text, start in the passage); a start may be off by some characters in CMRC."""

    text: str
    passage: int
    answers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Passages, and the questions about them."""

    name: str
    passages: tuple[str, ...]
    questions: tuple[AnsweredQuestion, ...]


def read_question_sets(data: Path) -> list[QuestionSet]:
    """The three sets of the data folder: CMRC 2018, and XQuAD in Chinese and English."""
    return [read_cmrc(data), read_xquad(data, "zh"), read_xquad(data, "en")]


def read_cmrc(data: Path) -> QuestionSet:
    """All questions of the development set."""
    paragraphs = [
        paragraph
        for entry in json.loads((data / "cmrc2018" / "cmrc2018_dev.json").read_text(encoding="utf-8"))["data"]
        for paragraph in entry["paragraphs"]
    ]
    questions = [
        AnsweredQuestion(
            question["question"], index, tuple((answer["text"], answer["answer_start"]) for answer in question["answers"])
        )
        for index, paragraph in enumerate(paragraphs)
        for question in paragraph["qas"]
    ]
    return QuestionSet("CMRC", tuple(paragraph["context"] for paragraph in paragraphs), tuple(questions))


def read_xquad(data: Path, language: str) -> QuestionSet:
    """All questions in one language, `en` or `zh`. Passages and questions of both have the same order."""
    lines = (data / "xquad" / f"xquad_{language}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    passages = {row["id"]: row["text"] for row in rows if row["kind"] == "passage"}
    places = {identifier: place for place, identifier in enumerate(passages)}
    questions = [
        AnsweredQuestion(row["text"], places[row["passage"]], ((row["answer"], row["start"]),))
        for row in rows
        if row["kind"] == "question"
    ]
    return QuestionSet(f"XQuAD {language}", tuple(passages.values()), tuple(questions))
