"""What the words of two questions say that their vectors do not: whether they name the same thing and want the same of it.

Embeddings put "Which room has the whiteboard?" beside "Which room has the projector?": the sentences are alike, and only one word
is not. Two questions that share their frame and each name something that the other lacks ask about different things. Pure
functions of text, for English and Chinese; other languages are compared by their words without stop words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_UNITS = re.compile(f"[{_HAN}]|[^\\W{_HAN}_]+")
"""Han characters one by one, other words whole."""
_HAS_HAN = re.compile(f"[{_HAN}]")
_ENDING = re.compile(r"(?<=[a-z]{3})(?:ings?|edly|ed|ies|es|s|ly)$")
_GAPS = re.compile(r"\W+")

_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about am an and any are as at be been by call called can could did do does find for from give had has have he her
        here him his how i if in is it its know may me must my name need of on or our please say shall she should so some
        somebody someone tell that the their them there they this to us want was we were what when where which who whom
        whose why will with would you your""",
    )
)
_STOP_CHARACTERS = frozenset(
    "的了是在我你他她它们吗呢吧啊么什哪谁几多少怎样这那个些和与及或就都也要有被把给让"
    "向从到对于由为因所以咱请问想应该可以会能不没很儿"
)

_TYPES = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "person": r"\bwho\b|\bwhom\b|\bwhose\b|\bwhich (?:colleague|person|employee|manager)\b"
        r"|\bname of the (?:person|colleague)\b|谁|哪位|哪个人|负责人|创始人|联系人|领队",
        "price": r"\bprice\b|\bhow much (?:is|are|does|do)\b.*(?:\bcost|\?|$)|\bcosts?\b|\bcharge\b|\bhow many euros\b|\bto pay\b"
        r"|多少钱|价格|售价|付多少|收多少|几块",
        "time": r"\bwhen\b|\bhow (?:long|often)\b|\bwhat time\b|\b(?:what|which) (?:day|date|month|year|time)\b"
        r"|几点|什么时候|何时|哪一?天|星期几|周几|几号|几月|哪年|哪一年|时间|几天|多久|天数",
        "number": r"\bhow (?:many|long|often|far|old|tall|large)\b|多少|多久|几天|几个|多长|几位",
        "place": r"\bwhere\b|\b(?:which|what) (?:room|city|town|country|floor|place|building)\b"
        r"|哪里|哪儿|在哪|什么地方|哪座城|哪个城市|哪个市|哪间|哪个房间|哪个会议室|哪一间",
        "meaning": r"\bmeans?\b|\bstands? for\b|\bshort for\b|\babbreviation\b"
        r"|^\s*(?:what is|what are|what's) (?:an?\s)?\w+\s*\?*$"
        r"|什么意思|指的是什么|^什么是|缩写"
        r"|^[\w“”「」]{1,6}是(?:什么|啥)[？?]?$",
    }.items()
}
"""Kinds of answer, by what a question that wants one contains."""


def has_han(text: str) -> bool:
    """Whether the text has a Chinese character."""
    return _HAS_HAN.search(text) is not None


@lru_cache(4096)
def content_terms(text: str) -> frozenset[str]:
    """What a text names: words without endings and stop words, and Han characters that are no function words."""
    units = _UNITS.findall(unicodedata.normalize("NFKC", text).lower())
    return frozenset(
        unit if has_han(unit) else _ENDING.sub("", unit)
        for unit in units
        if unit not in (_STOP_CHARACTERS if has_han(unit) else _STOP_WORDS)
    )


@lru_cache(4096)
def _bigrams(text: str) -> frozenset[str]:
    joined = _GAPS.sub("", unicodedata.normalize("NFKC", text).lower())
    return frozenset(joined[start : start + 2] for start in range(max(1, len(joined) - 1)))


def frame_swap(question: str, stored_question: str, stored_answer: str) -> float:
    """How much two questions look alike, from 0 to 1, if each names something that the other lacks; otherwise 0.

    The square of the Dice coefficient of their pairs of characters. What the stored answer names counts as known.
    """
    asked, stored = content_terms(question), content_terms(stored_question)
    if stored <= asked or asked <= stored | content_terms(stored_answer):
        return 0.0
    pairs, stored_pairs = _bigrams(question), _bigrams(stored_question)
    return (2 * len(pairs & stored_pairs) / (len(pairs) + len(stored_pairs))) ** 2


@lru_cache(4096)
def _answer_types(question: str) -> frozenset[str]:
    return frozenset(name for name, pattern in _TYPES.items() if pattern.search(question))


def wants_other_type(question: str, stored_question: str) -> bool:
    """Whether the two questions want different kinds of answer, such as a person and a price. False if either is unclear."""
    types, stored_types = _answer_types(question), _answer_types(stored_question)
    return bool(types) and bool(stored_types) and not types & stored_types
