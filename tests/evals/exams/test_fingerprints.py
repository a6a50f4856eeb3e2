"""What exams ask is recognised in lessons, and an exam that is not here is named."""

from __future__ import annotations

from pathlib import Path

from yearling.chat import load_spec
from yearling.evals import fingerprint_exams
from yearling.tasks.ngrams import find_leaked_exam, text_units


def test_a_question_of_the_spec_is_recognised(tmp_path: Path) -> None:
    found, _ = fingerprint_exams(tmp_path)
    questions = [twin.question for case in load_spec().cases for twin in case.twins]
    told = [question for question in questions if len(text_units(question)) >= 5]
    assert len(told) > 100
    assert {find_leaked_exam([question], found) for question in told} == {"spec"}
    assert find_leaked_exam(["Nobody ever asked for a purple elephant with seven legs and a small hat."], found) is None


def test_an_exam_that_is_not_here_is_named(tmp_path: Path) -> None:
    found, missing = fingerprint_exams(tmp_path)
    assert {one.exam for one in found}.isdisjoint(missing)
    assert "ifeval" in missing
