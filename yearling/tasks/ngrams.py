"""Finds near-duplicate lessons, and lessons that leak exam content, with n-grams.

A unit of text is a run of letters and digits, or a single character in scripts without spaces (Chinese, Japanese, Korean). Case,
width and punctuation do not count. The leak check follows common practice for contamination (GPT-3, arXiv 2005.14165, appendix
C): a text leaks if it shares 13 consecutive units with an exam; a shorter text leaks if it is equal as a whole. MinHash (Broder
1997) finds candidates for near-duplicates, and the exact Jaccard index of their shingles confirms them.
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
"""Texts with fewer units, such as "Yes, please.", occur everywhere and are no sign of a leak."""

SHINGLE_UNITS = 5
NEAR_DUPLICATE_JACCARD = 0.8
"""Jaccard index from which two texts are near-duplicates."""

_BANDS, _ROWS = 16, 4  # finds two texts at `NEAR_DUPLICATE_JACCARD` with a probability above 99.9 %
_HASH_BASE = np.uint64(0x9E3779B97F4A7C15)
_SPACELESS = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(f"[{_SPACELESS}]|[^\\W_{_SPACELESS}]+")

NgramHashes = frozenset[int]
ShingledText = tuple[NgramHashes, ...]
"""A text in parts, such as question and answer, each as the hashes of its shingles."""


@dataclass(frozen=True, slots=True)
class ExamFingerprint:
    """What identifies the content of an exam: 64-bit hashes of its n-grams and its complete texts, from which no text follows."""

    exam: str
    ngrams: NgramHashes
    whole_texts: NgramHashes


def fingerprint_exam(exam: str, texts: Iterable[str]) -> ExamFingerprint:
    """Return the fingerprint of an exam. `texts` are its questions, and those reference answers that are sentences."""
    ngrams: set[int] = set()
    whole_texts: set[int] = set()
    for text in texts:
        units = text_units(text)
        ngrams.update(_ngram_hashes(units, LEAK_NGRAM_UNITS))
        if len(units) >= MIN_WHOLE_TEXT_UNITS:
            whole_texts.add(_whole_text_hash(units))
    return ExamFingerprint(exam=exam, ngrams=frozenset(ngrams), whole_texts=frozenset(whole_texts))


def find_leaked_exam(texts: Iterable[str], exams: Sequence[ExamFingerprint], *, whole_texts_only: bool = False) -> str | None:
    """Return the name of an exam whose content these texts contain, or None.

    `whole_texts_only` is for texts made from a template, which share long runs of words with all other texts of the template.
    """
    if not exams:
        return None
    for text in texts:
        units = text_units(text)
        whole_text = _whole_text_hash(units) if len(units) >= MIN_WHOLE_TEXT_UNITS else None
        ngrams = frozenset(() if whole_texts_only else _ngram_hashes(units, LEAK_NGRAM_UNITS))
        for exam in exams:
            if whole_text in exam.whole_texts or not ngrams.isdisjoint(exam.ngrams):
                return exam.exam
    return None


def text_units(text: str) -> list[str]:
    """Return the units of a text: words, or single characters in scripts without spaces."""
    return _UNIT.findall(unicodedata.normalize("NFKC", text).casefold())


def shingles(text: str) -> NgramHashes:
    """Return the hashes of the text's runs of `SHINGLE_UNITS` units, or of the complete text if it is shorter."""
    units = text_units(text)
    return frozenset(_ngram_hashes(units, SHINGLE_UNITS)) or frozenset([_whole_text_hash(units or [text])])


def jaccard(first: NgramHashes, second: NgramHashes) -> float:
    """Return |A ∩ B| / |A ∪ B|."""
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def is_near_duplicate(first: ShingledText, second: ShingledText) -> bool:
    """Return whether two texts are near-duplicates in every part."""
    return len(first) == len(second) and all(jaccard(a, b) >= NEAR_DUPLICATE_JACCARD for a, b in zip(first, second, strict=True))


class NearDuplicateIndex:
    """Finds near-duplicates among many texts without comparing every pair."""

    def __init__(self) -> None:
        self._buckets: dict[bytes, list[int]] = {}
        self._documents: list[ShingledText] = []

    def add(self, document: ShingledText) -> None:
        """Add a text under the next number, starting from 0."""
        self._add(document, _minhash_bands(document))

    def find_near_duplicate(self, document: ShingledText) -> int | None:
        """Return the lowest number of a near-duplicate of this text, or None."""
        return self._find_near_duplicate(document, _minhash_bands(document))

    def add_if_new(self, document: ShingledText) -> bool:
        """Add a text unless the index has a near-duplicate. Returns whether it was added."""
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
    """Return the MinHash signature of all parts together, in bands. Near-duplicates have a band in common."""
    # The hashes include the number of the part, so that a question repeated in the answer does not count as the answer.
    parts = [np.array(sorted(grams), dtype=np.uint64) * (_HASH_BASE + np.uint64(2 * part)) for part, grams in enumerate(document)]
    hashed = (_FACTORS[:, None] * np.concatenate(parts)[None, :] + _OFFSETS[:, None]) >> np.uint64(32)
    signature = hashed.min(axis=1).astype("<u4").tobytes()
    width = _ROWS * 4
    return [bytes([band]) + signature[band * width : (band + 1) * width] for band in range(_BANDS)]


def _odd_constants(name: bytes) -> npt.NDArray[np.uint64]:
    """Return odd 64-bit numbers, the same on every machine."""
    digest = b"".join(blake2b(name, salt=bytes([row])).digest()[:8] for row in range(_BANDS * _ROWS))
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64) | np.uint64(1)


_FACTORS, _OFFSETS = _odd_constants(b"factor"), _odd_constants(b"term")


def _ngram_hashes(units: Sequence[str], size: int) -> list[int]:
    """Return a 64-bit hash of each run of `size` units: a polynomial in the hashes of the units, the same on every machine."""
    if len(units) < size:
        return []
    numbers = np.array([_unit_hash(unit) for unit in units], dtype=np.uint64)
    count = len(units) - size + 1
    total = np.zeros(count, dtype=np.uint64)
    for offset in range(size):
        total = total * _HASH_BASE + numbers[offset : offset + count]
    hashes: list[int] = total.tolist()
    return hashes


def _whole_text_hash(units: Sequence[str]) -> int:
    """Return the hash of a complete text."""
    return (_ngram_hashes(units, len(units)) or [0])[0] ^ len(units)


@lru_cache(maxsize=200_000)
def _unit_hash(unit: str) -> int:
    # surrogatepass: models can emit unpaired surrogates.
    return int.from_bytes(blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
