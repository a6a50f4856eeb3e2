"""Names of a claim, and whether they stand in a source: pure rules, for English and Chinese.

In English a name is a word with a capital that no rule of spelling asks for. Chinese has no capitals: a name is what stands
in 《》 or quotation marks, a transliteration, a surname with one or two characters, or a word with an ending such as 市 or
大学, and only where none of its pairs of characters stands in the source. Names are compared within a script: who reads a
Chinese claim beside an English source learns that its names were not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from yearling.retrieval.citations.folding import HAN, fold, fold_word, has_han, is_mostly_han
from yearling.retrieval.citations.name_lists import (
    COMMON_STARTERS,
    COMMON_WORDS,
    NAME_ENDINGS,
    PLACES,
    SURNAMES,
    TRANSLITERATION,
)
from yearling.store import Span

_LATIN_WORD = re.compile(r"[^\W\d_" + HAN + r"]+(?:['’.-][^\W\d_" + HAN + r"]+)*(?:['’]s\b)?")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;•\n]\s*|[-*#>]\s+|[\"“‘'*_]+)\s*$")
_ENDING = re.compile(r"['’]s?$")
_DERIVED = frozenset(
    ("", "s", "n", "an", "ian", "ese", "ish", "ic", "i", "es", "r", "er", "ns", "ans", "ians", "ean", "al", "ine")
)
_QUOTED = re.compile(r"《([^《》]{1,40})》|“([^“”]{1,24})”|「([^「」]{1,24})」|『([^『』]{1,24})』|〈([^〈〉]{1,40})〉")
_DOTTED = re.compile(rf"([{HAN}])[·•・‧．]([{HAN}])")
_HAN_RUN = re.compile(rf"[{HAN}]+")
_MARKS = re.compile(r"[，。；、：！？,.;:!?（）()《》“”\n]")
_FUNCTION = frozenset("的了在和与是于由被及中为等从到这那一个上下内外有而或也")
_MAX_NAME = 4
_MAX_REPLACED = 14
"""Characters of the longest name of a source in whose place a claim may have another."""
_MAX_UNKNOWN = 0.6
"""Share of characters that the source does not have, up to which a claim repeats it, so that its places can be compared."""


def missing_names(claim: str, sources: Sequence[str]) -> list[Span]:
    """Ranges of the claim: names that no source has. Names are looked for in sources of their own script only."""
    text = "\n".join(sources)
    missing: list[Span] = []
    if has_han(claim) or not is_mostly_han(text):
        missing += _missing_latin(claim, text)
    if is_mostly_han(text):
        missing += _missing_han(claim, text)
    missing.sort()
    kept: list[Span] = []
    for span in missing:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end > kept[-1].end:
            kept[-1] = Span(kept[-1].start, span.end)
    return kept


def _missing_latin(claim: str, source: str) -> Iterator[Span]:
    words = list(_LATIN_WORD.finditer(claim))
    source_words = [(fold_word(_ENDING.sub("", match[0])), match[0]) for match in _LATIN_WORD.finditer(source)]
    known = {part for word, _ in source_words for part in (word, *re.split(r"[-.’']", word))}
    acronyms = _acronyms([word for _, word in source_words])
    for index, match in enumerate(words):
        word = _ENDING.sub("", match[0])
        if not _is_capitalised(word):
            continue
        folded = fold_word(word)
        following = words[index + 1] if index + 1 < len(words) else None
        is_first = bool(_SENTENCE_START.search(claim[: match.start()][-12:]))
        if folded in COMMON_STARTERS or (is_first and not _is_name_at_start(word, match, following, claim, source_words)):
            continue
        parts = [part for part in re.split(r"[-.’']", folded) if len(part) > 1] or [folded]
        if all(any(_is_same(part, other) for other in known) for part in parts):
            continue
        if folded.replace(".", "") in acronyms or _spells(folded.replace(".", ""), claim, known):
            continue
        yield Span(match.start(), match.start() + len(word))


def _is_capitalised(word: str) -> bool:
    return any(character.isupper() for character in word) and len(word) > 1


def _is_name_at_start(
    word: str, match: re.Match[str], following: re.Match[str] | None, claim: str, source_words: Sequence[tuple[str, str]]
) -> bool:
    """Whether a word that begins a sentence would have its capital elsewhere too."""
    if any(character.isupper() for character in word[1:]):
        return True
    if following is None or not claim[match.end() : following.start()].isspace():
        return False
    if _is_capitalised(following[0]) and fold_word(following[0]) not in COMMON_STARTERS:
        return True
    # The source has another name in front of the same word: "Newton was born" beside "Einstein was born".
    follower = fold_word(following[0])
    return any(
        word_after[0] == follower and _is_capitalised(before[1]) and before[0] not in COMMON_STARTERS
        for before, word_after in pairwise(source_words)
    )


def _is_same(part: str, other: str) -> bool:
    """Whether two folded words are one name: America and American, Panther and Panthers."""
    if part == other:
        return True
    short, long = sorted((part, other), key=len)
    if len(short) < 4:
        return False
    stem = short[:-1] if short[-1] in "aeyo" else short
    return (long.startswith(short) and long[len(short) :] in _DERIVED) or (
        stem != short and long.startswith(stem) and long[len(stem) :] in _DERIVED
    )


def _acronyms(words: Sequence[str]) -> set[str]:
    """The initials of up to six words in a row that begin with capitals; small words between them may be left out."""
    found = set()
    initials = [word[0].lower() for word in words if _is_capitalised(word) and fold_word(word) not in COMMON_STARTERS]
    for start in range(len(initials)):
        for length in range(2, 7):
            if start + length <= len(initials):
                found.add("".join(initials[start : start + length]))
    return found


def _spells(folded: str, claim: str, known: set[str]) -> bool:
    """Whether the claim spells out an acronym of the source: "National Football League" for NFL."""
    capitals = "".join(
        match[0][0].lower()
        for match in _LATIN_WORD.finditer(claim)
        if _is_capitalised(match[0]) and fold_word(match[0]) not in COMMON_STARTERS
    )
    return any(
        acronym in capitals and folded[:1] in acronym
        for acronym in known
        if 2 < len(acronym) < 7 and not re.search("[aeiou]", acronym)
    )


def _missing_han(claim: str, source: str) -> Iterator[Span]:
    folded_source = fold(source)
    for match in _QUOTED.finditer(claim):
        group = next(number for number, content in enumerate(match.groups(), 1) if content is not None)
        if fold(match[group]).text not in folded_source.text:
            yield Span(*match.span(group))
    pairs = {source[place : place + 2] for run in _HAN_RUN.finditer(source) for place in range(run.start(), run.end() - 1)}
    dotted = {match[1] + match[2] for match in _DOTTED.finditer(source)}
    for match in _DOTTED.finditer(claim):
        if match[1] + match[2] not in dotted:
            yield Span(_transliterated_start(claim, match.start()), _transliterated_end(claim, match.end()))
    runs = [(run, list(_unknown_runs(run, claim, pairs))) for run in _HAN_RUN.finditer(claim)]
    num_unknown = sum(end - start for _, unknown in runs for start, end in unknown)
    is_close = num_unknown < _MAX_UNKNOWN * sum(len(run[0]) for run, _ in runs)
    for run, unknown in runs:
        yield from _places(claim, run, source)
        for start, end in unknown:
            if (
                is_close
                and end - start > 1
                and not set("第的") & set(claim[start:end])
                and _has_name(_replaced(claim, start, end, source))
            ):
                yield Span(start, end)
            else:
                yield from _names_in(claim, start, end)


def _places(claim: str, run: re.Match[str], source: str) -> Iterator[Span]:
    for length in (4, 3, 2):
        for start in range(run.start(), run.end() - length + 1):
            word = claim[start : start + length]
            if word in PLACES and word not in source and not _is_shortened(word, source):
                yield Span(start, start + length)


def _is_shortened(place: str, source: str) -> bool:
    """Whether the source has the short form of a country or a dynasty: 美军 for 美国, 清代 for 清朝."""
    if len(place) != 2 or place[1] not in "国朝军":
        return False
    return re.search(rf"{place[0]}[军方队籍人文语式代末初美日英法中苏德]|[美日英法中苏德]{place[0]}", source) is not None


def _unknown_runs(run: re.Match[str], claim: str, pairs: set[str]) -> Iterator[tuple[int, int]]:
    """Ranges of Han characters that are part of no pair of the source."""
    start: int | None = None
    for place in range(run.start(), run.end()):
        is_known = claim[place : place + 2] in pairs or (place > run.start() and claim[place - 1 : place + 1] in pairs)
        if not is_known and start is None:
            start = place
        if is_known and start is not None:
            yield start, place
            start = None
    if start is not None:
        yield start, run.end()


def _replaced(claim: str, start: int, end: int, source: str) -> str:
    """What the source has between the characters that stand around the range in the claim; empty if they stand nowhere."""
    before = re.split(_MARKS, claim[max(0, start - 2) : start])[-1].strip()
    after = re.split(_MARKS, claim[end : end + 2])[0].strip()
    left = source.find(before) + len(before) if before and before in source else -1
    if left >= 0 and after:
        right = source.find(after, left)
        return source[left:right] if 0 < right - left <= _MAX_REPLACED else ""
    if left >= 0:
        return re.split(_MARKS, source[left : left + _MAX_REPLACED])[0]
    if not before and after and after in source:
        right = source.find(after)
        return re.split(_MARKS, source[max(0, right - _MAX_REPLACED) : right])[-1]
    return ""


def _has_name(text: str) -> bool:
    """Whether words of the source look like a name."""
    word = text.strip()
    if not word:
        return False
    if any(place in word for place in PLACES) or _DOTTED.search(word) or re.search(r"[A-Z][a-z]", word):
        return True
    is_person = 2 <= len(word) <= 3 and word[0] in SURNAMES and word not in COMMON_WORDS and word[:2] not in COMMON_WORDS
    is_foreign = len(word) > 1 and all(character in TRANSLITERATION for character in word)
    return is_person or is_foreign or (len(word) > 2 and word.endswith(NAME_ENDINGS) and word not in COMMON_WORDS)


def _names_in(claim: str, start: int, end: int) -> Iterator[Span]:
    """The names among characters that the source does not have."""
    while start < end and claim[start] in _FUNCTION:
        start += 1
    while start < end and claim[end - 1] in _FUNCTION:
        end -= 1
    word = claim[start:end]
    for match in re.finditer(rf"[{TRANSLITERATION}]{{3,}}", word):
        yield Span(start + match.start(), start + match.end())
    if 2 <= len(word) <= _MAX_NAME and word not in COMMON_WORDS and not _FUNCTION & set(word):
        is_person = word[0] in SURNAMES and len(word) <= 3 and word[:2] not in COMMON_WORDS and word[1:] not in COMMON_WORDS
        if is_person or all(character in TRANSLITERATION for character in word):
            yield Span(start, end)
            return
    for ending in NAME_ENDINGS:
        place = word.find(ending)
        if place >= 2 and word[: place + len(ending)] not in COMMON_WORDS:
            yield Span(start, start + place + len(ending))
            return


def _transliterated_start(text: str, place: int) -> int:
    while place > 0 and text[place - 1] in TRANSLITERATION:
        place -= 1
    return place


def _transliterated_end(text: str, place: int) -> int:
    while place < len(text) and text[place] in TRANSLITERATION + "·•・‧":
        place += 1
    return place
