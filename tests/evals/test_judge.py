"""Judges and leaks: only who agrees with people may gate, and planted leaks are found."""

from __future__ import annotations

from pathlib import Path

from yearling.evals import Case, JudgedPair, Response, find_leaks, validate_judge
from yearling.records import SamplingSettings
from yearling.tasks import Demonstration, LessonSet, fingerprint

PAIRS = [JudgedPair("Say yes.", "yes" if i % 2 else "no", "no" if i % 2 else "yes", 1 if i % 2 else 2) for i in range(40)]


class Judge:
    """Judges by a rule."""

    kind = "engine"
    model = "tiny"
    model_hash = "x"

    def __init__(self, *, always: str = "") -> None:
        self._always = always

    async def respond(self, case: Case, sampling: SamplingSettings) -> Response:
        good = "1" if "Answer 1: yes" in case.messages[0]["content"] else "2"
        return Response(text=self._always or good)


async def test_a_judge_that_agrees_may_gate_and_one_with_a_favourite_place_may_not() -> None:
    good = await validate_judge(Judge(), PAIRS)
    assert (good.accuracy, good.consistency, good.may_gate) == (1.0, 1.0, True)
    lazy = await validate_judge(Judge(always="1"), PAIRS)
    assert (lazy.accuracy, lazy.consistency, lazy.may_gate) == (0.5, 0.0, False)


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
    assert [(one.key, one.exam) for one in find_leaks(planted, [fingerprint("exam", [asked])])] == [("a", "exam")]
