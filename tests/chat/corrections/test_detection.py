"""Which messages count as corrections of the last answer, and what answer they give."""

from __future__ import annotations

import time

import pytest

from yearling.chat.corrections.detection import MAX_CORRECTION_CHARS, recognise_correction

QUESTION = "Who handles invoices?"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("That is wrong: Marta handles invoices.", "Marta handles invoices."),
        ("That's wrong. Marta handles invoices.", "Marta handles invoices."),
        ("No, that's not right, it is Marta.", "It is Marta."),
        ("That’s incorrect - Marta handles invoices", "Marta handles invoices"),
        ("Wrong. The projector is in Juniper.", "The projector is in Juniper."),
        ("No, it's Marta.", "It's Marta."),
        ("No, the projector is in Juniper.", "The projector is in Juniper."),
        ("No, Marta.", "Marta."),
        ("Nope: Marta Oyelaran", "Marta Oyelaran"),
        ("Actually, Marta handles invoices.", "Marta handles invoices."),
        ("You're wrong, I handle invoices.", "I handle invoices."),
        ("Your answer is wrong. The correct answer is: 42", "42"),
        ("The right answer is Marta.", "Marta."),
        ("Correct: Marta.", "Marta."),
        ("It should be Marta.", "Marta."),
        ("You got that wrong. Marta handles them.", "Marta handles them."),
        ("That is no longer true: Marta left, Ines handles invoices.", "Marta left, Ines handles invoices."),
        ("不对，是小李负责发票。", "是小李负责发票。"),
        ("你错了。正确答案是小李。", "小李。"),
        ("说错了：会议室在三楼", "会议室在三楼"),
        ("正确的答案是小李", "小李"),
        ("不对，应该是周五。", "周五。"),
    ],
)
def test_a_correction_in_words_is_recognised_with_its_answer(message: str, answer: str) -> None:
    recognised = recognise_correction(QUESTION, message)
    assert recognised is not None
    assert (recognised.question, recognised.answer) == (QUESTION, answer)


@pytest.mark.parametrize(
    "message",
    [
        "That is wrong.",
        "That's wrong, isn't it?",
        "Wrong!",
        "No.",
        "No, thanks.",
        "No, make it shorter.",
        "No, I meant the other one.",
        "No, please answer in French.",
        "No, that's all.",
        "No problem.",
        "Actually, can you do it in Python?",
        "Actually, I live in Oslo.",
        "Actually, never mind.",
        "Wrong, try again.",
        "That is wrong: why do you say so?",
        "That's not what I asked",
        "Thanks, that's right.",
        "What is wrong with my code?",
        "It is wrong to steal.",
        "The answer is 4, right?",
        "No way!",
        "Wrong turn, a film from 2003, who directed it?",
        "不用了，谢谢",
        "不对。",
        "不对，再想想",
        "不对吗？",
        "你错了，为什么？",
        "不是很懂，请解释一下",
        "",
        "   ",
        "No, it is " + "very " * 200 + "long.",
    ],
)
def test_other_messages_are_no_corrections(message: str) -> None:
    assert recognise_correction(QUESTION, message) is None


def test_without_a_question_there_is_nothing_to_correct() -> None:
    assert recognise_correction("  ", "That is wrong: Marta handles invoices.") is None


def test_hostile_messages_take_no_time() -> None:
    started = time.process_time()
    for start in ("no, ", "no" * 50, "that's wrong" * 40, "不对" * 200, "正确答案是" * 90, "- " * 290):
        recognise_correction(QUESTION, (start * 300)[:MAX_CORRECTION_CHARS])
    assert time.process_time() - started < 1
