"""Texts without what does not change their meaning (width, case, accents, spaces, most punctuation), with the way back.

`FoldedText.places` leads from every folded character to the code point that it came from, so a match in the folded text is a
range of the text itself. Marks that change a number stay: decimal points, percent signs, currencies, and minus signs.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

from yearling.store import Span

HAN = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HAN_CHARACTER = re.compile(f"[{HAN}]")
_LETTER = re.compile(rf"[^\W\d_{HAN}]")
_KEPT = frozenset("%$€£¥‰°½¼¾#+")
_MINUS = frozenset("-−－–﹣")


@dataclass(frozen=True, slots=True)
class FoldedText:
    """A folded text, and for each of its characters the code point of the text that it came from."""

    text: str
    places: tuple[int, ...]

    def span(self, start: int, end: int) -> Span:
        """The range of the text itself that the folded range [start, end) came from; not empty."""
        return Span(self.places[start], self.places[end - 1] + 1)

    def find(self, other: FoldedText, span: Span | None = None) -> int:
        """Where the other text stands in this one, whole words and numbers only; -1 if nowhere. `span` bounds the search."""
        first = 0 if span is None else bisect_left(self.places, span.start)
        last = len(self.text) if span is None else bisect_left(self.places, span.end)
        start = self.text.find(other.text, first, last) if other.text else -1
        while start >= 0 and not (self._is_edge(start) and self._is_edge(start + len(other.text))):
            start = self.text.find(other.text, start + 1, last)
        return start

    def _is_edge(self, place: int) -> bool:
        """Whether no word or number goes on at a place: between two Han characters there is always an edge."""
        if not 0 < place < len(self.text):
            return True
        before, after = self.text[place - 1], self.text[place]
        if before in ".," and after.isdigit():
            return False
        if after in ".," and before.isdigit():
            return not (place + 1 < len(self.text) and self.text[place + 1].isdigit())
        return _kind(before) != _kind(after) or _kind(before) in ("han", "other")


@lru_cache(2048)
def fold(text: str) -> FoldedText:
    """Fold a text. Runs of spaces between Latin words become one; between Han characters they go."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for part in _folded_character(character):
            if part == " ":
                if characters and characters[-1] != " ":
                    characters.append(" ")
                    places.append(place)
                continue
            characters.append(part)
            places.append(place)
    return _without_loose_marks("".join(characters), places)


def has_han(text: str) -> bool:
    """Whether the text has a Chinese character."""
    return _HAN_CHARACTER.search(text) is not None


def is_mostly_han(text: str) -> bool:
    """Whether a text is Chinese: a Han character says as much as about two Latin letters."""
    num_han = len(_HAN_CHARACTER.findall(text))
    return num_han * 3 > len(_LETTER.findall(text))


def fold_word(word: str) -> str:
    """A word without case, accents and width."""
    return "".join(part for character in word for part in _folded_character(character)).strip()


@lru_cache(65536)
def _folded_character(character: str) -> str:
    if character.isspace():
        return " "
    if character in _MINUS:
        return "-"
    if character in _KEPT:
        return character
    kept = []
    for part in unicodedata.normalize("NFKD", character).casefold():
        category = unicodedata.category(part)
        if part in ".,%$" or category[0] in "LN":
            kept.append(part)
        elif category[0] in "PZ":
            kept.append(" ")
        elif category[0] == "S":
            kept.append(part)
    return "".join(kept)


def _without_loose_marks(text: str, places: list[int]) -> FoldedText:
    """Keep points, commas and minus signs that belong to a number; keep spaces between Latin words and numbers only."""
    kept: list[str] = []
    kept_places: list[int] = []
    for index, character in enumerate(text):
        after = text[index + 1 : index + 2]
        if character in ".,":
            if not (index and text[index - 1].isdigit() and after.isdigit()):
                character = " "
        elif character == "-" and not (after.isdigit() and not (index and text[index - 1].isalnum())):
            character = " "
        if character == " " and (not kept or kept[-1] == " "):
            continue
        kept.append(character)
        kept_places.append(places[index])
    result: list[str] = []
    result_places: list[int] = []
    for index, character in enumerate(kept):
        if character == " " and not (
            result and index + 1 < len(kept) and _kind(result[-1]) == _kind(kept[index + 1]) and _kind(result[-1]) != "han"
        ):
            continue
        result.append(character)
        result_places.append(kept_places[index])
    return FoldedText("".join(result), tuple(result_places))


def _kind(character: str) -> str:
    if _HAN_CHARACTER.match(character):
        return "han"
    if character.isdigit():
        return "digit"
    return "letter" if character.isalpha() else "other"
