"""The text of a document while a reader collects it line by line. Runs in the child process and imports nothing heavy.

Each line is cleaned on its own, so that its location holds in the finished text. Newlines are neither composed with nor reordered
around a mark, so lines in the form NFC that are joined by newlines give a text in the form NFC. Lines that are joined by a space
or by nothing are checked where they meet.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from yearling.unicode_repair import mend_surrogates

MAX_CHARS = 20_000_000
"""Code points of the longest text; `store/documents/canonical.py` accepts no more."""
MAX_LOCATIONS = 400_000
"""Lines, rows or cues of one document."""
MAX_LABEL_CHARS = 200
MAX_TITLE_CHARS = 500
MAX_MARKS = 30
"""Combining marks in a row, as in the Stream-Safe Text Format of UAX #15. Sorting longer runs takes quadratic time."""
MAX_WARNINGS = 50

_NEWLINES = re.compile("\r\n?|[\n\x0b\x0c\x85\u2028\u2029]")
_REMOVED = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f)"  # the flags of England, Scotland and Wales are written with tags
    "|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters
    "\xad"  # soft hyphens: words would not be found
    "\u202a-\u202e\u2066-\u2069"  # bidirectional controls: what is shown would differ from what is searched
    "\ufeff\ufffe\uffff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"  # tags: text that nobody sees
)
_CJK = re.compile("[\u1100-\u11ff\u2e80-\u30ff\u3100-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uff60\U00020000-\U0003ffff]")
_SPACES = re.compile(r"\s+")


def _combining_class() -> str:
    """All combining marks that normalisation sorts, as a class of a regular expression."""
    ranges: list[list[int]] = []
    for point in (*range(0x300, 0x3400), *range(0xA600, 0xAC00), *range(0xFB00, 0xFF00), *range(0x10000, 0x1F000)):
        if unicodedata.combining(chr(point)):
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1][1] = point
            else:
                ranges.append([point, point])
    return "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges) + "]"


LONG_MARKS = re.compile(f"({_combining_class()}{{{MAX_MARKS}}}){_combining_class()}+")


class DocumentError(Exception):
    """The document cannot be read. The message says why, the advice what to do, each in a sentence."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


@dataclass(slots=True)
class LocatedLine:
    """Where the range [start, end) of the text stood; the fields of `Location`."""

    start: int
    end: int
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    t0_s: float | None = None
    t1_s: float | None = None
    label: str = ""


@dataclass(slots=True, kw_only=True)
class ParsedText:
    """What a reader makes of a document; the fields of `CanonicalText`, before they are checked."""

    text: str
    title: str
    media_type: str
    lines: list[LocatedLine]
    num_pages: int
    warnings: list[str]


def split_lines(text: str) -> str:
    """The text with every kind of newline as `\\n`."""
    return _NEWLINES.sub("\n", text)


def clean(text: str) -> str:
    """The text in the form NFC with `\\n` as its only newline, without what no reader of the document sees."""
    if text.isascii() and text.isprintable():
        return text
    text = _REMOVED.sub(r"\1", split_lines(mend_surrogates(text)))
    if text.isascii():
        return text
    text = LONG_MARKS.sub(r"\1", text)
    # Composition may join marks into characters that decompose again, but never makes a run of marks longer.
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """The cleaned text with every run of spaces and newlines as one space, without any at its ends."""
    return _SPACES.sub(" ", clean(text)).strip()


def joint(left: str, right: str) -> str:
    """What stands between two lines of one sentence: nothing between Chinese or Japanese characters, else a space."""
    return "" if left and right and _CJK.match(left[-1]) and _CJK.match(right[0]) else " "


def check_length(num_chars: int) -> None:
    """Raises DocumentError if a text is longer than a document may be."""
    if num_chars > MAX_CHARS:
        raise DocumentError(f"The document has more than {MAX_CHARS:,} characters of text.", "Divide it into several files.")


@dataclass
class TextBuilder:
    """Collects lines and their locations. Raises DocumentError past the limits on text and lines."""

    media_type: str
    title: str = ""
    num_pages: int = 0
    warnings: list[str] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _lines: list[LocatedLine] = field(default_factory=list)
    _length: int = 0

    def warn(self, sentence: str) -> None:
        """Record what a person should know about this document."""
        if sentence not in self.warnings and len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(one_line(sentence)[:1000])

    def add(
        self,
        text: str,
        *,
        separator: str = "\n",
        page: int | None = None,
        box: tuple[float, float, float, float] | None = None,
        t0_s: float | None = None,
        t1_s: float | None = None,
        label: str = "",
    ) -> None:
        """Append a text that is already cleaned, after the separator. Without anything to say of it, it gets no location."""
        if not text:
            return
        if self._parts:
            last = self._parts[-1]
            if separator != "\n" and not unicodedata.is_normalized("NFC", last[-40:] + separator + text[:40]):
                separator = "\n"
            self._parts.append(separator)
            self._length += len(separator)
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        check_length(self._length)
        if page is None and box is None and t0_s is None and not label:
            return
        if len(self._lines) >= MAX_LOCATIONS:
            raise DocumentError(
                f"The document has more than {MAX_LOCATIONS:,} lines, rows or cues.", "Divide it into several files."
            )
        label = label if len(label) <= MAX_LABEL_CHARS else label[: MAX_LABEL_CHARS - 1] + "…"
        self._lines.append(LocatedLine(start, self._length, page, box, t0_s, t1_s, label))

    def add_block(self, text: str, *, label: str = "", page: int | None = None) -> None:
        """Append a paragraph as one line, cleaned here."""
        self.add(one_line(text), label=one_line(label), page=page)

    def replace_end(self, num_chars: int) -> None:
        """Take characters off the last line, such as the hyphen of a word that goes on in the next one."""
        last = self._parts[-1]
        if num_chars >= len(last) or not self._lines or self._lines[-1].end != self._length:
            raise ValueError("only a part of the last located line can be taken off")
        self._parts[-1] = last[:-num_chars]
        self._length -= num_chars
        self._lines[-1].end = self._length

    @property
    def is_empty(self) -> bool:
        """Whether no text was added."""
        return not any(part.strip() for part in self._parts)

    def finish(self) -> ParsedText:
        """The text as it stands."""
        if self.is_empty and not self.warnings:
            self.warn("The document has no text.")
        title = one_line(self.title)
        return ParsedText(
            text="".join(self._parts),
            title=title if len(title) <= MAX_TITLE_CHARS else title[: MAX_TITLE_CHARS - 1] + "…",
            media_type=self.media_type,
            lines=self._lines,
            num_pages=self.num_pages,
            warnings=self.warnings,
        )
