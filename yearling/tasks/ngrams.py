"""Texts as sets of n-grams: finding lessons that say the same, and lessons that give an exam away.

A unit of text is a run of letters and digits; in scripts that are written without spaces (Chinese, Japanese, Korean) it is a
character. Case, width and punctuation do not count. The leak check follows common practice for contamination (GPT-3, 2005.14165,
appendix C): a text leaks when it shares 13 units in a row with an exam; shorter texts leak when they are equal as a whole.
Near-duplicates are found by MinHash (Broder 1997) and proved by the exact Jaccard index of their shingles.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import numpy.typing as npt

LEAK_NGRAM_UNITS = 13
MIN_WHOLE_TEXT_UNITS = 5
"""Shorter texts than this ("Yes, please.") say nothing about where they come from."""

SHINGLE_UNITS = 5
NEAR_DUPLICATE_JACCARD = 0.8
"""Jaccard index from which two texts say the same."""

_BANDS, _ROWS = 16, 4  # two texts at `NEAR` are compared with a chance above 99.9 %
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SPACELESS = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(f"[{_SPACELESS}]|[^\\W_{_SPACELESS}]+")

NgramHashes = frozenset[int]
ShingledText = tuple[NgramHashes, ...]
"""A text in parts (what was asked, what was answered), each as its shingles."""


@dataclass(frozen=True, slots=True)
class ExamFingerprint:
    """What an exam can be recognised by. Says nothing of its words: n-grams are kept as 64-bit hashes."""

    exam: str
    ngrams: NgramHashes
    whole_texts: NgramHashes


def fingerprint_exam(exam: str, texts: Iterable[str]) -> ExamFingerprint:
    """The fingerprint of an exam: `texts` are its questions, and its reference answers where they are sentences."""
    grams: set[int] = set()
    wholes: set[int] = set()
    for text in texts:
        found = text_units(text)
        grams.update(_ngram_hashes(found, LEAK_NGRAM_UNITS))
        if len(found) >= MIN_WHOLE_TEXT_UNITS:
            wholes.add(_whole_text_hash(found))
    return ExamFingerprint(exam=exam, ngrams=frozenset(grams), whole_texts=frozenset(wholes))


def find_leaked_exam(texts: Iterable[str], exams: Sequence[ExamFingerprint], *, whole_texts_only: bool = False) -> str | None:
    """The name of an exam that these texts give away, if there is one. `whole_only` is for texts made from a template, which
    share long runs of words with every other text made from it."""
    if not exams:
        return None
    for text in texts:
        found = text_units(text)
        whole = _whole_text_hash(found) if len(found) >= MIN_WHOLE_TEXT_UNITS else None
        grams = frozenset(() if whole_texts_only else _ngram_hashes(found, LEAK_NGRAM_UNITS))
        for exam in exams:
            if whole in exam.whole_texts or not grams.isdisjoint(exam.ngrams):
                return exam.exam
    return None


def text_units(text: str) -> list[str]:
    """The units of a text: words, and single characters where a script has no spaces."""
    return _UNIT.findall(unicodedata.normalize("NFKC", text).casefold())


def shingles(text: str) -> NgramHashes:
    """The text's runs of a few units; all of it when it is shorter."""
    found = text_units(text)
    return frozenset(_ngram_hashes(found, SHINGLE_UNITS)) or frozenset([_whole_text_hash(found or [text])])


def jaccard(first: NgramHashes, second: NgramHashes) -> float:
    """|A ∩ B| / |A ∪ B|."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def is_near_duplicate(first: ShingledText, second: ShingledText) -> bool:
    """Whether two texts say the same in every part."""
    return len(first) == len(second) and all(jaccard(a, b) >= NEAR_DUPLICATE_JACCARD for a, b in zip(first, second, strict=True))


class NearDuplicateIndex:
    """Finds texts that say the same as others, without comparing everything with everything."""

    def __init__(self) -> None:
        self._buckets: dict[bytes, list[int]] = {}
        self._documents: list[ShingledText] = []

    def add(self, document: ShingledText) -> None:
        """Add a text, under the next number from 0 up."""
        self._add(document, _minhash_bands(document))

    def find_near_duplicate(self, document: ShingledText) -> int | None:
        """The lowest number of a text that says the same as this one."""
        return self._find_near_duplicate(document, _minhash_bands(document))

    def add_if_new(self, document: ShingledText) -> bool:
        """Add a text unless one that says the same is there. Returns whether it was added."""
        bands = _minhash_bands(document)
        if self._find_near_duplicate(document, bands) is not None:
            return False
        self._add(document, bands)
        return True

    def _add(self, document: ShingledText, bands: Sequence[bytes]) -> None:
        for band in bands:
            self._buckets.setdefault(band, []).append(len(self._documents))
        self._documents.append(document)

    def _find_near_duplicate(self, document: ShingledText, bands: Sequence[bytes]) -> int | None:
        candidates = set(chain.from_iterable(self._buckets.get(band, ()) for band in bands))
        return next((number for number in sorted(candidates) if is_near_duplicate(document, self._documents[number])), None)


def _minhash_bands(document: ShingledText) -> list[bytes]:
    """The MinHash signature of all parts together, in bands: alike texts have a band in common."""
    # A part's number goes into its hashes, so that a question repeated in the answer is not taken for the answer.
    parts = [np.array(sorted(grams), dtype=np.uint64) * (_BASE + np.uint64(2 * part)) for part, grams in enumerate(document)]
    hashed = (_FACTORS[:, None] * np.concatenate(parts)[None, :] + _TERMS[:, None]) >> np.uint64(32)
    signature = hashed.min(axis=1).astype("<u4").tobytes()
    width = _ROWS * 4
    return [bytes([band]) + signature[band * width : (band + 1) * width] for band in range(_BANDS)]


def _odd_constants(name: bytes) -> npt.NDArray[np.uint64]:
    """Odd 64-bit numbers that are the same everywhere."""
    digest = b"".join(blake2b(name, salt=bytes([row])).digest()[:8] for row in range(_BANDS * _ROWS))
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64) | np.uint64(1)


_FACTORS, _TERMS = _odd_constants(b"factor"), _odd_constants(b"term")


def _ngram_hashes(units: Sequence[str], size: int) -> list[int]:
    """A 64-bit hash of each run of `size` units: a polynomial in the units' own hashes, the same on every machine."""
    if len(units) < size:
        return []
    numbers = np.array([_unit_hash(unit) for unit in units], dtype=np.uint64)
    count = len(units) - size + 1
    total = np.zeros(count, dtype=np.uint64)
    for offset in range(size):
        total = total * _BASE + numbers[offset : offset + count]
    hashes: list[int] = total.tolist()
    return hashes


def _whole_text_hash(units: Sequence[str]) -> int:
    """The hash of a whole text."""
    return (_ngram_hashes(units, len(units)) or [0])[0] ^ len(units)


@lru_cache(maxsize=200_000)
def _unit_hash(unit: str) -> int:
    # surrogatepass: models can write halves of characters.
    return int.from_bytes(blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
