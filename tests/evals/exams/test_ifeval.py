"""IFEval's own checkers, offline: every one of the 834 checks runs, and decides as it should."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from yearling.errors import NotFound
from yearling.evals import Exam, ExamDataFolders, SubjectResponse, exam_downloads, open_exam
from yearling.evals.exams.ifeval_checkers import loose_variants
from yearling.models import fetch_file


@pytest.fixture(scope="module")
def ifeval() -> Exam:
    """Fetched once per machine, beside the models of the tests."""
    pytest.importorskip("nltk", reason="the extra `exams` is not installed")
    cache = Path(os.environ.get("YEARLING_TEST_MODELS") or platformdirs.user_cache_dir("yearling-tests", appauthor=False))
    folder = cache.parent / "yearling-exams"
    for file in exam_downloads()["ifeval"].files:
        fetch_file(file.source, folder / "ifeval" / file.path, sha256=file.sha256)
    return open_exam("ifeval", ExamDataFolders(folder))


@pytest.mark.slow
def test_all_checks_run_and_repeat(ifeval: Exam) -> None:
    text = "*Here* is my answer. It has two sentences and 3 words.\n\nP.S. Bye."
    checks, seen = 0, []
    for case in ifeval.cases:
        verdict = ifeval.grader.grade(case, SubjectResponse(text=text))
        checks += int(verdict.ratios["instruction_strict"][1])
        seen.append(verdict)
    assert (len(ifeval.cases), checks) == (541, 834)
    some = [at for at, case in enumerate(ifeval.cases) if "language:response_language" in case.data["instructions"]]
    assert len(some) == 31
    assert [ifeval.grader.grade(ifeval.cases[at], SubjectResponse(text=text)) for at in some] == [seen[at] for at in some]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("instruction", "arguments", "good", "bad"),
    [
        ("punctuation:no_comma", {}, "No comma here.", "One, here."),
        ("startend:quotation", {}, '"Quoted."', "Not quoted."),
        ("detectable_format:title", {}, "<<A title>>\nText", "Text"),
        (
            "length_constraints:number_sentences",
            {"num_sentences": 2, "relation": "at least"},
            "Dr. Smith left. He ran.",
            "Dr. Smith left.",
        ),
        ("change_case:english_capital", {}, "THIS IS ENGLISH TEXT WITH CAPITALS", "This is English text"),
        (
            "change_case:capital_word_frequency",
            {"capital_relation": "at least", "capital_frequency": 2},
            "TWO WORDS here",
            "ONE word",
        ),
        (
            "language:response_language",
            {"language": "de"},
            "Das ist ein deutscher Satz und noch einer dazu.",
            "This is an English sentence.",
        ),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "a = 1"),
    ],
)
def test_checks_tell_good_from_bad(ifeval: Exam, instruction: str, arguments: dict[str, object], good: str, bad: str) -> None:
    checkers = ifeval.grader.checkers  # type: ignore[attr-defined]
    assert checkers.follow("x", [instruction], [arguments], good).strict == (True,)
    assert checkers.follow("x", [instruction], [arguments], bad).strict == (False,)
    assert checkers.follow("x", [instruction], [arguments], "").strict == (False,)


@pytest.mark.slow
def test_the_loose_measure_forgives_a_preamble(ifeval: Exam) -> None:
    checkers = ifeval.grader.checkers  # type: ignore[attr-defined]
    found = checkers.follow("x", ["startend:quotation"], [{}], 'Sure, here it is:\n"Quoted."')
    assert (found.strict, found.loose) == ((False,), (True,))
    with pytest.raises(NotFound):
        checkers.follow("x", ["no:such"], [{}], "x")


def test_variants_drop_the_ends_and_the_asterisks() -> None:
    assert loose_variants("a\n*b*\nc") == ["a\n*b*\nc", "*b*\nc", "a\n*b*", "*b*", "a\nb\nc", "b\nc", "a\nb", "b"]
