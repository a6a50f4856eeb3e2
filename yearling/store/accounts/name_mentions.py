"""Finds the names of people in a text, so that its author can take them out before others read it.

A name is found whole, whatever its case and the marks between its words: `Ada Byron` also in `ada.byron`. A single word of a
longer name counts only with a capital, since `will` and `rose` are words as well. The work grows with the text, not with the
number of people.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_SHORTEST_PART = 3
"""Letters of the shortest word that counts as a part of a name."""

# A character of a script without spaces is a word of its own.
_SCRIPTS_WITHOUT_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_SCRIPTS_WITHOUT_SPACES}]|(?:(?![{_SCRIPTS_WITHOUT_SPACES}])[^\\W_])+")


def find_name_mentions(texts: Iterable[str], names: Iterable[str]) -> list[str]:
    """The passages of these texts that are names or parts of them, as they are written there, each once, in their order."""
    whole: dict[str, list[tuple[str, ...]]] = {}
    parts: set[str] = set()
    for name in names:
        words = tuple(_fold(match[0]) for match in _WORD.finditer(name))
        if len("".join(words)) < 2:
            continue
        whole.setdefault(words[0], []).append(words)
        if len(words) > 1:
            parts.update(word for word in words if len(word) >= _SHORTEST_PART)
    for sequences in whole.values():
        sequences.sort(key=len, reverse=True)
    return list(dict.fromkeys(mention for text in texts for mention in _mentions(text, whole, parts)))


def _mentions(text: str, whole: dict[str, list[tuple[str, ...]]], parts: set[str]) -> Iterator[str]:
    matches = list(_WORD.finditer(text))
    words = [_fold(match[0]) for match in matches]
    position = 0
    while position < len(words):
        word, length = words[position], 0
        for sequence in whole.get(word, ()):
            if tuple(words[position : position + len(sequence)]) == sequence:
                length = len(sequence)
                break
        if not length and word in parts and matches[position][0][0].isupper():
            length = 1
        if length:
            yield text[matches[position].start() : matches[position + length - 1].end()]
        position += length or 1


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()
