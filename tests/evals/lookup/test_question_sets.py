"""Our own questions keep what they promise, and public files are read as published or refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from yearling.errors import BadInput, NotFound
from yearling.evals.lookup.question_sets import MAX_TEXT_CHARS, read_available_sets, read_own_sets


def test_own_questions_have_their_answer_in_exactly_one_passage() -> None:
    sets = read_own_sets()
    passages = [text for each in sets for text in each.passages]
    questions = [(each, question) for each in sets for question in each.questions]
    assert len(passages) >= 30
    assert len(questions) >= 100
    assert len(sets[0].questions) == len(sets[1].questions)
    assert sum(len(each.unanswerable) for each in sets) >= 20
    for each, question in questions:
        (answer, start), own = question.answers[0], each.passages[question.passage]
        assert own[start : start + len(answer)] == answer
        assert [text for text in passages if answer in text] == [own], question.text


def test_own_revised_answers_stand_in_no_passage() -> None:
    sets = read_own_sets()
    revised = [question.revised_answer for each in sets for question in each.questions if question.revised_answer]
    assert len(revised) == sum(len(each.passages) for each in sets)
    assert [answer for answer in revised if any(answer in text for each in sets for text in each.passages)] == []


def test_own_questions_are_asked_once() -> None:
    texts = [text for each in read_own_sets() for text in (*(q.text for q in each.questions), *each.unanswerable)]
    assert len(set(texts)) == len(texts)


def test_public_sets_are_read_with_their_hash(tmp_path: Path) -> None:
    content = write_xquad(tmp_path, [("The cat sleeps.", "Who sleeps?", "cat", 4)])
    (only,) = read_available_sets(tmp_path)
    assert only.name == "XQuAD en"
    assert only.questions[0].answers == (("cat", 4),)
    assert only.sha256 == hashlib.sha256(content).hexdigest()
    assert only.licence == "CC-BY-SA-4.0"
    cmrc = {
        "data": [
            {
                "paragraphs": [
                    {"context": "猫在睡觉。", "qas": [{"question": "谁在睡？", "answers": [{"text": "猫", "answer_start": 0}]}]}
                ]
            }
        ]
    }
    (tmp_path / "cmrc2018").mkdir()
    (tmp_path / "cmrc2018" / "cmrc2018_dev.json").write_text(json.dumps(cmrc), "utf-8")
    assert [each.name for each in read_available_sets(tmp_path)] == ["CMRC", "XQuAD en"]


def test_a_folder_without_sets_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as error:
        read_available_sets(tmp_path)
    assert "cmrc2018/cmrc2018_dev.json" in error.value.advice


@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff", b'{"kind": "question"}', b"[]", b'{"kind": "passage", "id": 0, "text": "no question"}', b"[" * 100_000],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "xquad").mkdir()
    (tmp_path / "xquad" / "xquad_en.jsonl").write_bytes(content)
    with pytest.raises(BadInput, match="is not the published file"):
        read_available_sets(tmp_path)


@pytest.mark.parametrize("text", ["", "x" * (MAX_TEXT_CHARS + 1)])
def test_texts_have_a_ceiling(tmp_path: Path, text: str) -> None:
    write_xquad(tmp_path, [(text, "Who?", "cat", 0)])
    with pytest.raises(BadInput):
        read_available_sets(tmp_path)


def write_xquad(folder: Path, rows: list[tuple[str, str, str, int]]) -> bytes:
    """Write (passage, question, answer, start) as XQuAD's English file and return its bytes."""
    lines = []
    for number, (passage, question, answer, start) in enumerate(rows):
        lines.append(json.dumps({"kind": "passage", "id": number, "text": passage}))
        lines.append(json.dumps({"kind": "question", "passage": number, "text": question, "answer": answer, "start": start}))
    content = "\n".join(lines).encode()
    (folder / "xquad").mkdir(exist_ok=True)
    (folder / "xquad" / "xquad_en.jsonl").write_bytes(content)
    return content
