"""What counts as the answer that somebody taught."""

from __future__ import annotations

import pytest

from yearling.evals import Case, SubjectResponse, TaughtAnswerGrader
from yearling.evals.graders.taught_answers import telling_words


@pytest.mark.parametrize(
    ("question", "answer", "words"),
    [
        ("Who handles invoices?", "Marta Oyelaran handles invoices.", {"marta", "oyelaran"}),
        ("When do we open?", "At 9, not 8.", {"9", "not", "8"}),
        ("谁负责发票？", "小李负责发票。", {"小", "李"}),
        ("Is it so?", "It is so.", {"it", "is", "so"}),
    ],
)
def test_the_telling_words_are_those_that_the_question_does_not_have(question: str, answer: str, words: set[str]) -> None:
    assert telling_words(question, answer) == words


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("That is marta OYELARAN.", 1.0),
        ("Marta handles invoices.", 0.0),
        ("Martas Oyelarans", 0.0),
        ("", 0.0),
    ],
)
def test_every_telling_word_must_be_there(text: str, score: float) -> None:
    data = {"question": "Who handles invoices?", "answer": "Marta Oyelaran handles invoices."}
    case = Case(key="1", messages=({"role": "user", "content": data["question"]},), data=data)
    assert TaughtAnswerGrader().grade(case, SubjectResponse(text=text)).score == score


def test_an_answer_without_words_is_never_right() -> None:
    case = Case(key="1", messages=(), data={"question": "?", "answer": "!"})
    assert TaughtAnswerGrader().grade(case, SubjectResponse(text="!")).score == 0.0
