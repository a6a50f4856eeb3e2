"""The words that passages are found by. One tokenizer for texts and questions, and for every database.

Runs of Chinese and Japanese characters become single characters and pairs of neighbours, so that a word of two characters is
found wherever it stands. Words of letters are folded as the search of messages folds them (case, width, accents) and cut to their
English stem, so that `indexed` finds `indexing`. Databases get the words ready-made, joined by spaces.
"""

from __future__ import annotations

import functools

import snowballstemmer

from yearling.store import bigrams, fold_for_search, split_by_script

MAX_WORD_CHARS = 64
"""Characters of a word that count. What is longer is no word of a language."""
MAX_QUERY_WORDS = 64
"""How many different words of a question are looked for: the first ones."""

_stemmer = snowballstemmer.stemmer("english")


def index_tokens(text: str) -> list[str]:
    """The words of a text, in order, with repetitions."""
    words: list[str] = []
    for run, is_unspaced in split_by_script(fold_for_search(text)):
        if is_unspaced:
            words += run
            words += bigrams(run)
        else:
            words.append(_stem(run[:MAX_WORD_CHARS]))
    return words


def query_tokens(question: str) -> list[str]:
    """The different words of a question, in order."""
    return list(dict.fromkeys(index_tokens(question[:4000])))[:MAX_QUERY_WORDS]


@functools.lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return str(_stemmer.stemWord(word)) if word.isascii() and word.isalpha() else word
