"""An answer taken apart as the checkers need it: words, sentences, lines, paragraphs, in English and in Chinese.

The counting rules, which the tests fix:
- Text is put into Unicode's composed form (NFC), invisible format characters are dropped, and surrounding space is cut off.
- English words are runs of letters and digits, with apostrophes or hyphens inside them. Chinese counts every Han character as
  one, and a run of other letters or digits as one; punctuation never counts.
- A sentence ends at `.`, `!`, `?` followed by space or the end, at their Chinese counterparts wherever they stand, and at the end
  of a line. A dot ends nothing after a title (Dr.), after another listed abbreviation (e.g.) before a small letter, inside a
  number or in a list marker. What has neither letter nor digit is no sentence.
- A line counts if it has anything but space in it; paragraphs are separated by at least one empty line.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

InstructionLanguage = Literal["en", "zh"]

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN = re.compile(f"[{HAN}]")
_EN_WORD = re.compile(r"[^\W_]+(?:['’‑-][^\W_]+)*")
_ZH_WORD = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]*_]*(?=\s|$)|[。！？…]+[”’」』）\"')*_]*")
_TITLE = re.compile(r"(?<!\w)(?:mr|mrs|ms|dr|st)\.$", re.IGNORECASE)
_ABBREVIATION = re.compile(r"(?<!\w)(?:vs|e\.g|i\.e|a\.m|p\.m)\.$", re.IGNORECASE)
_LIST_MARKER = re.compile(r"^\s*(?:[-*•·–]|\d{1,3}[.)、．）])\s*(?=\S)")
_BULLET = re.compile(r"^\s*[-*•·–]\s+(\S.*)$")
_NUMBERED = re.compile(r"^\s*(\d{1,3})(?:[.)]\s+|[、．）]\s*)(\S.*)$")
_BLANK = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class ParsedAnswer:
    """A text and the language in which it is counted."""

    raw: str
    language: InstructionLanguage

    @cached_property
    def text(self) -> str:
        kept = (mark for mark in unicodedata.normalize("NFC", self.raw) if unicodedata.category(mark) != "Cf")
        return "".join(kept).replace("\r\n", "\n").replace("\r", "\n").strip()

    @cached_property
    def casefolded(self) -> str:
        """For comparing without regard to case."""
        return self.text.casefold()

    @cached_property
    def words(self) -> list[str]:
        return split_words(self.casefolded, self.language)

    @cached_property
    def sentences(self) -> list[str]:
        return [sentence for line in self.lines for sentence in _split_sentences(_LIST_MARKER.sub("", line))]

    @cached_property
    def opening(self) -> str:
        """The text without regard to case and without marks (of a list, of bold, of quotation) before its first word."""
        return _LIST_MARKER.sub("", self.casefolded).lstrip(" *_#>＞\"'“‘「")

    @cached_property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.text.split("\n") if line.strip()]

    @cached_property
    def paragraphs(self) -> list[str]:
        return [part.strip() for part in _BLANK.split(self.text) if part.strip()]

    @cached_property
    def bullets(self) -> list[str]:
        """What follows the mark in every line that starts with one."""
        return [match[1] for line in self.lines if (match := _BULLET.match(line))]

    @cached_property
    def numbered(self) -> list[tuple[int, str]]:
        """Number and rest of every line that starts with a number and a dot, bracket or Chinese comma."""
        return [(int(match[1]), match[2]) for line in self.lines if (match := _NUMBERED.match(line))]

    @cached_property
    def han_share(self) -> float:
        """Han characters over all letters; 0 without letters."""
        letters = [mark for mark in self.text if mark.isalpha()]
        return sum(bool(_HAN.match(mark)) for mark in letters) / len(letters) if letters else 0.0

    def count_word(self, word: str) -> int:
        """How often a word occurs: as a whole word and in any case in English, as a substring in Chinese."""
        return count_occurrences(self.casefolded, word, self.language)


def split_words(text: str, language: InstructionLanguage) -> list[str]:
    """The words of a text as they are counted in this language."""
    return (_EN_WORD if language == "en" else _ZH_WORD).findall(text)


def count_occurrences(text: str, word: str, language: InstructionLanguage) -> int:
    """Occurrences that do not overlap, without regard to case; whole words in English."""
    wanted = unicodedata.normalize("NFC", word).casefold()
    if language == "zh":
        return text.casefold().count(wanted)
    return len(re.findall(rf"(?<![^\W_]){re.escape(wanted)}(?![^\W_])", text.casefold()))


def _split_sentences(line: str) -> list[str]:
    found, start = [], 0
    for match in _SENTENCE_END.finditer(line):
        piece = line[start : match.end()]
        rest = line[match.end() :].lstrip()
        if rest and (_TITLE.search(piece) or (_ABBREVIATION.search(piece) and not rest[0].isupper())):
            continue
        found.append(piece)
        start = match.end()
    return [piece.strip() for piece in [*found, line[start:]] if any(mark.isalnum() for mark in piece)]
