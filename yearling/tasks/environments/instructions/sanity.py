"""The minimum that an answer must satisfy whatever its constraints: some words of its own, with some variety.

A checker alone accepts an empty answer (at most n words), the wanted word over and over, or a repetition of the request. An
  answer therefore earns nothing unless it
- has at least three words (in Chinese, characters), and is not extremely long;
- repeats no word more than three times in a row (in Chinese, no character more than four times), and, from twelve words on, at
  most half of its runs of three words;
- adds words of its own: at least two different English words (three Chinese characters) that are not in the request, and these
  make up at least a quarter of the answer. Whether the answer is relevant is not checked, because no pure function of the text
  can. Training relies on the KL cap for that.
"""

from __future__ import annotations

from itertools import pairwise

from yearling.tasks.environments.instructions.parsed_answer import ParsedAnswer, split_words

MAX_CHARS = 20_000
_MIN_WORDS = 3
_LONG_WORDS = 12
_MIN_DISTINCT_SHARE = 0.5
_MIN_OWN_SHARE = 0.25
_MIN_OWN_WORDS = {"en": 2, "zh": 3}
_MAX_RUN = {"en": 3, "zh": 4}


def is_sane(answer: ParsedAnswer, request: str) -> bool:
    """Return whether an answer to this request is worth grading."""
    if len(answer.raw) > MAX_CHARS:
        return False
    words = answer.words
    if len(words) < _MIN_WORDS or _longest_run(words) > _MAX_RUN[answer.language]:
        return False
    runs = list(zip(words, words[1:], words[2:], strict=False))
    if len(words) >= _LONG_WORDS and len(set(runs)) < _MIN_DISTINCT_SHARE * len(runs):
        return False
    request_words = set(split_words(request.casefold(), answer.language))
    own_words = [word for word in words if word not in request_words]
    return len(set(own_words)) >= _MIN_OWN_WORDS[answer.language] and len(own_words) >= _MIN_OWN_SHARE * len(words)


def _longest_run(words: list[str]) -> int:
    longest = run = 1
    for before, after in pairwise(words):
        run = run + 1 if before == after else 1
        longest = max(longest, run)
    return longest
