"""The exam of corrections: what it asks, and that its corrections reach the assistant."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.chat.corrections.test_memory import MODEL_HASH, Provider
from yearling.chat import FixedCorrections
from yearling.chat.corrections import fixed
from yearling.chat.corrections.gate import SimilarityRule
from yearling.evals import AssistantSubject, ExamDataFolders, open_exam
from yearling.evals.exams.corrections import read_correction_cases
from yearling.inference import FakeEngine, fake_served_model
from yearling.records import SamplingSettings


def test_exam_has_ten_corrections_and_thirty_controls(tmp_path: Path) -> None:
    exam = open_exam("corrections", ExamDataFolders(tmp_path, None))
    parts = [case.part for case in exam.cases]
    counts = {part: parts.count(part) for part in dict.fromkeys(parts)}
    assert counts == {"verbatim": 10, "paraphrases": 50, "neighbours": 20, "controls": 30}
    assert len(exam.corrections) == 10
    questions = [case.messages[-1]["content"] for case in exam.cases]
    assert len(set(questions)) == len(questions)


def test_every_right_answer_holds_its_key_and_no_question_tells_it() -> None:
    for entry in read_correction_cases()["correction"]:
        assert any(key.lower() in entry["answer"].lower() for key in entry["keys"])
        for question in (entry["question"], *entry["paraphrases"], *entry["neighbours"]):
            assert not any(key.lower() in question.lower() for key in entry["keys"]), question


def test_the_assistant_is_given_the_corrections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = MappingProxyType({MODEL_HASH: SimilarityRule(threshold=0.9)})
    monkeypatch.setattr(fixed, "gate_rules", lambda: rules)
    exam = open_exam("corrections", ExamDataFolders(tmp_path, None))
    engine = FakeEngine()
    subject = AssistantSubject(fake_served_model("fake-model", engine), FixedCorrections(exam.corrections, Provider()))

    async def respond() -> list[bool]:
        found = []
        for key in ("returns verbatim 0", "control 0"):
            case = next(case for case in exam.cases if case.key == key)
            response = await subject.respond(case, SamplingSettings(max_tokens=4))
            found.append(any(message.get("source") == "correction" for message in response.messages))
        return found

    assert asyncio.run(respond()) == [True, False]
