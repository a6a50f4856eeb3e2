"""Text to token ids by a unigram language model: the likeliest way to divide the text into pieces of a vocabulary.

Algorithm: Kudo, "Subword Regularization" (2018), section 3.2, the Viterbi path without sampling, with the rules of SentencePiece
for XLM-RoBERTa: the text is normalised, a space is written as `▁` and stands before every word, and a character that no piece
covers becomes the unknown piece, as one with its unknown neighbours. Our own because a vocabulary of 250,000 pieces takes 255 MiB
and 1.6 s in the `tokenizers` library, and about 45 MiB and 0.4 s here; the tests compare the two.

A control piece such as `</s>` is never read from text: text stays text.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from yearling.errors import malformed_as_untrusted
from yearling.models.hf_folder import read_json_object

SPACE = "▁"
UNKNOWN_PENALTY_NATS = 10.0
"""How far below the least likely piece an unknown character is, as in SentencePiece."""

MAX_CACHED_WORDS = 50_000
MAX_CACHED_CHARS = 32
"""Longer words are not kept: a cached word then takes a bounded amount of memory."""


class UnigramTokenizer:
    """A vocabulary with scores. Thread-safe."""

    def __init__(
        self,
        pieces: Sequence[str],
        scores: Sequence[float],
        normalisation: Mapping[int, str],
        *,
        bos: int,
        eos: int,
        unk: int,
        controls: Sequence[int],
        max_tokens: int,
    ) -> None:
        """`scores` are natural log-probabilities. `controls` are the ids that text must never become, `unk` among them.
        `max_tokens` counts `bos` and `eos`, which surround every text.
        """
        self.max_tokens = max_tokens
        self.bos, self.eos = bos, eos
        self._unk = unk
        self._unknown_score = min(scores) - UNKNOWN_PENALTY_NATS
        hidden = {*controls, unk}
        self._pieces = {
            piece: (index, score) for index, (piece, score) in enumerate(zip(pieces, scores, strict=True)) if index not in hidden
        }
        longest: dict[str, int] = {}
        for piece in self._pieces:
            longest[piece[0]] = max(longest.get(piece[0], 0), len(piece))
        self._longest = longest
        """Number of characters of the longest piece that starts with a character."""
        self._normalisation = dict(normalisation)
        # If no piece goes beyond a word, then words can be divided one by one, and common ones are remembered.
        self._has_words = not any(SPACE in piece[1:] for piece in self._pieces)
        self._divide_cached = lru_cache(MAX_CACHED_WORDS)(self._divide)

    def encode(self, text: str) -> list[int]:
        """Token ids of the text with `bos` and `eos` around it, at most `max_tokens`: the end of a longer text is left out."""
        return [self.bos, *self._ids(text, self.max_tokens - 2), self.eos]

    def count(self, text: str) -> int:
        """Number of tokens of the whole text, however long, with `bos` and `eos`."""
        return 2 + len(self._ids(text, None))

    def normalise(self, text: str) -> str:
        """The text as the model sees it: code points replaced by the published map, runs of spaces joined, ends stripped.

        The map knows single code points. Sequences that have a composed form, such as `e` and an accent, are composed first,
        as the original's map does.
        """
        replaced = unicodedata.normalize("NFC", text).translate(self._normalisation)
        return re.sub(" {2,}", " ", replaced).strip(" ")

    def _ids(self, text: str, limit: int | None) -> list[int]:
        normal = self.normalise(text)
        if not normal:
            return []
        spaced = SPACE + normal.replace(" ", SPACE)
        words = re.findall(f"{SPACE}[^{SPACE}]*", spaced) if self._has_words else [spaced]
        ids: list[int] = []
        for word in words:
            ids += self._divide_cached(word) if len(word) <= MAX_CACHED_CHARS else self._divide(word)
            if limit is not None and len(ids) >= limit:
                return ids[:limit]
        return ids

    def _divide(self, word: str) -> tuple[int, ...]:
        """The likeliest pieces of the word: `best[end]` is the score of the best way to divide its first `end` characters."""
        length = len(word)
        best = [-math.inf] * (length + 1)
        best[0] = 0.0
        origin = [(0, self._unk)] * (length + 1)
        """Start and id of the last piece of the best way to each position."""
        pieces, longest = self._pieces, self._longest
        for start in range(length):
            score_here = best[start]
            is_covered = False
            for end in range(start + 1, min(length, start + longest.get(word[start], 0)) + 1):
                found = pieces.get(word[start:end])
                if found is None:
                    continue
                is_covered = is_covered or end == start + 1
                if score_here + found[1] > best[end]:
                    best[end], origin[end] = score_here + found[1], (start, found[0])
            if not is_covered and score_here + self._unknown_score > best[start + 1]:
                best[start + 1], origin[start + 1] = score_here + self._unknown_score, (start, self._unk)
        ids: list[int] = []
        position = length
        while position > 0:
            position, piece_id = origin[position]
            if piece_id != self._unk or not ids or ids[-1] != self._unk:
                ids.append(piece_id)
        return tuple(reversed(ids))


def write_vocabulary(path: Path, pieces: Sequence[str], scores: Sequence[float], normalisation: Mapping[int, str]) -> None:
    """Write the parts of a tokenizer as JSON, for `read_tokenizer`."""
    content = {
        "pieces": list(pieces),
        "scores": list(scores),
        "normalisation": [[key, normalisation[key]] for key in normalisation],
    }
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


@malformed_as_untrusted("The vocabulary of the embedding model")
def read_tokenizer(path: Path, *, bos: int, eos: int, unk: int, controls: Sequence[int], max_tokens: int) -> UnigramTokenizer:
    """The tokenizer from what `write_vocabulary` wrote. Raises Untrusted if the file is damaged."""
    content = read_json_object(path)
    return UnigramTokenizer(
        [str(piece) for piece in content["pieces"]],
        [float(score) for score in content["scores"]],
        {int(key): str(text) for key, text in content["normalisation"]},
        bos=bos,
        eos=eos,
        unk=unk,
        controls=controls,
        max_tokens=max_tokens,
    )
