"""Compares short answers with reference answers. Pure functions of text.

`matches_reference` is for answers of a few words to open-domain questions. After normalisation the answer must equal a reference,
have the same words up to spelling and endings, or be its acronym. `contains_reference` is for sentences: they must contain a
reference as words. `validate_answers` measures how often the first agrees with people, on the human judgements of EfficientQA's
predictions; the grader's card holds the result.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from yearling.evals.graders.agreement import GraderAgreement, measure_agreement

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans({char: " " for char in string.punctuation + "‐‑‒–—―" if char not in "'."} | {"'": None})
_NUMBER_WORDS_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
)
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_STOP_WORD_LIST = (
    "of in on at for to and by with from its his her their mr mrs ms dr sir actor actress year years approximately about around"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_NUMBER_WORDS_TO_NINETEEN.split())} | {
    word: str(value) for value, word in zip(range(20, 100, 10), _TENS_WORDS.split(), strict=True)
}
_TEN_MULTIPLES = frozenset(str(value) for value in range(20, 100, 10))
_DIGITS = frozenset("123456789")
_ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7"}
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())
_GENERIC = frozenset(("party", "group", "city", "people", "system", "letters", "members"))
"""Generic words, which count only where no other word is left."""


def normalise_answer(text: str) -> str:
    """SQuAD's normal form (Rajpurkar et al. 2016), with accents removed and number words as digits."""
    text = unicodedata.normalize("NFKD", text.lower()).replace("’", "'")
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\.(?!\d)|(?<!\d)\.", "", text.translate(_PUNCTUATION))
    words: list[str] = []
    for word in map(_normalise_number, _ARTICLES.sub(" ", text).split()):
        if words and words[-1] in _TEN_MULTIPLES and len(word) == 1 and word in _DIGITS:
            words[-1] = str(int(words[-1]) + int(word))  # "twenty-four" is 24
        else:
            words.append(word)
    return " ".join(words)


def matches_reference(answer: str, references: Sequence[str]) -> bool:
    """Whether a short answer means the same as one of the references."""
    normalised = normalise_answer(answer)
    return bool(normalised) and any(_is_same_answer(normalised, normalise_answer(reference)) for reference in references)


def contains_reference(answer: str, references: Sequence[str]) -> bool:
    """Whether the answer contains one of the references as whole words."""
    normalised = f" {normalise_answer(answer)} "
    return any(reference and f" {reference} " in normalised for reference in map(normalise_answer, references))


def validate_answers(path: Path) -> tuple[GraderAgreement, GraderAgreement]:
    """Agreement of `matches_reference` with people, on predictions that they judged definitely right or definitely wrong.

    The file is split in halves by question: the rules were developed on the first, and the second counts.
    """
    outcomes: dict[bool, list[tuple[bool, bool]]] = {True: [], False: []}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        is_development = hashlib.sha256(row["question"].encode()).digest()[0] % 2 == 0
        references = [_repair_encoding(reference) for reference in row["answer"]]
        for key, label in (("def_correct_predictions", True), ("def_incorrect_predictions", False)):
            outcomes[is_development] += [
                (label, matches_reference(_repair_encoding(prediction), references)) for prediction in row.get(key, ())
            ]
    return (
        measure_agreement(path.name, "made on", outcomes[True]),
        measure_agreement(path.name, "untouched", outcomes[False]),
    )


def _normalise_number(word: str) -> str:
    if word in _NUMBERS or word in _ORDINALS:
        return _NUMBERS.get(word) or _ORDINALS[word]
    return re.sub(r"^(\d+)(st|nd|rd|th|s)$", r"\1", word)


def _is_same_answer(answer: str, reference: str) -> bool:
    """Whether two normalised texts mean the same answer."""
    if answer == reference or _is_acronym(answer, reference) or _is_acronym(reference, answer):
        return True
    a, b = _content_words(answer), _content_words(reference)
    if not a or not b:
        return False
    if _are_words_covered(a, b) and _are_words_covered(b, a):
        return True
    short, long = sorted((a, b), key=len)
    if not _are_words_covered(short, long):
        return False
    if {word for word in a if word.isdigit()} != {word for word in b if word.isdigit()}:
        # A year is right where the reference is a whole date, but one year is not another.
        return all(word.isdigit() and len(word) == 4 for word in short)
    num_missing, first = len(long) - len(short), next(iter(short))
    if all(word.isdigit() for word in short):
        return num_missing <= 3  # the numbers agree, and the answer need not say what is counted
    if len(short) == 1 and short == b and len(first) > 5:
        return num_missing <= 3  # the reference is a name, and the answer adds who that is
    return len(short) >= 2 or (num_missing <= 2 and len(first) > 3)


def _content_words(text: str) -> frozenset[str]:
    words = frozenset(word for word in text.split() if word not in _STOP_WORDS)
    return words - _GENERIC or words


def _are_words_covered(words: frozenset[str], other_words: frozenset[str]) -> bool:
    return all(any(_is_same_word(word, other) for other in other_words) for word in words)


def _is_same_word(a: str, b: str) -> bool:
    """Whether two words are equal up to their ending (Sparta, Spartan) or one letter of a long word (Barbosa, Barbossa).

    Numbers must be equal.
    """
    if a == b:
        return True
    if a[0] != b[0] or a[0].isdigit() or b[0].isdigit():
        return False
    if a.removesuffix("s") == b.removesuffix("s"):
        return True
    common = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if common >= 5 and max(len(a), len(b)) - common <= 3:
        return True
    shorter, longer = sorted((a, b), key=len)
    if len(shorter) < 6 or len(longer) - len(shorter) > 1:
        return False
    longer_rest = longer[common + 1 :]
    return longer_rest == shorter[common + (len(a) == len(b)) :]


def _is_acronym(short: str, long: str) -> bool:
    """Whether `short` consists of the initials of `long`: NFL for National Football League."""
    letters, words = short.replace(" ", ""), [word for word in long.split() if word not in {"of", "and", "for"}]
    return len(letters) == len(words) >= 3 and all(word[0] == letter for word, letter in zip(words, letters, strict=True))


def _repair_encoding(text: str) -> str:
    """Text of the file of judgements, which has literal escapes and UTF-8 that was decoded as Latin-1."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
