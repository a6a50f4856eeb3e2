"""The least that an answer must be, whatever the constraints: words of its own, in some variety.

A checker alone can be pleased by an empty answer (at most n words), by the wanted word over and over, or by the request said
back. So an answer earns nothing unless it
- has at least three words (Chinese: characters), and is not absurdly long;
- says no word more than three times in a row (Chinese: no character more than four times), and, from twelve words on, repeats at
  most half of its runs of three words;
- brings words of its own: at least two different English words (three Chinese characters) that the request does not have, and
  they make up at least a quarter of the answer.
Whether it is about the matter is not seen: no pure function of the text can. Training leans on the KL cap for that.
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
    """Whether an answer to this request is worth grading."""
    if len(answer.raw) > MAX_CHARS:
        return False
    words = answer.words
    if len(words) < _MIN_WORDS or _longest_run(words) > _MAX_RUN[answer.language]:
        return False
    runs = list(zip(words, words[1:], words[2:], strict=False))
    if len(words) >= _LONG_WORDS and len(set(runs)) < _MIN_DISTINCT_SHARE * len(runs):
        return False
    asked = set(split_words(request.casefold(), answer.language))
    own = [word for word in words if word not in asked]
    return len(set(own)) >= _MIN_OWN_WORDS[answer.language] and len(own) >= _MIN_OWN_SHARE * len(words)


def _longest_run(words: list[str]) -> int:
    longest = run = 1
    for before, after in pairwise(words):
        run = run + 1 if before == after else 1
        longest = max(longest, run)
    return longest
