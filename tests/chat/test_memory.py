"""What is remembered of what people say, which memories bear on a question, and what goes before it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.chat.memory_precision import measure, read
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


def test_the_cases_of_our_own() -> None:
    outcome = measure(read())
    assert outcome.cases >= 170
    assert outcome.wanted >= 65
    assert outcome.precision >= 0.98, outcome.faults
    assert outcome.recall >= 0.95, outcome.faults


def test_the_measure_can_fail() -> None:
    outcome = measure([("I'm vegan.", []), ("Hello", ["I'm Bob"])])
    assert (outcome.precision, outcome.recall) == (0.0, 0.0)


def test_one_message_leaves_few_memories_and_a_pasted_book_none() -> None:
    assert len(extract_memories(" ".join(f"I have {number} cats." for number in range(1, 10)))) <= 8
    assert extract_memories("I'm vegan. " + "x " * 4000) == []


FACTS = [
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
        ("周末去哪里爬山？", {"我喜欢爬山"}),
    ],
)
def test_what_bears_on_a_question_is_chosen(question: str, expected: set[str]) -> None:
    always = {"My name is Ada", "From now on, answer in German"}
    assert {fact.text for fact in select_memories(FACTS, question, budget_tokens=200)} == expected | always


def test_a_long_question_is_near_to_little_but_an_allergy_is_not_forgotten() -> None:
    question = (
        "I am planning a dinner for twelve colleagues on Friday, after the concert in the old theatre, and the kitchen of our "
        "flat has two rings and no oven, and one of the guests comes by train from Leeds. What could I serve in time?"
    )
    far = ExtractedMemory("I have collected programmes of theatres and timetables of railways since I was a child in Leeds")
    facts = [far, ExtractedMemory("I'm severely allergic to peanuts, walnuts, sesame and shellfish")]
    assert [fact.text[:10] for fact in select_memories(facts, question, budget_tokens=200)] == ["I'm severe"]
    assert far in select_memories(facts, "Where can I buy old railway timetables and theatre programmes?", budget_tokens=200)


def test_the_budget_is_kept_and_the_most_telling_come_first() -> None:
    facts = [ExtractedMemory(f"I cook dish {number}") for number in range(50)]
    assert select_memories(facts, "What shall I cook?", budget_tokens=0) == []
    assert len(select_memories(facts, "What shall I cook?", budget_tokens=30)) == 4
    first = select_memories([*facts, ExtractedMemory("I cook lasagne")], "Is lasagne easy to cook?", budget_tokens=10)
    assert [fact.text for fact in first] == ["I cook lasagne"]


def test_nothing_is_added_where_nothing_was_chosen() -> None:
    assert system_messages(AnswerStyle()) == []


def test_every_choice_comes_behind_the_specs_own_words() -> None:
    manner = AnswerStyle(mode=FUN_MODE, length="long", bluntness="gentle", language="de", instructions=" I am new here. ")
    parts = system_messages(manner, ["I like tea"])
    assert [part["source"] for part in parts] == ["spec", "mode", "knobs", "personal", "memory"]
    assert parts[0]["content"] == SPEC_SYSTEM_MESSAGE
    assert parts[1]["mode"] == "fun@1"
    assert "German" in parts[2]["content"]
    assert parts[3]["content"].endswith("I am new here.")
    assert parts[4]["content"].endswith("- I like tea")
    assert {mode.name for mode in BUILTIN_MODES} == {"regular", "fun"}
    assert REGULAR_MODE.text == ""


def offer(state: Any, hours: float) -> ComparisonRecord:
    ids = {name: new_id() for name in ("id", "person_id", "conversation_id", "question_id", "left_id", "right_id")}
    when = now_utc() - timedelta(hours=hours)
    return ComparisonRecord(**ids, offered=True, state=state, outcome=None, event_id=None, created_utc=when)


@pytest.mark.parametrize(
    ("recent", "may"),
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
def test_offers_never_nag(recent: list[tuple[Any, float]], may: bool) -> None:
    offers = [offer(state, hours) for state, hours in recent]
    assert should_offer_comparison(0.5, 0.2, offers, now_utc()) is may
    assert should_offer_comparison(0.5, 0.7, offers, now_utc()) is False
    assert should_offer_comparison(0.0, 0.0, offers, now_utc()) is False


def test_titles_end_at_a_word() -> None:
    assert title_from_question("  Hello\nthere ") == "Hello there"
    long = title_from_question("word " * 40)
    assert len(long) <= 60
    assert long.endswith("word…")
    assert title_from_question("字" * 100) == "字" * 59 + "…"
