"""Texts that are nearly the same, in time linear in their number: MinHash over the words of search, in every language.

Broder 1997 (resemblance and its estimate); Leskovec, Rajaraman and Ullman 2014, chapter 3 (bands). Candidates that share a band
are compared exactly. Legend: N texts, K hash functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yearling.retrieval.index.tokens import index_tokens

MAX_TEXTS = 10_000
MAX_TEXT_CHARS = 20_000
"""Characters of a text that are compared."""

NEAR_DUPLICATE = 0.7
"""Resemblance of shingles from which two texts are copies of each other."""
SAME_STORY = 0.3
"""Resemblance of words from which two texts report the same."""

_NUM_HASHES = 64
_SHINGLE_WORDS = 3
_PRIME = (1 << 31) - 1
_MAX_COMPARED = 8
"""Members of a band that a text is compared with, the newest ones. This keeps the time linear where thousands share a band."""


def group_near_duplicates(texts: Sequence[str]) -> list[int]:
    """The group of each text (N): copies with small changes share one. A group is named by the place of its first text.

    Raises ValueError for more than `MAX_TEXTS`.
    """
    return _group([_shingles(text) for text in texts], NEAR_DUPLICATE, rows=4)


def group_stories(texts: Sequence[str]) -> list[int]:
    """The group of each text (N): texts that report the same in their own words share one. As `group_near_duplicates`."""
    return _group([frozenset(_words(text)) for text in texts], SAME_STORY, rows=2)


def _words(text: str) -> list[str]:
    return index_tokens(text[:MAX_TEXT_CHARS])


def _shingles(text: str) -> frozenset[str]:
    """Runs of words; the whole text where it is shorter than one run."""
    words = _words(text)
    runs = [" ".join(words[start : start + _SHINGLE_WORDS]) for start in range(len(words) - _SHINGLE_WORDS + 1)]
    return frozenset(runs or ([" ".join(words)] if words else ()))


def _group(features: Sequence[frozenset[str]], threshold: float, *, rows: int) -> list[int]:
    if len(features) > MAX_TEXTS:
        raise ValueError(f"{len(features):,} texts were given, and at most {MAX_TEXTS:,} can be compared")
    parents = list(range(len(features)))
    buckets: dict[tuple[int, bytes], list[int]] = {}
    for place, own in enumerate(features):
        if not own:
            continue
        signature = _signature(own)
        for band in range(_NUM_HASHES // rows):
            members = buckets.setdefault((band, signature[band * rows : (band + 1) * rows].tobytes()), [])
            for other in members[-_MAX_COMPARED:]:
                first, second = _root(parents, other), _root(parents, place)
                if first != second and _resemblance(features[other], own) >= threshold:
                    parents[max(first, second)] = min(first, second)
            members.append(place)
    return [_root(parents, place) for place in range(len(features))]


def _signature(features: frozenset[str]) -> NDArray[np.int64]:
    """The least hash of the features for each hash function (K)."""
    digests = [hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=4).digest() for feature in features]
    values = np.frombuffer(b"".join(digests), "<u4").astype(np.int64) % _PRIME
    generator = np.random.default_rng(0)
    factors = generator.integers(1, _PRIME, _NUM_HASHES)
    offsets = generator.integers(0, _PRIME, _NUM_HASHES)
    least = np.full(_NUM_HASHES, _PRIME, np.int64)
    for start in range(0, len(values), 1024):
        some = values[start : start + 1024]
        least = np.minimum(least, ((factors[:, None] * some + offsets[:, None]) % _PRIME).min(axis=1))
    return least


def _resemblance(first: frozenset[str], second: frozenset[str]) -> float:
    return len(first & second) / len(first | second)


def _root(parents: list[int], place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place
