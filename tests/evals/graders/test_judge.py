"""Judges and leaks: only who agrees with people may gate, and planted leaks are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yearling.config import Settings
from yearling.evals import Case, GraderCard, LLMBarPair, SubjectResponse, build_judge_card, build_judge_exam, find_leaks, run_exam
from yearling.records import SamplingSettings
from yearling.store import Store
from yearling.tasks import Demonstration, LessonSet, fingerprint_exam

PAIRS = [LLMBarPair("Say yes.", "yes" if i % 2 else "no", "no" if i % 2 else "yes", 1 if i % 2 else 2) for i in range(40)]


class Judge:
    """Judges by a rule."""

    kind = "engine"
    model = "tiny"
    model_hash = "x"
    max_concurrency = 4

    def __init__(self, *, always: str = "") -> None:
        self._always = always

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        good = "1" if "Answer 1: yes" in case.messages[0]["content"] else "2"
        return SubjectResponse(text=self._always or good)


async def card_of(judge: Judge, folder: Path) -> tuple[GraderCard, dict[str, Any]]:
    with Store.open(Settings(data_dir=folder)) as store:
        run = await run_exam(build_judge_exam(PAIRS), judge, store, fresh=True)
    return build_judge_card(run), {one["name"]: one for one in run.summary["measures"]}


async def test_a_judge_that_agrees_may_gate_and_one_with_a_favourite_place_may_not(tmp_path: Path) -> None:
    good, _ = await card_of(Judge(), tmp_path)
    assert (good.accuracy, good.consistency, good.num_labels, good.may_gate) == (1.0, 1.0, 40, True)
    lazy, measures = await card_of(Judge(always="1"), tmp_path)
    assert (lazy.accuracy, lazy.consistency, lazy.may_gate) == (0.5, 0.0, False)
    assert (measures["given"]["value"], measures["exchanged"]["value"]) == (0.5, 0.5)
    assert measures["consistency"]["high"] == pytest.approx(1 - 0.025 ** (1 / 40))  # exact, for none of 40


def test_a_planted_leak_is_found(tmp_path: Path) -> None:
    asked = "Write a letter of three paragraphs to the landlord about the broken window in the kitchen of flat nine please."
    lessons = [
        Demonstration(key="a", messages=({"role": "user", "content": f"Hello. {asked} Thanks."},), answer="Dear landlord"),
        Demonstration(
            key="b", messages=({"role": "user", "content": "Something quite different, of no exam at all."},), answer="Ok"
        ),
    ]

    class Planted(LessonSet):
        def lessons(self):  # type: ignore[no-untyped-def]
            return iter(lessons)

    planted = Planted(folder=tmp_path, hash="h", version=1, manifest={})
    assert [(one.key, one.exam) for one in find_leaks(planted, [fingerprint_exam("exam", [asked])])] == [("a", "exam")]
