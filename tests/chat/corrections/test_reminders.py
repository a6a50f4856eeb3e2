"""What counts as a reminder or as a lesson."""

from __future__ import annotations

import time

import pytest

from yearling.chat.corrections.reminders import MAX_REMINDER_CHARS, RecognisedNote, recognise_note


@pytest.mark.parametrize(
    ("message", "occasion", "text"),
    [
        ("Remind me to call Ana when I ask about the budget.", "when I ask about the budget", "call Ana"),
        (
            "Please remind me that Ben is allergic to nuts whenever I plan a dinner",
            "whenever I plan a dinner",
            "Ben is allergic to nuts",
        ),
        (
            "Next time we talk about the trip, remind me to renew my passport.",
            "Next time we talk about the trip",
            "renew my passport",
        ),
        ("Can you remind me of the discount when I book a room?", "when I book a room", "the discount"),
        ("Remind me, when I am working on the report, to cite the study", "when I am working on the report", "cite the study"),
        ("下次我问预算的时候，提醒我给小李打电话", "我问预算", "给小李打电话"),
        ("当我订酒店时提醒我用会员卡。", "我订酒店", "用会员卡"),
    ],
)
def test_a_reminder_has_an_occasion_and_a_text(message: str, occasion: str, text: str) -> None:
    assert recognise_note(message) == RecognisedNote("reminder", occasion, text)


@pytest.mark.parametrize(
    "message",
    [
        "Last time you told me to restart it, and the file was lost.",
        "Careful, last time I used your recipe the cake was too salty.",
        "But the last time we ordered twenty chairs, ten were missing.",
        "上次你让我重启，结果文件丢了。",
    ],
)
def test_how_something_ended_is_a_lesson(message: str) -> None:
    assert recognise_note(message) == RecognisedNote("lesson", message, message)


@pytest.mark.parametrize(
    "message",
    [
        "Remind me what a volcano is.",
        "Remind me tomorrow to call Ana.",
        "What did I say last time?",
        "Last time you said 12. Is that right?",
        "Last time lucky.",
        "This reminds me of home.",
        "When I was young, I lived in Oslo.",
        "上次",
        "",
    ],
)
def test_other_messages_are_neither(message: str) -> None:
    assert recognise_note(message) is None


def test_hostile_messages_take_no_time() -> None:
    started = time.process_time()
    for part in ("remind me when i ask ", "when i ask, ", "last time you ", "下次我", "remind me to ", "a, "):
        recognise_note((part * 200)[:MAX_REMINDER_CHARS])
    assert time.process_time() - started < 1
