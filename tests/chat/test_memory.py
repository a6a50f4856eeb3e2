"""Memory extraction and selection, the system messages of a person's style, comparison offers, titles."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.chat import memory_relevance
from tests.chat.memory_precision import measure, read_cases
from yearling.chat import (
    BUILTIN_MODES,
    FUN_MODE,
    REGULAR_MODE,
    SPEC_SYSTEM_MESSAGE,
    AnswerStyle,
    ExtractedMemory,
    extract_memories,
    select_memories,
    should_offer_comparison,
    system_messages,
    title_from_question,
)
from yearling.clock import new_id, now_utc
from yearling.store import ComparisonRecord


def test_extraction_meets_precision_and_recall_on_our_cases() -> None:
    score = measure(read_cases())
    assert score.num_cases >= 170
    assert score.num_expected >= 65
    assert score.precision >= 0.98, score.errors
    assert score.recall >= 0.95, score.errors


def test_measure_reports_zero_for_wrong_memories() -> None:
    score = measure([("I'm vegan.", []), ("Hello", ["I'm Bob"])])
    assert (score.precision, score.recall) == (0.0, 0.0)


def test_number_of_memories_per_message_is_limited() -> None:
    assert len(extract_memories(" ".join(f"I have {number} cats." for number in range(1, 10)))) <= 8
    assert extract_memories("I'm vegan. " + "x " * 4000) == []


MEMORIES = [
    ExtractedMemory("I'm allergic to peanuts"),
    ExtractedMemory("My name is Ada", "name"),
    ExtractedMemory("I work as a nurse"),
    ExtractedMemory("I live in Oslo", "home"),
    ExtractedMemory("I have two dogs"),
    ExtractedMemory("我喜欢爬山"),
    ExtractedMemory("From now on, answer in German"),
]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is 2 + 2?", set()),
        ("Which dessert can I bake?", {"I'm allergic to peanuts"}),
        ("How do I ask my boss for a higher salary?", {"I work as a nurse"}),
        ("What will the weather be like?", {"I live in Oslo"}),
        ("Is chocolate bad for dogs?", {"I have two dogs", "I'm allergic to peanuts"}),
        ("周末去哪里爬山？", {"我喜欢爬山", "I live in Oslo"}),
        ("Hello!", {"My name is Ada"}),
        ("Write a cover letter for a job as a nurse", {"My name is Ada", "I work as a nurse"}),
        ("你好！", {"My name is Ada"}),
        ("帮我写封信给房东", {"My name is Ada"}),
        ("这条信息是什么意思？", set()),
    ],
)
def test_relevant_memories_are_selected(question: str, expected: set[str]) -> None:
    always = {"From now on, answer in German"}
    assert {memory.text for memory in select_memories(MEMORIES, question, budget_tokens=200)} == expected | always


def test_memories_stay_out_of_questions_that_they_have_nothing_to_do_with() -> None:
    cases = list(memory_relevance.read_cases())
    for language in ("en", "zh"):
        own = [case for case in cases if case.language == language]
        assert len(own) >= 50
        helps, leaks = memory_relevance.shares(own)
        assert leaks <= 0.10
        assert helps >= 0.70  # the goal is .90, which rules do not reach: dev/LOG.md


def test_long_question_still_selects_an_allergy() -> None:
    question = (
        "I am planning a dinner for twelve colleagues on Friday, after the concert in the old theatre, and the kitchen of our "
        "flat has two rings and no oven, and one of the guests comes by train from Leeds. What could I serve in time?"
    )
    unrelated = ExtractedMemory("I have collected programmes of theatres and timetables of railways since I was a child in Leeds")
    memories = [unrelated, ExtractedMemory("I'm severely allergic to peanuts, walnuts, sesame and shellfish")]
    assert [memory.text[:10] for memory in select_memories(memories, question, budget_tokens=200)] == ["I'm severe"]
    related_question = "Where can I buy old railway timetables and theatre programmes?"
    assert unrelated in select_memories(memories, related_question, budget_tokens=200)


def test_selection_respects_the_budget_and_ranks_by_similarity() -> None:
    memories = [ExtractedMemory(f"I cook dish {number}") for number in range(50)]
    assert select_memories(memories, "What shall I cook?", budget_tokens=0) == []
    assert len(select_memories(memories, "What shall I cook?", budget_tokens=30)) == 4
    selected = select_memories([*memories, ExtractedMemory("I cook lasagne")], "Is lasagne easy to cook?", budget_tokens=10)
    assert [memory.text for memory in selected] == ["I cook lasagne"]


def test_default_style_adds_no_system_messages() -> None:
    assert system_messages(AnswerStyle()) == []


def test_personal_parts_follow_the_spec_message() -> None:
    style = AnswerStyle(mode=FUN_MODE, length="long", bluntness="gentle", language="de", instructions=" I am new here. ")
    parts = system_messages(style, ["I like tea"])
    assert [part["source"] for part in parts] == ["spec", "mode", "knobs", "personal", "memory"]
    assert parts[0]["content"] == SPEC_SYSTEM_MESSAGE
    assert parts[1]["mode"] == "fun@1"
    assert "German" in parts[2]["content"]
    assert parts[3]["content"].endswith("I am new here.")
    assert parts[4]["content"].endswith("- I like tea")
    assert {mode.name for mode in BUILTIN_MODES} == {"regular", "fun"}
    assert REGULAR_MODE.text == ""


def offered_comparison(state: Any, age_hours: float) -> ComparisonRecord:
    ids = {name: new_id() for name in ("id", "person_id", "conversation_id", "question_id", "left_id", "right_id")}
    created_utc = now_utc() - timedelta(hours=age_hours)
    return ComparisonRecord(**ids, offered=True, state=state, outcome=None, event_id=None, created_utc=created_utc)


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        ([], True),
        ([("decided", 0.1)], False),
        ([("decided", 1)], True),
        ([("skipped", 2)], False),
        ([("skipped", 30)], True),
        ([("open", 30), ("skipped", 60)], False),
        ([("open", 200), ("skipped", 300)], True),
        ([("decided", 1), ("decided", 2), ("decided", 3)], False),
        ([("decided", 1), ("decided", 2), ("decided", 30)], True),
    ],
)
def test_comparison_offers_keep_their_distance(recent: list[tuple[Any, float]], expected: bool) -> None:
    offers = [offered_comparison(state, age_hours) for state, age_hours in recent]
    assert should_offer_comparison(0.5, 0.2, offers, now_utc()) is expected
    assert should_offer_comparison(0.5, 0.7, offers, now_utc()) is False
    assert should_offer_comparison(0.0, 0.0, offers, now_utc()) is False


def test_titles_are_cut_at_a_word() -> None:
    assert title_from_question("  Hello\nthere ") == "Hello there"
    long = title_from_question("word " * 40)
    assert len(long) <= 60
    assert long.endswith("word…")
    assert title_from_question("字" * 100) == "字" * 59 + "…"
