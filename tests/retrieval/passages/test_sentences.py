"""Sentences: each rule by an example, and for any text that nothing is lost, doubled or padded."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.retrieval.passages.sentences import MAX_SENTENCE_CHARS, sentence_spans

WRAPPED = "This is a line that was wrapped somewhere\nin Paris by somebody who liked it very much\nand goes on."
WRAPPED_CHINESE = "这一行文字在第二十个汉字之后被排版软件折断到了\n下一行所以它们仍然是同一个句子。后一句。"


def sentences(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentence_spans(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["他来了。", "她走了！", "真的吗？！", "是的"],
        ["“你好！”他说。", "然后走了。"],
        ["他说：“我来了。", "你呢？”", "没有人回答。"],
        ["又说。", '"真的吗？"', "好。"],
        ["价格是3.5元，增长了.5%。", "第2.1节"],
        ["然后……又说。", "完"],
        ["《世界。", "和平》（完。）", "好"],
    ],
)
def test_chinese_sentences(expected: list[str]) -> None:
    assert sentences("".join(expected)) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["Mr. Smith paid $3.50 to Dr. Wu.", "He left."],
        ["It is in the U.S.", "The bill (No. 5) was due on Jan. 5."],
        ['"Stop!" he said.', '"Go."', "She left... and came back.", "Then?", "Yes."],
        ["J. R. R. Tolkien wrote it.", "It sold well."],
        ["See e.g. Fig. 3 on p. 7.", "Use yahoo.com or Node.js v. 2.0.1 now."],
        ["He is 5.", "They are 6.", "So am I.", "You know."],
        ["“I came.", "I saw.”", "(He won.)", "End"],
        ["Wait!", "What?", "No…", "Yes."],
    ],
)
def test_english_sentences(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heading\n\nFirst words\n \nsecond words", ["Heading", "First words", "second words"]),
        (f"{WRAPPED} Yes.", [WRAPPED, "Yes."]),
        (WRAPPED_CHINESE, [WRAPPED_CHINESE[:-4], "后一句。"]),
        (
            "A short line\nAnother line that is rather longer than it",
            ["A short line", "Another line that is rather longer than it"],
        ),
        (f"{WRAPPED}\n- item\n* item two. More.", [WRAPPED, "- item", "* item two.", "More."]),
        ("1. First item. Second.\n2. Item\n(a) part", ["1. First item.", "Second.", "2. Item", "(a) part"]),
        (
            "第一条 适用于全国。\n第二条 其他\n一、总则\n（二）附则",
            ["第一条 适用于全国。", "第二条 其他", "一、总则", "（二）附则"],
        ),
        ("name | age\r\nAnn | 5\r\n", ["name | age", "Ann | 5"]),
        ("用了Python.然后走了", ["用了Python.", "然后走了"]),
        ("", []),
        (" \n\t\u3000\r\n", []),
    ],
)
def test_lines_and_lists(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_text_without_marks_is_cut_at_commas_and_spaces() -> None:
    text = ", ".join(["clause of a sentence without an end"] * 200)
    pieces = sentences(text)
    assert max(map(len, pieces)) <= MAX_SENTENCE_CHARS
    assert " ".join(pieces) == text
    assert {len(piece) for piece in sentences("x" * 2500)} == {1000, 500}


PARTS = [
    "。",
    "！",
    "？",
    "…",
    ".",
    "!",
    '"',
    "”",
    "“",
    "（",
    ")",
    "\n",
    "\n\n",
    " ",
    "\u3000",
    "\t",
    "\r\n",
    "\u2028",
    "\x1c",
    "|",
    "，",
]
WORDS = ["他说", "中文", "Mr", "word", "X", "3", "1.", "- ", "é", "𠮷", ",", "long" * 12, "x" * 600]


@given(st.lists(st.sampled_from(PARTS + WORDS) | st.text(max_size=3), max_size=40).map("".join))
def test_sentences_cover_every_character_once_and_begin_and_end_in_no_space(text: str) -> None:
    end = 0
    for span in sentence_spans(text):
        quote = text[span.start : span.end]
        assert text[end : span.start].strip() == ""
        assert quote == quote.strip()
        assert 0 < len(quote) <= MAX_SENTENCE_CHARS
        end = span.end
    assert text[end:].strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [". ", "。”", "x\n", "！”他", "a.", '."', "\n", " ", "x", "(", "1.", "A. ", "e.g. ", "- \n", f"{'a' * 45}\n", "\t|"]
)
def test_the_time_grows_with_the_length_only(unit: str) -> None:
    """An exponent or a square would take minutes."""
    started = time.process_time()
    sentence_spans(unit * (400_000 // len(unit)))
    assert time.process_time() - started < 10
