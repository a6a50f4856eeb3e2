"""Numbers in words: English ("twenty-four thousand"), and Chinese numerals, alone or behind digits (三百二十五, 3万5千).

Pure functions. `yearling.checks.numbers` decides where in a text a number in words counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_UNITS = {word: value for value, word in enumerate(_ONES.split())} | {
    word: value for value, word in zip(range(20, 100, 10), _TENS, strict=True)
}
ENGLISH_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORD = "|".join(sorted([*_UNITS, *ENGLISH_SCALES], key=len, reverse=True))
_ENGLISH = re.compile(
    rf"(?<![\w-])(?:(minus|negative)\s+)?((?:{_WORD})(?:(?:\s*-\s*|\s+and\s+|\s+)(?:{_WORD})){{0,20}})(?![\w-])"
    rf"(?:\s+point((?:\s+(?:{'|'.join(list(_UNITS)[:10])})){{1,20}})(?!\w))?",
    re.I,
)
_PRONOUN = re.compile(r"\b(?:no|any|every|some|each|this|that|the|which|another|other|last|next|first|right|wrong)[\s-]+$", re.I)
"""In front of "one", which then is no number."""

CHINESE_DIGITS = dict(zip("零〇一二三四五六七八九", (0, *range(10)), strict=True)) | {"两": 2, "兩": 2}
_SMALL_SCALES = {"十": 10, "百": 100, "千": 1000}
_LARGE_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
CHINESE_SCALES = "".join([*_SMALL_SCALES, *_LARGE_SCALES])
_NUMERAL = "".join(CHINESE_DIGITS)
_RUN = rf"[{_NUMERAL}十](?:[{_NUMERAL}{CHINESE_SCALES}]{{0,40}})(?:点[{_NUMERAL}]{{1,20}})?"
_CHINESE = re.compile(rf"(负|負)?(?:百分之({_RUN})|({_RUN})分之({_RUN})|({_RUN}))")
_COUNTED = "个個只元块塊本人张張天年月岁歲条條件颗顆名位次分小米公%％"
"""What a single numeral counts. 一 in front of anything else is mostly part of a word: 一起, 一样."""


def read_english(text: str) -> Iterator[tuple[int, int, Fraction]]:
    """(start, end, value) of every English number in words."""
    for match in _ENGLISH.finditer(text):
        words = re.findall(_WORD, match[2], re.I)
        if (
            len(words) == 1
            and words[0].lower() == "one"
            and (_PRONOUN.search(text[: match.start()][-20:]) or _is_pronoun(text[match.end() :]))
        ):
            continue
        value = _english_value([word.lower() for word in words])
        if value is None:
            continue
        if match[3]:
            digits = "".join(str(_UNITS[word.lower()]) for word in match[3].split())
            value += Fraction(int(digits), 10 ** len(digits))
        yield match.start(), match.end(), -value if match[1] else value


def read_chinese(text: str) -> Iterator[tuple[int, int, Fraction, bool]]:
    """(start, end, value, whether it is a percentage) of every number in Chinese numerals."""
    for match in _CHINESE.finditer(text):
        sign = -1 if match[1] else 1
        if match[2]:
            value = chinese_value(match[2])
        elif match[3]:
            denominator, numerator = chinese_value(match[3]), chinese_value(match[4])
            value = numerator / denominator if denominator and numerator is not None else None
        elif _is_word(text, match.start(), match.end(), match[5]):
            continue
        else:
            value = chinese_value(match[5])
        if value is not None:
            yield match.start(), match.end(), sign * value, bool(match[2])


def chinese_value(run: str, first: Fraction | None = None) -> Fraction | None:
    """The value of Chinese numerals, or None if they are none. `first` is a number in digits that stands in front of them."""
    integer_part, _, decimals = run.partition("点")
    total, section = Fraction(0), Fraction(0)
    number: Fraction | None = first
    digits_in_a_row = 0
    for char in integer_part:
        if char in CHINESE_DIGITS:
            digit = CHINESE_DIGITS[char]
            number = number * 10 + digit if number is not None and digits_in_a_row else Fraction(digit)
            digits_in_a_row += 1
        elif char in _SMALL_SCALES:
            section += (Fraction(1) if number is None else number) * _SMALL_SCALES[char]
            number, digits_in_a_row = None, 0
        elif char in _LARGE_SCALES:
            part = section + (number or 0)
            total = (total + part) * _LARGE_SCALES[char] if part == 0 or _LARGE_SCALES[char] > 10**4 else total + part * 10**4
            section, number, digits_in_a_row = Fraction(0), None, 0
        else:
            return None
    if number is not None and digits_in_a_row == 1 and len(integer_part) >= 2 and integer_part[-2] in "百千万萬亿億":
        scale = (_SMALL_SCALES | _LARGE_SCALES)[integer_part[-2]]  # 三百五 is 350
        number *= scale // 10
    value = total + section + (number or 0)
    if decimals:
        value += Fraction(int("".join(str(CHINESE_DIGITS[char]) for char in decimals)), 10 ** len(decimals))
    return value


def _english_value(words: list[str]) -> Fraction | None:
    total, section = 0, 0
    previous = ""
    for word in words:
        if word in _UNITS:
            unit = _UNITS[word]
            last = _UNITS.get(previous, 0)
            if previous in _UNITS and not (last >= 20 and unit < 10):
                return None  # "two three" is a list
            section += unit
        elif word == "hundred":
            section = (section or 1) * 100
        else:
            total += (section or 1) * ENGLISH_SCALES[word]
            section = 0
        previous = word
    return Fraction(total + section)


def _is_pronoun(text_after: str) -> bool:
    return bool(re.match(r"\s+(?:of|another|by|can|could|should|must|may|might|who|that|which|has|is|day)\b", text_after, re.I))


def _is_word(text: str, start: int, end: int, run: str) -> bool:
    """Whether the numerals are part of an ordinary word: 一起, 十分, 三思."""
    following = text[end : end + 1]
    if run in ("十", "百") and following == "分":
        return True
    if len(run) > 1 or run == "十":
        return False
    if text[start - 1 : start] in ("第", "统", "統", "同", "唯", "万", "之"):
        return True
    return bool(following) and following.isalpha() and following not in _COUNTED
