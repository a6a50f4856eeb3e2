"""Is this short answer the right one? Graders of final answers, pure functions of text.

`matches` is for open-domain questions: after normalising, the answer is one of the references, or a reference and it hold the
same words up to spelling and endings, numbers in words being numbers; or one is the other's initials. `contains` is for whole
sentences: the reference stands in them as words. How often the first agrees with people is in its card (`validate_answers` on the
human judgements of EfficientQA's predictions).
"""

from __future__ import annotations

import hashlib
import json
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans({mark: " " for mark in string.punctuation + "‐‑‒–—―" if mark not in "'."} | {"'": None})
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_STOP_WORD_LIST = (
    "of in on at for to and by with from its his her their mr mrs ms dr sir actor actress year years approximately about around"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_SMALL.split())} | {
    word: str(10 * (at + 2)) for at, word in enumerate(_TENS.split())
}
_TEN_MULTIPLES = frozenset(str(10 * (at + 2)) for at in range(len(_TENS.split())))
_DIGITS = frozenset("123456789")
_ORDINALS = {"first": "1", "second": "2", "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7"}
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())
_GENERIC = frozenset(("party", "group", "city", "people", "system", "letters", "members"))
"""Words that name a kind: they count only where nothing else is left."""
_GSM8K_ANSWER = re.compile(r"####\s*(-?[\d,]*\.?\d+)")
_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")


def normalise_answer(text: str) -> str:
    """SQuAD's normal form (Rajpurkar et al. 2016) with accents folded and number words as digits."""
    text = unicodedata.normalize("NFKD", text.lower()).replace("’", "'")
    text = "".join(mark for mark in text if not unicodedata.combining(mark))
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\.(?!\d)|(?<!\d)\.", "", text.translate(_PUNCTUATION))
    words: list[str] = []
    for word in map(_normalise_number, _ARTICLES.sub(" ", text).split()):
        if words and words[-1] in _TEN_MULTIPLES and len(word) == 1 and word in _DIGITS:
            words[-1] = str(int(words[-1]) + int(word))  # twenty-four
        else:
            words.append(word)
    return " ".join(words)


def matches_reference(answer: str, references: Sequence[str]) -> bool:
    """Whether a short answer says what one of the references says."""
    said = normalise_answer(answer)
    return bool(said) and any(_is_same_answer(said, normalise_answer(reference)) for reference in references)


def contains_reference(answer: str, references: Sequence[str]) -> bool:
    """Whether a reference stands in the answer, word by word."""
    said = f" {normalise_answer(answer)} "
    return any(wanted and f" {wanted} " in said for wanted in map(normalise_answer, references))


def extract_final_number(text: str) -> float | None:
    """The number behind `####`, else the last number of the text."""
    marked = _GSM8K_ANSWER.findall(text)
    found = marked[-1:] or _NUMBER.findall(text)[-1:]
    return float(found[0].replace(",", "").replace("$", "")) if found else None


@dataclass(frozen=True, slots=True)
class AnswerAgreement:
    """Agreement with people on half of a file of judged predictions."""

    file: str
    half: str
    labels: int
    accuracy: float
    recall: float
    precision: float


def validate_answers(path: Path) -> tuple[AnswerAgreement, AnswerAgreement]:
    """On predictions that people judged: definitely right against definitely wrong; merely possible ones are left out.

    Halves by question: the first is the one that the rules were made on, the second is untouched and counts.
    """
    outcomes: dict[bool, list[tuple[bool, bool]]] = {True: [], False: []}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        made_on = hashlib.sha256(row["question"].encode()).digest()[0] % 2 == 0
        references = [_repair_encoding(one) for one in row["answer"]]
        for name, truth in (("def_correct_predictions", True), ("def_incorrect_predictions", False)):
            outcomes[made_on] += [(truth, matches_reference(_repair_encoding(said), references)) for said in row.get(name, ())]
    return _measure_agreement(path.name, "made on", outcomes[True]), _measure_agreement(path.name, "untouched", outcomes[False])


def _measure_agreement(file: str, half: str, outcomes: Sequence[tuple[bool, bool]]) -> AnswerAgreement:
    both = sum(1 for truth, said in outcomes if truth and said)
    return AnswerAgreement(
        file=file,
        half=half,
        labels=len(outcomes),
        accuracy=sum(truth == said for truth, said in outcomes) / max(1, len(outcomes)),
        recall=both / max(1, sum(truth for truth, _ in outcomes)),
        precision=both / max(1, sum(said for _, said in outcomes)),
    )


def _normalise_number(word: str) -> str:
    if word in _NUMBERS or word in _ORDINALS:
        return _NUMBERS.get(word) or _ORDINALS[word]
    return re.sub(r"^(\d+)(st|nd|rd|th|s)$", r"\1", word)


def _is_same_answer(said: str, wanted: str) -> bool:
    if said == wanted or _is_acronym(said, wanted) or _is_acronym(wanted, said):
        return True
    a, b = _content_words(said), _content_words(wanted)
    if not a or not b:
        return False
    if _are_words_covered(a, b) and _are_words_covered(b, a):
        return True
    short, long = sorted((a, b), key=len)
    if not _are_words_covered(short, long):
        return False
    if {word for word in a if word.isdigit()} != {word for word in b if word.isdigit()}:
        # A year is right when the whole date was wanted, but one year is not another.
        return all(word.isdigit() and len(word) == 4 for word in short)
    missing, alone = len(long) - len(short), next(iter(short))
    if all(word.isdigit() for word in short):
        return missing <= 3  # the numbers agree, and what is counted need not be said
    if len(short) == 1 and short == b and len(alone) > 5:
        return missing <= 3  # a name, and who that is
    return len(short) >= 2 or (missing <= 2 and len(alone) > 3)


def _content_words(text: str) -> frozenset[str]:
    words = frozenset(word for word in text.split() if word not in _STOP_WORDS)
    return words - _GENERIC or words


def _are_words_covered(words: frozenset[str], others: frozenset[str]) -> bool:
    return all(any(_is_same_word(word, other) for other in others) for word in words)


def _is_same_word(a: str, b: str) -> bool:
    """One word up to its ending (Sparta, Spartan), or up to one letter in a long one (Barbosa, Barbossa). Numbers: the same."""
    if a == b:
        return True
    if a[0] != b[0] or a[0].isdigit() or b[0].isdigit():
        return False
    if a.removesuffix("s") == b.removesuffix("s"):
        return True
    common = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if common >= 5 and max(len(a), len(b)) - common <= 3:
        return True
    shorter, longer = sorted((a, b), key=len)
    if len(shorter) < 6 or len(longer) - len(shorter) > 1:
        return False
    rest = longer[common + 1 :]
    return rest == shorter[common + (len(a) == len(b)) :]


def _is_acronym(short: str, long: str) -> bool:
    """NFL for National Football League."""
    letters, words = short.replace(" ", ""), [word for word in long.split() if word not in {"of", "and", "for"}]
    return len(letters) == len(words) >= 3 and all(word[0] == letter for word, letter in zip(words, letters, strict=True))


def _repair_encoding(text: str) -> str:
    """The file of judgements has escapes spelt out, and UTF-8 that was read as Latin-1."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
