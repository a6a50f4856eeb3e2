"""Fingerprints recognise exam questions in lessons, and exams that are not here are named."""

from __future__ import annotations

from pathlib import Path

from yearling.chat import load_spec
from yearling.evals import fingerprint_exams
from yearling.tasks.ngrams import find_leaked_exam, text_units


def test_questions_of_the_spec_are_recognised(tmp_path: Path) -> None:
    fingerprints, _ = fingerprint_exams(tmp_path)
    questions = [twin.question for case in load_spec().cases for twin in case.twins]
    long_questions = [question for question in questions if len(text_units(question)) >= 5]
    assert len(long_questions) > 100
    assert {find_leaked_exam([question], fingerprints) for question in long_questions} == {"spec"}
    assert find_leaked_exam(["Nobody ever asked for a purple elephant with seven legs and a small hat."], fingerprints) is None


def test_exam_without_its_files_is_named(tmp_path: Path) -> None:
    fingerprints, missing = fingerprint_exams(tmp_path)
    assert {fingerprint.exam for fingerprint in fingerprints}.isdisjoint(missing)
    assert "ifeval" in missing


def test_own_exams_are_recognised_and_a_broken_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text('cases: [{user: "How many days of leave do we have?", contains: ["30"]}]')
    (tmp_path / "broken.yaml").write_text("cases: [{user: x}]")
    fingerprints, missing = fingerprint_exams(tmp_path)
    assert find_leaked_exam(["How many days of leave do we have?"], fingerprints) == "ours"
    assert "has no check" in missing["broken"]
