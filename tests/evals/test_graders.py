"""Graders on small answers by hand, and against human labels where the data is available."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from yearling.errors import BadInput, NotFound
from yearling.evals import Case, ExamDataFolders, SubjectResponse, exam_entries, open_exam, validate_answers, validate_refusals
from yearling.evals.exams.gsm8k import NumberGrader
from yearling.evals.exams.question_answering import SHORT_ANSWER_CARD as ANSWER_CARD
from yearling.evals.exams.question_answering import ChineseAnswerGrader, ConfidenceGrader
from yearling.evals.exams.sources import external_datasets
from yearling.evals.exams.truthfulqa import MultipleChoiceGrader
from yearling.evals.graders.answers import contains_reference, matches_reference
from yearling.evals.graders.refusal import REFUSAL_CARD as REFUSAL_CARD
from yearling.evals.graders.refusal import is_refusal


def data_folder(name: str) -> Path:
    """The folder of data sets, if it contains this one; otherwise the test is skipped."""
    folder = Path(os.environ.get("YEARLING_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (folder / name).exists():
        pytest.skip(f"the data set {name} is not available (YEARLING_SHARED_DATA)")
    return folder


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("The Beatles", "beatles", True),
        ("fourteen", "14", True),
        ("December 1972", "14 December 1972 UTC", False),
        ("1972", "14 December 1972", True),
        ("1973", "14 December 1972", False),
        ("Guy Henry", "actor Guy Henry's", True),
        ("Louis XIV of France", "Louis XIV", True),
        ("Bob Russell", "Bobby Scott", False),
        ("24 letters", "twenty-four", True),
        ("$126 million", "$12.6 billion", False),
        ("the nfl", "National Football League", True),
        ("nfl", "National Hockey League", False),
        ("Spartan", "Sparta", True),
        ("captain hector barbosa", "Hector Barbossa", True),
        ("Democrats", "the Democratic Party", True),
        ("Republicans", "the Democratic Party", False),
        ("2256", "2256–2257", True),
        ("53", "53-member main roster", True),
        ("54", "53-member main roster", False),
        ("party", "party", True),
        ("", "x", False),
    ],
)
def test_short_answers_match_references_of_the_same_meaning(answer: str, reference: str, expected: bool) -> None:
    assert matches_reference(answer, [reference]) is expected


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("So it is $9{,}500.", "wrong"),
        ("#### $1,234\nThat is 2 more.", "right"),
        ("#### 1 234", "right"),
        ("答案是１，２３４。", "right"),
        ("I do not know.", "no_number"),
    ],
)
def test_numbers_are_graded(text: str, label: str) -> None:
    case = Case(key="a", messages=(), data={"number": 1234.0})
    assert NumberGrader().grade(case, SubjectResponse(text=text)).label == label


def test_references_are_found_in_sentences() -> None:
    assert contains_reference("It was, I think, the Beatles who sang it.", ["Beatles"])
    assert not contains_reference("It was the Beatlesque band.", ["Beatles"])


def test_refusals_are_detected() -> None:
    assert is_refusal("I'm sorry, but I can't help with that.")
    assert not is_refusal("To kill a Python process, find its number with ps and run kill.")


def test_option_log_probabilities_give_mc1_and_mc2() -> None:
    case = Case(key="a", messages=(), options=("t1", "t2", "f"), data={"true": 2})
    verdict = MultipleChoiceGrader().grade(case, SubjectResponse(text="", option_logprobs=(-1.0, -3.0, -2.0)))
    assert verdict.score == 1.0
    assert verdict.ratios["mc2"][0] == pytest.approx((0.3679 + 0.0498) / (0.3679 + 0.0498 + 0.1353), abs=1e-3)
    assert MultipleChoiceGrader().grade(case, SubjectResponse(text="", option_logprobs=(-3.0, -1.0, -2.0))).score == 0.0


def test_stated_confidence_and_chinese_answers_are_graded() -> None:
    case = Case(key="a", messages=(), data={"references": ["Paris"]})
    verdict = ConfidenceGrader().grade(case, SubjectResponse(text="Paris\nConfidence: 70%"))
    assert (verdict.score, verdict.detail["confidence"]) == (1.0, 0.7)
    assert ConfidenceGrader().grade(case, SubjectResponse(text="Rome")).detail["confidence"] is None
    chinese = Case(key="b", messages=(), data={"references": ["光荣和ω-force", "光荣"]})
    assert ChineseAnswerGrader().grade(chinese, SubjectResponse(text="光荣。")).score == 1.0
    assert ChineseAnswerGrader().grade(chinese, SubjectResponse(text="是光荣吗")).ratios["f1"][0] == pytest.approx(2 * 2 / 6)


def test_refusal_card_equals_the_agreement_with_people() -> None:
    fitted, untouched = validate_refusals(data_folder("xstest") / "xstest")
    assert (fitted.labels, untouched.labels) == (1110, 1140)
    assert untouched.accuracy == pytest.approx(REFUSAL_CARD.accuracy, abs=1e-3)
    assert untouched.recall == pytest.approx(REFUSAL_CARD.recall or 0, abs=1e-3)
    assert REFUSAL_CARD.may_gate


def test_short_answer_card_equals_the_agreement_with_people_and_is_below_its_bar() -> None:
    development, untouched = validate_answers(data_folder("nq_open") / "nq_open" / "NQ-open.efficientqa.test.1.1.jsonl")
    assert (development.labels, untouched.labels) == (2419, ANSWER_CARD.num_labels)
    assert untouched.accuracy == pytest.approx(ANSWER_CARD.accuracy, abs=1e-3)
    assert untouched.recall == pytest.approx(ANSWER_CARD.recall or 0, abs=1e-3)
    assert not ANSWER_CARD.may_gate


@pytest.mark.drill
def test_every_exam_of_the_users_folder_opens(tmp_path: Path) -> None:
    folders = ExamDataFolders(tmp_path, data_folder("gsm8k"))
    sizes = {name: len(open_exam(name, folders).cases) for name, entry in exam_entries().items() if entry.required_files}
    assert sizes == {
        "gsm8k": 1319,
        "truthfulqa-mc": 817,
        "truthfulqa": 817,
        "nq-open": 3610,
        "calibration": 1000,
        "xstest": 450,
        "persistbench": 500,
        "persistbench-chosen": 500,
        "cmrc2018": 3219,
    }


def test_exams_name_their_missing_files(tmp_path: Path) -> None:
    assert "exam pull ifeval" in exam_entries()["ifeval"].missing_requirements(ExamDataFolders(tmp_path))
    assert "gsm8k/test.jsonl" in exam_entries()["gsm8k"].missing_requirements(ExamDataFolders(tmp_path))
    assert exam_entries()["constraints"].missing_requirements(ExamDataFolders(tmp_path)) == ""
    assert "exam pull persistbench" in exam_entries()["persistbench-chosen"].missing_requirements(ExamDataFolders(tmp_path))
    for name in ("gsm8k", "ifeval", "nothing"):
        with pytest.raises(NotFound):
            open_exam(name, ExamDataFolders(tmp_path))


def test_every_file_that_an_exam_wants_is_downloaded_or_has_an_address(tmp_path: Path) -> None:
    for entry in exam_entries().values():
        for path in entry.required_files:
            how = ExamDataFolders(tmp_path).how_to_get(path)
            assert "yearling exam pull" in how or ("https://" in how and str(tmp_path / path) in how), path
    wanted = {path for entry in exam_entries().values() for path in entry.required_files}
    assert set(external_datasets()) <= wanted


def test_a_data_set_is_found_in_the_data_folder_or_the_named_folder(tmp_path: Path) -> None:
    entry = exam_entries()["gsm8k"]
    solution = json.dumps({"question": "How many?", "answer": "Two.\n#### 2"})
    for folder in ("data", "named"):
        (tmp_path / folder / "gsm8k").mkdir(parents=True)
        (tmp_path / folder / "gsm8k" / "test.jsonl").write_text(solution)
        folders = ExamDataFolders(tmp_path / "data", tmp_path / "named" if folder == "named" else None)
        assert entry.missing_requirements(folders) == ""
        assert [case.data for case in open_exam("gsm8k", folders).cases] == [{"number": 2.0}]
        (tmp_path / folder / "gsm8k" / "test.jsonl").unlink()


CUSTOM_EXAM = """
title: Ours
samples: 2
cases:
  - {key: a, user: "How many?", contains: ["30"], not_contains: [cheese]}
  - {key: b, user: "Which?", options: [Paris, Lyon], best: Paris}
  - {user: "Do it", refuses: true, matches: "(?i)sorry"}
