"""Questions and answers from CSV and Markdown files, as people and spreadsheets write them."""

from __future__ import annotations

import codecs
import random

import pytest

from yearling.chat import MAX_FAQ_BYTES, MAX_FAQ_ENTRIES, parse_faq_file
from yearling.errors import BadInput


def pairs(text: str | bytes, name: str = "faq.csv") -> list[tuple[str, str]]:
    data = text.encode() if isinstance(text, str) else text
    return [(entry.question, entry.answer) for entry in parse_faq_file(data, name)]


TWO = [("When do we open?", "At 9, not 8."), ("Who leads?", "Ada\nand Bob")]


@pytest.mark.parametrize(
    "text",
    [
        'question,answer\nWhen do we open?,"At 9, not 8."\nWho leads?,"Ada\nand Bob"\n',
        'When do we open?,"At 9, not 8."\n\nWho leads?,"Ada\nand Bob"\n',
        'sep=;\nAnswer;Question\n"At 9, not 8.";When do we open?\n"Ada\nand Bob";Who leads?\n',
        'id;Frage;question;answer\n1;;When do we open?;At 9, not 8.\n2;;Who leads?;"Ada\nand Bob"\n',
        'QUESTION\tANSWER\nWhen do we open?\tAt 9, not 8.\nWho leads?\t"Ada\nand Bob"',
        'When do we open?;At 9, not 8.\nWho leads?;"Ada\nand Bob"',
        '问题,答案\nWhen do we open?,"At 9, not 8."\nWho leads?,"Ada\nand Bob",,\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_csv(text: str, encoding: str, line_end: str) -> None:
    assert pairs(text.replace("\n", line_end).encode(encoding)) == TWO


MARKDOWN = """---
title: FAQ?
---
# Questions of the shop?!

Some words before.

## 1. When do we open?

At 9, not 8.

- Mondays at 10.

## Staff

Not an answer of any question.

**Who leads?**
Ada

```
# Is this a question?
Q: no
```

Where are we?
-------------
In **Basel**.

### What costs `it`? ###
5
"""


def test_markdown() -> None:
    assert pairs(MARKDOWN, "faq.md") == [
        ("When do we open?", "At 9, not 8.\n\n- Mondays at 10."),
        ("Who leads?", "Ada\n\n```\n# Is this a question?\nQ: no\n```"),
        ("Where are we?", "In **Basel**."),
        ("What costs `it`?", "5"),
    ]
    assert [entry.line for entry in parse_faq_file(MARKDOWN.encode(), "faq.md")] == [8, 18, 26, 30]
    labels = (
        "Q: When do we\nopen?\nA: At 9.\nMondays at 10.\n\n**Q:** Tell me who leads\n\n**A:** Ada\n\n问：几点开门？\n答：九点。\n"
    )
    assert pairs(labels, "faq.txt") == [
        ("When do we open?", "At 9.\nMondays at 10."),
        ("Tell me who leads", "Ada"),
        ("几点开门？", "九点。"),
    ]
    assert pairs("## Why?\nA: So.\n", "x.md") == [("Why?", "So.")]


def test_format_follows_from_the_content_if_the_name_says_nothing() -> None:
    assert pairs("question,answer\nWhy?,So\n", "") == [("Why?", "So")]
    assert pairs("Why?,So\n", "export") == [("Why?", "So")]
    assert pairs("## Why?\nSo, thus.\n", "export") == [("Why?", "So, thus.")]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("question,answer\n\nWhy?,So\nWho?\n", "a.csv", "Line 4 has no answer"),
        ('question,answer\n"Why\nnot?",So\n,Ada\n', "a.csv", "Line 4 has no question"),
        ('question,answer\n"Why\nnot?",\n', "a.csv", "Line 2 has no answer"),
        ("question,answer\nWhy?,So,thus\n", "a.csv", "Line 2 has 3 columns, not 2"),
        ('question,answer\nWhy?,"So\n', "a.csv", "not valid CSV"),
        ('question,answer\nWhy?,"So" and\n', "a.csv", "Line 2 is not valid CSV"),
        ("question,notes\nWhy?,So\n", "a.csv", "none for the answers"),
        ('sep="\nWhy?,So\n', "a.csv", "separator"),
        ("## Why?\n\n## Who?\nAda\n", "a.md", "Line 1 has no answer"),
        ("Q: Why?\nQ: Who?\nA: Ada\n", "a.md", "Line 1 has no answer"),
        ("Only prose.\n", "a.md", "no questions"),
        ("", "a.csv", "no questions"),
        (f"Why?,{'x' * 2001}\n", "a.csv", "Line 1: the answer has 2,001 characters"),
        (f"{'x' * 2001},So\n", "a.csv", "Line 1: the question has 2,001 characters"),
        ("Why?,So\n" * (MAX_FAQ_ENTRIES + 1), "a.csv", "more than 2,000 questions"),
        ("x" * (MAX_FAQ_BYTES + 1), "a.csv", "larger than 2 MB"),
        ("Why?,\0\n", "a.csv", "not text"),
    ],
)
def test_errors_name_the_line(text: str, name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as raised:
        pairs(text, name)
    assert raised.value.advice


def test_other_encodings_are_refused_with_the_line() -> None:
    with pytest.raises(BadInput, match="Line 2 is not text in UTF-8") as raised:
        pairs("question,answer\nWo?,Zürich\n".encode("latin-1"))
    assert "CSV UTF-8" in raised.value.advice
    with pytest.raises(BadInput):
        pairs(codecs.BOM_UTF16_LE + b"\x00\xd8x")


def test_arbitrary_bytes_raise_nothing_else() -> None:
    """Fragments of both formats in random order."""
    rng = random.Random(1)
    parts = [
        "Q:",
        "A:",
        "# ",
        "?",
        "**",
        "__",
        "```",
        "~~~",
        "---",
        "\n",
        "\n\n",
        ",",
        ";",
        '"',
        "sep=",
        "\t",
        "x",
        "问",
        "1. ",
        "> ",
        "- ",
    ]
    for _ in range(400):
        text = "".join(rng.choice(parts) for _ in range(rng.randrange(40)))
        for name in ("a.csv", "a.md", ""):
            try:
                entries = parse_faq_file(text.encode(), name)
            except BadInput:
                continue
            assert all(entry.question and entry.answer and entry.line > 0 for entry in entries)


@pytest.mark.parametrize(
    "text", ["**" * 999_000, "_ " * 999_000, "Q" * 1_999_000, "# " * 999_000, ">" * 1_999_000, "* " * 999_000 + "\n" * 900]
)
def test_long_lines_take_linear_time(text: str) -> None:
    with pytest.raises(BadInput):
        parse_faq_file(text.encode(), "a.md")
