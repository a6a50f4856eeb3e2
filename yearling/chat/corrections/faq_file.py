"""Reads questions with their answers from a file that people have already: an FAQ as CSV or Markdown. A pure function of bytes.

CSV: the columns question and answer, with or without a header, separated by commas, semicolons or tabs, as spreadsheets save it.
Markdown: a heading or a bold line that ends with a question mark, and what follows it; or lines that begin with `Q:` and `A:`.
Every error names the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from yearling.errors import BadInput
from yearling.store import MAX_CORRECTION_CHARS

MAX_FAQ_BYTES = 2_000_000
MAX_FAQ_ENTRIES = 2_000

_QUESTION_COLUMNS = frozenset({"question", "questions", "q", "问题", "提问", "问"})
_ANSWER_COLUMNS = frozenset({"answer", "answers", "a", "答案", "回答", "答"})
_SEPARATOR_LINE = re.compile(r"sep=(.)(?:\r\n|\r|\n|$)", re.IGNORECASE)
_DELIMITERS = ",;\t"
_ROWS_TO_LOOK_AT = 50
_CSV_ENDINGS = (".csv", ".tsv")
_MARKDOWN_ENDINGS = (".md", ".markdown", ".txt")
_QUOTE_ADVICE = "Put a text with commas, quotes or line breaks between double quotes."
_MARKDOWN_ADVICE = "Write each question as a heading or a bold line that ends with a question mark, and its answer below it."

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LABEL = re.compile(
    r"[ \t>*_-]*(?:(?P<question>question|q|问题|问)|(?P<answer>answer|a|答案|回答|答))"
    r"[ \t]*\d*[ \t]*[*_]*[:：][*_]*[ \t]*(?P<text>.*)",
    re.IGNORECASE,
)
_NUMBERING = re.compile(r"\(?\d+(?:\.\d+)*[.)、][ \t]*")
_MAX_LABEL_LINE_CHARS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FaqEntry:
    """A question and its answer, and the number of the line on which the question stands."""

    question: str
    answer: str
    line: int


def parse_faq_file(data: bytes, name: str = "") -> list[FaqEntry]:
    """Return the entries of a file in their order. The ending of `name` tells the format; without one, the first lines do.

    Raises BadInput, which names the line, for a file that is too large, not text, invalid or without entries.
    """
    if len(data) > MAX_FAQ_BYTES:
        raise _bad_file(f"The file is larger than {MAX_FAQ_BYTES // 1_000_000} MB.", "Split it.")
    text = _decode(data)
    entries: list[FaqEntry] = []
    for entry in _iter_csv(text) if _is_csv(text, name) else _iter_markdown(text.splitlines()):
        _check_entry(entry)
        entries.append(entry)
        if len(entries) > MAX_FAQ_ENTRIES:
            raise _bad_file(f"The file has more than {MAX_FAQ_ENTRIES:,} questions.", "Split it.")
    if not entries:
        raise _bad_file("The file has no questions.", _MARKDOWN_ADVICE)
    return entries


def faq_csv(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Return questions and answers as a CSV file that `parse_faq_file` reads."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("question", "answer"))
    writer.writerows(pairs)
    return file.getvalue().encode("utf-8", "replace")


def _decode(data: bytes) -> str:
    """The text without a byte order mark, and with line feeds as line ends."""
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _bad_file(
            f"Line {line} is not text in UTF-8.", "Save the file as UTF-8; in a spreadsheet as “CSV UTF-8”."
        ) from None
    if "\0" in text:
        raise _bad_file("The file is not text.", "Save it as CSV or Markdown.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_csv(text: str, name: str) -> bool:
    if name.lower().endswith(_CSV_ENDINGS):
        return True
    if name.lower().endswith(_MARKDOWN_ENDINGS):
        return False
    first = text.lstrip().partition("\n")[0]
    is_stated = bool(_SEPARATOR_LINE.match(first)) or bool(_read_header(first)[0])
    return is_stated or any(_fit(text, delimiter) == 1.0 for delimiter in _DELIMITERS)


# CSV


def _iter_csv(text: str) -> Iterator[FaqEntry]:
    stated = _SEPARATOR_LINE.match(text)
    if stated:
        text = "\n" + text[stated.end() :]  # keeps the numbers of the lines
    columns, delimiter = _read_header(text.lstrip("\n").partition("\n")[0])
    delimiter = stated[1] if stated else delimiter if columns else max(_DELIMITERS, key=lambda one: _fit(text, one))
    if delimiter in '"\n':
        raise _bad_file(f"Line 1 names {delimiter!r} as the separator.", "Use a comma, a semicolon or a tab.")
    if columns and not _ANSWER_COLUMNS & set(columns):
        raise _bad_file("Line 1 names a column for the questions and none for the answers.", "Name it “answer”.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    is_header, line = bool(columns), 1
    try:
        for row in reader:
            start, line = line, reader.line_num + 1
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if is_header:
                is_header = False
                continue
            yield _entry_from_cells(cells, columns or ["question", "answer"], start)
    except csv.Error as error:
        raise _bad_file(f"Line {reader.line_num} is not valid CSV: {error}.", _QUOTE_ADVICE) from None


def _read_header(line: str) -> tuple[list[str], str]:
    """The names of the columns in the first line, empty if it names none, and what separates them."""
    for delimiter in _DELIMITERS:
        names = [name.strip().strip('"').strip().lower() for name in line.split(delimiter)]
        if _QUESTION_COLUMNS & set(names) and len(names) > 1:
            return names, delimiter
    return [], ","


def _fit(text: str, delimiter: str) -> float:
    """The share of the first rows that have two columns with this delimiter."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        filled = [cells for row in islice(rows, _ROWS_TO_LOOK_AT) if (cells := [cell for cell in row if cell.strip()])]
    except csv.Error:
        return 0.0
    return sum(len(cells) == 2 for cells in filled) / len(filled) if filled else 0.0


