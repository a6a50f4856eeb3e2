"""Judges may gate only if they agree with people, and planted leaks are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from yearling.config import Settings
from yearling.evals import Case, GraderCard, LLMBarPair, SubjectResponse, build_judge_card, build_judge_exam, find_leaks, run_exam
from yearling.records import SamplingSettings
from yearling.store import Store
from yearling.tasks import Demonstration, Lesson, LessonSet, fingerprint_exam

PAIRS = [LLMBarPair("Say yes.", "yes" if i % 2 else "no", "no" if i % 2 else "yes", 1 if i % 2 else 2) for i in range(40)]


class Judge:
    """A subject that judges by a rule, or always gives the same answer."""

    kind = "engine"
    model = "tiny"
    model_hash = "x"
    max_concurrency = 4

    def __init__(self, *, always: str = "") -> None:
        self._always = always

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        better = "1" if "Answer 1: yes" in case.messages[0]["content"] else "2"
        return SubjectResponse(text=self._always or better)


async def run_judge_exam(judge: Judge, folder: Path) -> tuple[GraderCard, dict[str, Any]]:
    with Store.open(Settings(data_dir=folder)) as store:
        run = await run_exam(build_judge_exam(PAIRS), judge, store, fresh=True)
    return build_judge_card(run), {metric["name"]: metric for metric in run.summary["measures"]}


async def test_accurate_judge_may_gate_and_position_biased_judge_may_not(tmp_path: Path) -> None:
    accurate, _ = await run_judge_exam(Judge(), tmp_path)
    assert (accurate.accuracy, accurate.consistency, accurate.num_labels, accurate.may_gate) == (1.0, 1.0, 40, True)
    biased, metrics = await run_judge_exam(Judge(always="1"), tmp_path)
    assert (biased.accuracy, biased.consistency, biased.may_gate) == (0.5, 0.0, False)
    assert (metrics["given"]["value"], metrics["exchanged"]["value"]) == (0.5, 0.5)
    assert metrics["consistency"]["high"] == pytest.approx(1 - 0.025 ** (1 / 40))  # exact, for none of 40


def test_planted_leak_is_found(tmp_path: Path) -> None:
    question = "Write a letter of three paragraphs to the landlord about the broken window in the kitchen of flat nine please."
    lessons = [
        Demonstration(key="a", messages=({"role": "user", "content": f"Hello. {question} Thanks."},), answer="Dear landlord"),
        Demonstration(
            key="b", messages=({"role": "user", "content": "Something quite different, of no exam at all."},), answer="Ok"
        ),
    ]

    class Planted(LessonSet):
        def lessons(self) -> Iterator[Lesson]:
            return iter(lessons)

    planted = Planted(folder=tmp_path, hash="h", version=1, manifest={})
    assert [(leak.key, leak.exam) for leak in find_leaks(planted, [fingerprint_exam("exam", [question])])] == [("a", "exam")]
