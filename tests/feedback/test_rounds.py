"""Rounds as people see them: questions are checked, everybody judges the same pairs once, and a round ends at its goal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import open_feedback_log
from tests.store.examples import make_round_answers
from yearling.errors import BadInput, Conflict
from yearling.feedback import (
    MAX_QUESTIONS,
    MAX_ROUND_QUESTION_CHARS,
    MAX_WANTED_CHARS,
    FeedbackLog,
    close_finished_rounds,
    create_round,
    pairs_to_judge,
    parse_questions_csv,
    round_progress,
)
from yearling.store import Round, RoundMethod, RoundPair, RoundQuestion


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


def make_round(log: FeedbackLog, count: int = 3, *, people: int = 2, wanted: str = "") -> Round:
    """A round of the owner, whose pairs are all answered."""
    owner = log.store.people.owner().id
    questions = [RoundQuestion(question=f"Question {number}?", wanted=wanted) for number in range(count)]
    method: RoundMethod = "wanted" if wanted else "sampling"
    made = create_round(log.store, owner, title="Round", questions=questions, people_per_pair=people, method=method)
    for pair in log.store.rounds.pairs([made.id]):
        log.store.rounds.record_answers(pair.id, *make_round_answers(owner, wanted=pair.wanted))
    return log.store.rounds.get(made.id)


def judge(log: FeedbackLog, person_id: str, pair: RoundPair) -> str:
    assert pair.left_item
    assert pair.right_item
    return log.compare(person_id, pair.right_item, pair.left_item, "left").id


def test_everybody_judges_the_same_pairs_until_the_round_ends(log: FeedbackLog) -> None:
    people = [log.store.people.add(name).id for name in ("Ada", "Ben", "Cleo")]
    made = make_round(log, 12, people=2)
    orders = [[pair.position for pair in pairs_to_judge(log, person)] for person in people]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] == [pair.position for pair in pairs_to_judge(log, people[0])]
    for count, pair in enumerate(pairs_to_judge(log, people[0])):
        judge(log, people[0], pair)
        assert len(pairs_to_judge(log, people[0])) == 11 - count
    assert close_finished_rounds(log) == []
    progress = round_progress(log, [made])[made.id]
    assert (progress.judgements, progress.complete, progress.people) == (12, 0, 1)
    for pair in pairs_to_judge(log, people[1])[:5]:
        judge(log, people[1], pair)
    assert len(pairs_to_judge(log, people[2])) == 7  # the other five have their two people
    for pair in pairs_to_judge(log, people[2])[:-1]:
        judge(log, people[2], pair)
    (last,) = pairs_to_judge(log, people[1])
    judge(log, people[1], last)
    assert close_finished_rounds(log, items=["other"]) == []
    assert close_finished_rounds(log, items=[last.left_item or ""]) == [made.id]
    progress = round_progress(log, [made])[made.id]
    assert (progress.pairs, progress.complete, progress.judgements, progress.people) == (12, 12, 24, 3)
    assert log.store.rounds.get(made.id).state == "closed"
    assert pairs_to_judge(log, people[2]) == []


def test_withdrawn_judgement_does_not_count(log: FeedbackLog) -> None:
    ada = log.store.people.add("Ada").id
    made = make_round(log, 1, people=1)
    (pair,) = pairs_to_judge(log, ada)
    event = judge(log, ada, pair)
    judge(log, ada, pair)
    assert round_progress(log, [made])[made.id].judgements == 1
    log.retract(ada, event)
    assert pairs_to_judge(log, ada) == []
    log.retract(ada, log.index.events()[-2].id)
    assert pairs_to_judge(log, ada) == [pair]
    assert close_finished_rounds(log) == []


def test_a_round_with_waiting_pairs_stays_open_and_one_without_answers_ends(log: FeedbackLog) -> None:
    owner = log.store.people.owner().id
    made = create_round(log.store, owner, title="Round", questions=[RoundQuestion(question="1"), RoundQuestion(question="2")])
    first, second = log.store.rounds.pairs([made.id])
    log.store.rounds.record_failure(first.id, "No answer.")
    assert close_finished_rounds(log) == []
    assert not round_progress(log, [made])[made.id].is_finished
    log.store.rounds.record_failure(second.id, "No answer.")
    assert close_finished_rounds(log) == [made.id]


def test_nobody_judges_the_answer_that_they_wrote(log: FeedbackLog) -> None:
    owner, ada = log.store.people.owner().id, log.store.people.add("Ada").id
    make_round(log, 1, wanted="The answer that I want.")
    assert pairs_to_judge(log, owner) == []
    (pair,) = pairs_to_judge(log, ada)
    with pytest.raises(Conflict, match="your own"):
        judge(log, owner, pair)
    with pytest.raises(Conflict, match="your own"):
        log.rate(owner, pair.right_item or "", 1)
    log.rate(owner, pair.left_item or "", 1)  # the model's answer, although the sample is the owner's
    judge(log, ada, pair)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": " \n "}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"questions": []}, "1 to 200 questions"),
        ({"questions": [RoundQuestion(question=str(number)) for number in range(MAX_QUESTIONS + 1)]}, "not 201"),
        ({"questions": [RoundQuestion(question="a"), RoundQuestion(question=" \t")]}, "Question 2 has no question"),
        ({"questions": [RoundQuestion(question="x" * (MAX_ROUND_QUESTION_CHARS + 1))]}, "Question 1 has 2,001 characters"),
        ({"questions": [RoundQuestion(question="a"), RoundQuestion(question=" a ")]}, "Question 2 repeats question 1"),
        ({"questions": [RoundQuestion(question="a", wanted="b")]}, "an answer of yours"),
        ({"method": "wanted"}, "no answer of yours"),
        (
            {"method": "wanted", "questions": [RoundQuestion(question="a", wanted="x" * (MAX_WANTED_CHARS + 1))]},
            "8,001 characters in its answer",
        ),
        ({"method": "models", "models": ["a", "a"]}, "two models"),
        ({"models": ["a", "b"]}, "only if two"),
        ({"people_per_pair": 0}, "people"),
        ({"people_per_pair": 51}, "people"),
    ],
)
def test_invalid_round_is_refused(log: FeedbackLog, changes: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"title": "Round", "questions": [RoundQuestion(question="One?")], **changes}
    with pytest.raises(BadInput, match=message):
        create_round(log.store, log.store.people.owner().id, **values)
    assert log.store.rounds.list() == []


@pytest.mark.parametrize(
    ("content", "questions"),
    [
        ("One?\nTwo?\n", [("One?", ""), ("Two?", "")]),
        ("\ufeffQuestion,Answer\r\nOne?,1\r\n\r\nTwo?,\r\n", [("One?", "1"), ("Two?", "")]),
        ("id;answer;question\n7;Yes;One, two; \n", None),
        ("id;answer;question\n7;Yes;One, two\n", [("One, two", "Yes")]),
        ("question\tanswer\nOne?\t1\n", [("One?", "1")]),
        ('"question","answer"\n"One,\n""two""?","a\nb"\n', [('One,\n"two"?', "a\nb")]),
        ("问题,答案\n为什么？,因为\n", [("为什么？", "因为")]),
        ("One; or two?,1\n", [("One; or two?", "1")]),
        ("\ufeffsep=;\r\nOne?;1\r\n", [("One?", "1")]),
        ("sep=\t\nquestion\tanswer\nOne?\t1\n", [("One?", "1")]),
    ],
)
def test_csv_is_read(content: str, questions: list[tuple[str, str]] | None) -> None:
    if questions is None:
        with pytest.raises(BadInput, match="Line 2 has 4 columns, not 3"):
            parse_questions_csv(content)
    else:
        assert [(entry.question, entry.wanted) for entry in parse_questions_csv(content)] == questions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no questions"),
        ("question,answer\n", "no questions"),
        ('One?\n"Two?\n', "Line 2 is not valid CSV"),
        ('One?\n"Two" or?\n', "Line 2 is not valid CSV"),
        ("One?\nAnd a, b, c?\n", "Line 2 has 3 columns"),
        ("question,answer\n,only an answer\n", "Line 2 has no question"),
        ("One?\n\u200b\u2060\n", "Line 2 has no question"),
        ("sep=;\nquestion;answer\n;only an answer\n", "Line 3 has no question"),
        ("One?\n" + "x" * (MAX_ROUND_QUESTION_CHARS + 1), "Line 2 has 2,001 characters"),
        ("\n".join(str(number) for number in range(MAX_QUESTIONS + 1)), "more than 200"),
        ("x" * 1_000_001, "more than 1,000,000 characters"),
        ("x" * 200_000, "Line 1 is not valid CSV"),
    ],
)
def test_invalid_csv_names_the_line(content: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_questions_csv(content)
