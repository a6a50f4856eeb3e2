"""Parses an answer into words, sentences, lines and paragraphs, in English and in Chinese, as the checkers need them.

The counting rules, which the tests fix:
- Text is normalised to Unicode NFC, without invisible format characters and without surrounding white space.
- English words are runs of letters and digits, with apostrophes or hyphens inside them. In Chinese, every Han character counts as
  a word, and so does a run of other letters or digits. Punctuation never counts.
- A sentence ends at `.`, `!` or `?` before white space or the end, at their Chinese counterparts anywhere, and at the end of a
  line. A dot ends no sentence after a title (Dr.), after another listed abbreviation (e.g.) before a lower-case letter, inside a
  number, or in a list marker. Text without letters and digits is no sentence.
- A line counts if it is not blank. Paragraphs are separated by at least one blank line.
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
    """The text of an answer, and the language whose counting rules apply."""

    raw: str
    language: InstructionLanguage

    @cached_property
    def text(self) -> str:
        """The normalised text."""
        visible = (char for char in unicodedata.normalize("NFC", self.raw) if unicodedata.category(char) != "Cf")
        return "".join(visible).replace("\r\n", "\n").replace("\r", "\n").strip()

    @cached_property
    def casefolded(self) -> str:
        """The text for comparison without regard to case."""
        return self.text.casefold()

    @cached_property
    def words(self) -> list[str]:
        """The case-folded words."""
        return split_words(self.casefolded, self.language)

    @cached_property
    def sentences(self) -> list[str]:
        """The sentences of all lines, without list markers."""
        return [sentence for line in self.lines for sentence in _split_sentences(_LIST_MARKER.sub("", line))]

    @cached_property
    def opening(self) -> str:
        """The case-folded text without list, bold or quotation marks before its first word."""
        return _LIST_MARKER.sub("", self.casefolded).lstrip(" *_#>＞\"'“‘「")

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank."""
        return [line.strip() for line in self.text.split("\n") if line.strip()]

    @cached_property
    def paragraphs(self) -> list[str]:
        """The parts between blank lines."""
        return [part.strip() for part in _BLANK.split(self.text) if part.strip()]

    @cached_property
    def bullets(self) -> list[str]:
        """The text after the bullet in every line that starts with one."""
        return [match[1] for line in self.lines if (match := _BULLET.match(line))]

    @cached_property
    def numbered(self) -> list[tuple[int, str]]:
        """Number and text of every line that starts with a number and a dot, a bracket or a Chinese comma."""
        return [(int(match[1]), match[2]) for line in self.lines if (match := _NUMBERED.match(line))]

    @cached_property
    def han_share(self) -> float:
        """Share of Han characters among all letters; 0 without letters."""
        letters = [char for char in self.text if char.isalpha()]
        return sum(bool(_HAN.match(char)) for char in letters) / len(letters) if letters else 0.0

    def count_word(self, word: str) -> int:
        """Return how often a word occurs, as `count_occurrences` counts it."""
        return count_occurrences(self.casefolded, word, self.language)


def split_words(text: str, language: InstructionLanguage) -> list[str]:
    """Return the words of a text by the counting rules of this language."""
    return (_EN_WORD if language == "en" else _ZH_WORD).findall(text)


def count_occurrences(text: str, word: str, language: InstructionLanguage) -> int:
    """Count occurrences that do not overlap, without regard to case: whole words in English, substrings in Chinese."""
    normalised_word = unicodedata.normalize("NFC", word).casefold()
    if language == "zh":
        return text.casefold().count(normalised_word)
    return len(re.findall(rf"(?<![^\W_]){re.escape(normalised_word)}(?![^\W_])", text.casefold()))


def _split_sentences(line: str) -> list[str]:
    sentences, start = [], 0
    for match in _SENTENCE_END.finditer(line):
        sentence = line[start : match.end()]
        rest = line[match.end() :].lstrip()
        if rest and (_TITLE.search(sentence) or (_ABBREVIATION.search(sentence) and not rest[0].isupper())):
            continue
        sentences.append(sentence)
        start = match.end()
    return [sentence.strip() for sentence in [*sentences, line[start:]] if any(char.isalnum() for char in sentence)]
