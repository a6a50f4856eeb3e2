"""Questions with the passages that answer them: our own set, CMRC 2018, and XQuAD in Chinese and English.

Our own set is about invented towns, so that no model knows the answers. The public sets are read from a folder that the user
names. Cui et al. 2019 (CMRC 2018); Artetxe et al. 2020 (XQuAD).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, NotFound

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PASSAGES = 10_000
MAX_QUESTIONS = 50_000
MAX_TEXT_CHARS = 20_000
"""Characters of a passage or a question."""

_CMRC_FILE = "cmrc2018/cmrc2018_dev.json"
_XQUAD_FILES = {language: f"xquad/xquad_{language}.jsonl" for language in ("zh", "en")}
_OWN_FILES = {"own en": "own_en.toml", "own zh": "own_zh.toml"}


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question about one passage. `answers` are (text, start in the passage); a start may be off by some characters in CMRC.

    `revised_answer` is what a newer version of the passage answers; empty where there is none.
    """

    text: str
    passage: int
    answers: tuple[tuple[str, int], ...]
    revised_answer: str = ""


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Passages, and the questions about them. `unanswerable` are questions that no passage answers.

    `sha256` is that of the file that the set was read from.
    """

    name: str
    passages: tuple[str, ...]
    questions: tuple[AnsweredQuestion, ...]
    unanswerable: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""
    sha256: str = ""


def read_own_sets() -> list[QuestionSet]:
    """Our own questions, in English and in Chinese."""
    return [_read_own(name, Path(__file__).parent / file) for name, file in _OWN_FILES.items()]


def read_available_sets(folder: Path | None) -> list[QuestionSet]:
    """The public sets that the folder has; our own without a folder.

    Raises NotFound for a folder with none of them, and BadInput for a file that is not as published.
    """
    if folder is None:
        return read_own_sets()
    found = []
    if (folder / _CMRC_FILE).is_file():
        found.append(read_cmrc(folder))
    found += [read_xquad(folder, language) for language, file in _XQUAD_FILES.items() if (folder / file).is_file()]
    if not found:
        raise NotFound(
            f"{folder} has no questions with passages.",
            advice=f"It needs one of {', '.join((_CMRC_FILE, *_XQUAD_FILES.values()))}. "
            "Without --data our own questions are asked.",
            param="data",
        )
    return found


def read_question_sets(data: Path) -> list[QuestionSet]:
    """The three sets of the data folder: CMRC 2018, and XQuAD in Chinese and English."""
    return [read_cmrc(data), read_xquad(data, "zh"), read_xquad(data, "en")]


def read_cmrc(data: Path) -> QuestionSet:
    """All questions of the development set. Raises BadInput for a file of another form."""
    return _read(data / _CMRC_FILE, _parse_cmrc, "CMRC", "https://github.com/ymcui/cmrc2018")


def read_xquad(data: Path, language: str) -> QuestionSet:
    """All questions in one language, `en` or `zh`. Passages and questions of both have the same order.

    Raises BadInput for a file of another form.
    """
    source = "https://github.com/google-deepmind/xquad"
    return _read(data / _XQUAD_FILES[language], _parse_xquad, f"XQuAD {language}", source)


_Parsed = tuple[Sequence[str], Sequence[AnsweredQuestion]]


def _read(path: Path, parse: Callable[[str], _Parsed], name: str, source: str) -> QuestionSet:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BadInput(f"{path} is larger than {MAX_FILE_BYTES:,} bytes.", advice="Use the published file.", param="data")
    content = path.read_bytes()
    try:
        passages, questions = parse(content.decode())
        _check_sizes(passages, questions)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{path} is not the published file: {type(error).__name__}: {str(error)[:200]}.",
            advice=f"Save it again from {source}.",
            param="data",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    return QuestionSet(name, tuple(passages), tuple(questions), source=source, licence="CC-BY-SA-4.0", sha256=digest)


def _parse_cmrc(text: str) -> _Parsed:
    paragraphs = [paragraph for entry in json.loads(text)["data"] for paragraph in entry["paragraphs"]]
    questions = [
        AnsweredQuestion(
            question["question"], index, tuple((answer["text"], answer["answer_start"]) for answer in question["answers"])
        )
        for index, paragraph in enumerate(paragraphs)
        for question in paragraph["qas"]
    ]
    return [paragraph["context"] for paragraph in paragraphs], questions


def _parse_xquad(text: str) -> _Parsed:
    rows = [json.loads(line) for line in text.splitlines()]
    passages = {row["id"]: row["text"] for row in rows if row["kind"] == "passage"}
    places = {identifier: place for place, identifier in enumerate(passages)}
    questions = [
        AnsweredQuestion(row["text"], places[row["passage"]], ((row["answer"], row["start"]),))
        for row in rows
        if row["kind"] == "question"
    ]
    return list(passages.values()), questions


def _read_own(name: str, path: Path) -> QuestionSet:
    content = path.read_bytes()
    tables: list[dict[str, Any]] = tomllib.loads(content.decode())["passages"]
    questions = []
    for place, table in enumerate(tables):
        revised = table["revised"]
        for number, (text, answer) in enumerate(table["questions"]):
            new = revised["answer"] if number == revised["question"] else ""
            questions.append(AnsweredQuestion(text, place, ((answer, table["text"].index(answer)),), new))
    return QuestionSet(
        name,
        tuple(table["text"] for table in tables),
        tuple(questions),
        tuple(text for table in tables for text in table["unanswerable"]),
        source="Yearling",
        licence="Apache-2.0",
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _check_sizes(passages: Sequence[str], questions: Sequence[AnsweredQuestion]) -> None:
    """Raises ValueError for a set that is too large, or for texts that are none."""
    if not 0 < len(passages) <= MAX_PASSAGES or not 0 < len(questions) <= MAX_QUESTIONS:
        raise ValueError(f"a set has up to {MAX_PASSAGES:,} passages and {MAX_QUESTIONS:,} questions, and at least one")
    answers = [(text, start) for question in questions for text, start in question.answers]
    if any(not isinstance(start, int) for _, start in answers) or any(not question.answers for question in questions):
        raise ValueError("every question has answers with the place where they stand")
    for text in (*passages, *(question.text for question in questions), *(text for text, _ in answers)):
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT_CHARS:
            raise ValueError(f"texts have 1 to {MAX_TEXT_CHARS:,} characters")