def _entry_from_cells(cells: Sequence[str], columns: Sequence[str], line: int) -> FaqEntry:
    while len(cells) > len(columns) and not cells[-1]:
        cells = cells[:-1]
    if len(cells) > len(columns):
        raise _bad_file(f"Line {line} has {len(cells)} columns, not {len(columns)}.", _QUOTE_ADVICE)
    by_column = dict(zip(columns, cells, strict=False))

    def find(names: frozenset[str]) -> str:
        return next((text for name, text in by_column.items() if name in names), "")

    return FaqEntry(question=find(_QUESTION_COLUMNS), answer=find(_ANSWER_COLUMNS), line=line)


# Markdown


@dataclass(slots=True)
class _OpenEntry:
    """A question whose answer is being read. `waits_for_label`: only a line that begins with `A:` begins it."""

    question: str
    line: int
    lines: list[str]
    waits_for_label: bool = False

    def close(self) -> FaqEntry:
        return FaqEntry(question=self.question, answer="\n".join(self.lines).strip(), line=self.line)


def _iter_markdown(lines: Sequence[str]) -> Iterator[FaqEntry]:
    """The entries of a Markdown file. Text that belongs to no question is skipped."""
    entry: _OpenEntry | None = None
    fence, skip_next = "", False
    start = _end_of_front_matter(lines)
    for number, text in enumerate(lines[start:], start + 1):
        if skip_next:
            skip_next = False
            continue
        if fence or (opened := _FENCE.match(text)):
            fence = _next_fence(fence, text) if fence else opened[1] if opened else ""
            _append(entry, text)
            continue
        following = lines[number] if number < len(lines) else ""
        is_underlined = bool(text.strip() and _UNDERLINE.fullmatch(following)) and not _is_list_item(text)
        question = _heading_question(text, is_underlined=is_underlined)
        label = _LABEL.fullmatch(text) if len(text) <= _MAX_LABEL_LINE_CHARS else None
        if question is None and label:
            if label["question"]:
                question = label["text"].strip().strip("*_").strip()
            elif entry is not None and (entry.waits_for_label or not any(line.strip() for line in entry.lines)):
                entry.waits_for_label = False
                entry.lines.append(label["text"].lstrip())
                continue
        if question is None:
            _append(entry, text)
            continue
        skip_next = is_underlined
        if entry is not None:
            yield entry.close()
        entry = _OpenEntry(question, number, [], waits_for_label=bool(label and label["question"])) if question else None
    if entry is not None:
        yield entry.close()


def _append(entry: _OpenEntry | None, text: str) -> None:
    if entry is None:
        return
    if entry.waits_for_label and text.strip():
        entry.question = f"{entry.question} {text.strip()}"
    elif not entry.waits_for_label:
        entry.lines.append(text)


def _heading_question(text: str, *, is_underlined: bool) -> str | None:
    """The question of a heading or a bold line, an empty text for a heading that is none, else None."""
    heading = _HEADING.fullmatch(text)
    if heading or is_underlined:
        title = _NUMBERING.sub("", _plain((heading[1] if heading else text).rstrip("# \t")), count=1)
        return title if _is_question(title) else ""
    stripped = text.strip()
    for mark in ("**", "__"):
        if stripped.startswith(mark) and len(stripped) > 2 * len(mark):
            inner, closed, rest = stripped[len(mark) :].partition(mark)
            title = _NUMBERING.sub("", _plain(inner + rest.strip()), count=1)
            if closed and rest.strip() in ("", "?", "？") and _is_question(title):
                return title
    return None


def _is_question(text: str) -> bool:
    return text.endswith(("?", "？")) and len(text) > 1


def _plain(text: str) -> str:
    """A title without emphasis around it."""
    return text.strip().strip("*_").strip()


def _is_list_item(text: str) -> bool:
    return text.lstrip()[:2] in ("- ", "* ", "+ ", "> ")


def _next_fence(fence: str, text: str) -> str:
    """The fence that is open after this line: none if the line closes it."""
    stripped = text.strip()
    is_closing = len(stripped) >= len(fence) and not stripped.strip(fence[0])
    return "" if is_closing else fence


def _end_of_front_matter(lines: Sequence[str]) -> int:
    """The number of lines of YAML at the beginning of a file."""
    if not lines or lines[0].strip() != "---":
        return 0
    return next((number for number, text in enumerate(lines[1:], 2) if text.strip() in ("---", "...")), 0)


def _check_entry(entry: FaqEntry) -> None:
    for text, name in ((entry.question, "question"), (entry.answer, "answer")):
        if not text:
            raise _bad_file(f"Line {entry.line} has no {name}.", "Each question needs an answer.")
        if len(text) > MAX_CORRECTION_CHARS:
            raise _bad_file(
                f"Line {entry.line}: the {name} has {len(text):,} characters; at most {MAX_CORRECTION_CHARS:,} are allowed.",
                "Shorten it, or split it into several questions.",
            )


def _bad_file(message: str, advice: str) -> BadInput:
    return BadInput(message, advice=advice, param="file")
