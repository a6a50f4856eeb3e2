"""Is this short answer the right one? Graders of final answers, pure functions of text.

`matches` is for open-domain questions: after normalising, the answer is one of the references, or the references and it hold the
same words, numbers in words being numbers. `contains` is for whole sentences: the reference stands in them as words. How often
the first agrees with people is in its card (`validate_answers` on the human judgements of EfficientQA's predictions).
"""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans({mark: " " for mark in string.punctuation if mark not in "'."} | {"'": None, ".": None})
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_FILLERS = (
    "of in on at for to and by with from its his her their mr mrs ms dr sir actor actress year years approximately about around"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_SMALL.split())} | {
    word: str(10 * (at + 2)) for at, word in enumerate(_TENS.split())
}
_ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7"}
_FILLER = frozenset(_FILLERS.split())
_GSM = re.compile(r"####\s*(-?[\d,]*\.?\d+)")
_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")


def normalised(text: str) -> str:
    """SQuAD's normal form (Rajpurkar et al. 2016) with accents folded and number words as digits."""
    text = unicodedata.normalize("NFKD", text.lower()).replace("’", "'")
    text = "".join(mark for mark in text if not unicodedata.combining(mark))
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    words = _ARTICLES.sub(" ", text.translate(_PUNCTUATION)).split()
    return " ".join(_number(word) for word in words)


def matches(answer: str, references: Sequence[str]) -> bool:
    """Whether a short answer says what one of the references says."""
    said = normalised(answer)
    return bool(said) and any(_same(said, normalised(reference)) for reference in references)


def contains(answer: str, references: Sequence[str]) -> bool:
    """Whether a reference stands in the answer, word by word."""
    said = f" {normalised(answer)} "
    return any(wanted and f" {wanted} " in said for wanted in map(normalised, references))


def final_number(text: str) -> float | None:
    """The number behind `####`, else the last number of the text."""
    marked = _GSM.findall(text)
    found = marked[-1:] or _NUMBER.findall(text)[-1:]
    return float(found[0].replace(",", "").replace("$", "")) if found else None


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Agreement with people on one file of judged predictions."""

    file: str
    labels: int
    accuracy: float
    recall: float
    precision: float


def validate_answers(path: Path) -> AnswerFigures:
    """On predictions that people judged: definitely right against definitely wrong; merely possible ones are left out."""
    outcomes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for name, truth in (("def_correct_predictions", True), ("def_incorrect_predictions", False)):
            outcomes += [(truth, matches(said, row["answer"])) for said in row.get(name, ())]
    both = sum(1 for truth, said in outcomes if truth and said)
    return AnswerFigures(
        file=path.name,
        labels=len(outcomes),
        accuracy=sum(truth == said for truth, said in outcomes) / max(1, len(outcomes)),
        recall=both / max(1, sum(truth for truth, _ in outcomes)),
        precision=both / max(1, sum(said for _, said in outcomes)),
    )


def _number(word: str) -> str:
    if word in _NUMBERS or word in _ORDINALS:
        return _NUMBERS.get(word) or _ORDINALS[word]
    return re.sub(r"^(\d+)(st|nd|rd|th|s)$", r"\1", word)


def _same(said: str, wanted: str) -> bool:
    if said == wanted:
        return True
    a, b = _content(said), _content(wanted)
    if not a or not b:
        return False
    if a == b or _stems(a) == _stems(b):
        return True
    short, long = sorted((a, b), key=len)
    if not short < long:
        return False
    if {word for word in a if word.isdigit()} != {word for word in b if word.isdigit()}:
        # A year is right when the whole date was wanted, but one year is not another.
        return short <= long and all(word.isdigit() and len(word) == 4 for word in short)
    return len(short) >= 2 or (len(long) - len(short) <= 2 and len(next(iter(short))) > 3)


def _content(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split() if word not in _FILLER)


def _stems(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in words)
