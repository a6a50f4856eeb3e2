"""What the words of two questions name, and which kind of answer they want, in English and Chinese."""

from __future__ import annotations

import time

import pytest

from yearling.chat.corrections.likeness import content_terms, frame_swap, has_han, wants_other_type


def test_terms_are_what_a_text_names() -> None:
    assert content_terms("Who handles the invoices at our company?") == {"handl", "invoic", "company"}
    assert content_terms("发票由谁负责？") == set("发票负责")
    assert content_terms("The Lumafix lamp") == content_terms("LUMAFIX lamps")
    assert content_terms("What is it?") == set()


@pytest.mark.parametrize(
    ("question", "stored", "answer"),
    [
        ("Which meeting room has the whiteboard?", "Which meeting room has the projector?", "It is in Juniper."),
        ("What is the capital of Greece?", "What is the capital of Turkey?", "The capital of Turkey is Ankara."),
        ("五楼打印机的密码是多少？", "三楼打印机的密码是多少？", "三楼打印机的密码是 7392。"),
        ("白板在哪个会议室？", "投影仪在哪个会议室？", "投影仪在松涛会议室。"),
    ],
)
def test_the_same_frame_around_other_things_is_a_swap(question: str, stored: str, answer: str) -> None:
    assert frame_swap(question, stored, answer) > 0.3
    assert frame_swap(stored, stored, answer) == 0


@pytest.mark.parametrize(
    ("question", "stored", "answer"),
    [
        ("Where is the projector?", "Which meeting room has the projector?", "The projector is in Juniper."),
        ("Where is the old projector kept?", "Where is the projector?", "The projector is in Juniper."),
        ("Which room is Juniper?", "Which room has the projector?", "The projector is in the room Juniper."),
        ("投影仪在哪儿？", "投影仪在哪个会议室？", "投影仪在松涛会议室。"),
        ("", "Who founded Norvale?", "Ingrid."),
    ],
)
def test_a_question_about_a_part_or_more_of_it_is_none(question: str, stored: str, answer: str) -> None:
    assert frame_swap(question, stored, answer) == 0


def test_other_words_for_the_same_thing_are_hardly_a_swap() -> None:
    stored = ("Who handles invoices at our company?", "Marta Oyelaran handles invoices at our company.")
    assert frame_swap("I have a bill from a supplier. Which colleague takes care of it?", *stored) < 0.1


@pytest.mark.parametrize(
    ("question", "stored", "is_other"),
    [
        ("What is an invoice?", "Who handles invoices at our company?", True),
        ("How much does the Norvale chair cost?", "Who founded Norvale?", True),
        ("Whose job is it to deal with invoices?", "Who handles invoices?", False),
        ("Tell me about invoices.", "Who handles invoices?", False),
        ("How long in advance do I ask for leave?", "When do I have to ask for leave?", False),
        ("发票是什么？", "发票由谁负责？", True),
        ("三楼打印机的密码是多少？", "三楼打印机在哪里？", True),
        ("周会什么时候开？", "周会是星期几开？", False),
    ],
)
def test_kinds_of_answers(question: str, stored: str, is_other: bool) -> None:
    assert wants_other_type(question, stored) == is_other
    assert wants_other_type(stored, question) == is_other


def test_chinese_is_recognised() -> None:
    assert has_han("What is 发票?")
    assert not has_han("Qu'est-ce que c'est ? これ") or has_han("これは何") is False


@pytest.mark.parametrize(
    "text", ["how much is " * 200, "谁" * 2000, "a" * 2000, "(" * 2000, "what is " + "x" * 1990 + "!", "ing" * 700]
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    frame_swap(text, text[::-1], text[3:])
    wants_other_type(text, text[1:])
    assert time.process_time() - started < 0.2
