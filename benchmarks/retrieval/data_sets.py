"""The public data sets of questions, each with the passage that answers it: CMRC 2018 (Chinese), XQuAD (Chinese and English)."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RetrievalQuestion:
    """A question, the number of the passage that answers it, and the answer's words."""

    text: str
    passage: int
    answer: str


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Passages and the questions about them."""

    name: str
    passages: tuple[str, ...]
    questions: tuple[RetrievalQuestion, ...]


def load_sets(folder: Path) -> list[RetrievalSet]:
    """The three sets of the data folder."""
    return [
        _load_cmrc(folder / "cmrc2018" / "cmrc2018_dev.json"),
        _load_xquad("XQuAD zh", folder / "xquad" / "xquad_zh.jsonl"),
        _load_xquad("XQuAD en", folder / "xquad" / "xquad_en.jsonl"),
    ]


def _load_cmrc(path: Path) -> RetrievalSet:
    paragraphs = [paragraph for entry in json.loads(path.read_text("utf-8"))["data"] for paragraph in entry["paragraphs"]]
    questions = [
        RetrievalQuestion(_nfc(question["question"]), number, _nfc(question["answers"][0]["text"]))
        for number, paragraph in enumerate(paragraphs)
        for question in paragraph["qas"]
    ]
    return RetrievalSet("CMRC dev", tuple(_nfc(paragraph["context"]) for paragraph in paragraphs), tuple(questions))


def _load_xquad(name: str, path: Path) -> RetrievalSet:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    passages = {row["id"]: _nfc(row["text"]) for row in rows if row["kind"] == "passage"}
    numbers = {passage_id: number for number, passage_id in enumerate(passages)}
    questions = [
        RetrievalQuestion(_nfc(row["text"]), numbers[row["passage"]], _nfc(row["answer"]))
        for row in rows
        if row["kind"] != "passage"
    ]
    return RetrievalSet(name, tuple(passages.values()), tuple(questions))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