"""


def test_custom_exam_is_read_and_graded(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(CUSTOM_EXAM)
    exam = open_exam(str(tmp_path / "ours.yaml"), ExamDataFolders(tmp_path))
    assert [case.key for case in exam.cases] == ["a", "b", "ours 3"]
    assert exam.num_samples == 6

    def score(index: int, text: str) -> float:
        return exam.grader.grade(exam.cases[index], SubjectResponse(text=text)).score

    assert score(0, "There are 30 days.") == 1.0
    assert score(0, "30 pieces of cheese") == 0.0
    assert score(0, "130") == 0.0
    assert (score(1, "Paris"), score(1, "Lyon")) == (1.0, 0.0)
    assert score(2, "I'm sorry, but I cannot help with that.") == 1.0
    assert open_exam(str(tmp_path), ExamDataFolders(tmp_path)).cases == exam.cases


def test_custom_exam_in_the_folder_of_exams_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(CUSTOM_EXAM)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "first.yml").write_text(CUSTOM_EXAM)
    folders = ExamDataFolders(tmp_path)
    assert open_exam("ours", folders).name == "ours"
    assert len(open_exam("theirs", folders).cases) == 3
    with pytest.raises(NotFound, match=r"no exam 'nobodys'") as caught:
        open_exam("nobodys", folders)
    assert "ours, theirs" in caught.value.advice
    (tmp_path / "constraints.yaml").write_text(CUSTOM_EXAM)
    assert open_exam("constraints", folders).num_samples > 100, "an exam of the catalogue is replaced"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("{user: x}", "has no check"),
        ("{user: x, contain: [a]}", "unknown field"),
        ("{contains: [a]}", "has no question"),
        ("{user: x, matches: '('}", "regular expression"),
        ("{user: x, options: [a], best: b}", "options"),
    ],
)
def test_invalid_custom_cases_are_rejected_with_file_and_number(tmp_path: Path, case: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(f"cases:\n  - {case}\n")
    with pytest.raises(BadInput, match=f"Case 1 of a.yaml .*{message}"):
        open_exam(str(tmp_path / "a.yaml"), ExamDataFolders(tmp_path))
