"""The one reader of numbers in answers: for graders of exams and for rewards of training.

It reads what people and models write, in English and Chinese: `$9,500`, `9{,}500`, `70 000`, `−5`, `１２３`, `1.2 million`,
`3万5千`, `\\frac{3}{4}`, `2 1/2`, `1.5×10³`, `50%`; and in words (`number_words.py`). Values are exact fractions. `final_number`
knows where an answer says its result: behind `####`, in `\\boxed{}`, behind "the answer is" or 答案是; otherwise it is the last
number.

A comma between digits groups thousands if it stands before groups of three; otherwise it separates two numbers. A number with
more than `MAX_DIGITS` digits, or a larger exponent than `MAX_EXPONENT`, is not read. Work grows with the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from yearling.checks.number_words import CHINESE_DIGITS, CHINESE_SCALES, ENGLISH_SCALES, chinese_value, read_chinese, read_english

MAX_DIGITS = 300
MAX_EXPONENT = 300
MAX_TEXT_CHARS = 50_000
"""The end of a longer text is read: answers stand at the end."""
MAX_RESULT_MARKERS = 50
"""Maximum number of result markers (`####`, `\\boxed`, "the answer is") of each kind to try, the last one first."""

_MINUS = "−－﹣‐‑–—"
_SEPARATOR = r"(?:,|\{,\}|\\,|,\\!|\\!|\\ |~| |'|’)"
_SPACES = "\u00a0\u2007\u2009\u202f\u3000"
_PLAIN = str.maketrans(
    {chr(0xFF10 + digit): str(digit) for digit in range(10)}
    | dict.fromkeys(_MINUS, "-")
    | dict.fromkeys(_SPACES, " ")
    | {"，": ",", "．": ".", "＋": "+", "／": "/", "％": "%", "＄": "$", "＝": "=", "：": ":", "﹩": "$", "￥": "¥", "#": "#"}
)
"""One character for one, so that positions stay."""
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_VULGAR = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"

_GAP = r"[ \t]?"
"""Numbers do not reach over the end of a line."""
_CURRENCY = r"(?:(?:\\?\$|US\$|HK\$|€|£|¥|₹|RMB|USD|EUR)[ \t]?)"
_NUMBER = re.compile(
    rf"(?<!\d)(?<!\d\.)"
    rf"(?:(?<![A-Za-z0-9_)\]}}%])(?P<sign>[-+])(?={_CURRENCY}|\\[dt]?frac|[\d.{_VULGAR}]))?"
    rf"(?:{_CURRENCY}(?P<inner>-)?)?"
    rf"(?:"
    rf"(?P<whole>\d{{1,15}})?{_GAP}\\[dt]?frac{_GAP}\{{[ \t]*(?P<num>-?\d{{1,15}})[ \t]*\}}"
    rf"{_GAP}\{{[ \t]*(?P<den>\d{{1,15}})[ \t]*\}}"
    rf"|(?P<mixed>\d{{1,15}})[ \t](?P<top>\d{{1,9}})/(?P<bottom>\d{{1,9}})(?![\d/.])"
    rf"|(?P<before>\d{{1,15}})?{_GAP}(?P<vulgar>[{_VULGAR}])"
    rf"|(?:(?P<grouped>\d{{1,3}}(?P<separator>{_SEPARATOR})\d{{3}}(?:(?P=separator)\d{{3}})*)(?!\d)"
    rf"|(?P<indian>\d{{1,2}}(?:,\d{{2}})+,\d{{3}})(?!\d)"
    rf"|(?P<european>\d{{1,3}}(?:\.\d{{3}})+(?:,\d{{1,2}}(?!\d)|(?<=\.\d{{3}}\.\d{{3}})))(?![\d.])"
    rf"|(?P<digits>\d+))"
    rf"(?P<decimals>\.\d+)?"
    rf"|(?<!\w)(?P<bare>\.\d+)"
    rf")"
    rf"(?P<power>[eE][-+]?\d{{1,6}}(?!\w)"
    rf"|{_GAP}(?:×|\\times|\\cdot|·|\*|x){_GAP}10{_GAP}(?:\^|\*\*){_GAP}\{{?{_GAP}-?\d{{1,6}}{_GAP}\}}?"
    rf"|{_GAP}(?:×|\\times){_GAP}10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]{{1,6}})?"
    rf"(?:(?P<over>{_GAP}/{_GAP}\d{{1,15}})(?![\d/.]))?"
    rf"(?P<scale>{_GAP}(?:{'|'.join(ENGLISH_SCALES)})(?!\w)|[kK](?!\w)"
    rf"|{_GAP}[{CHINESE_SCALES}](?![克米瓦卡帕兆分])[\d{''.join(CHINESE_DIGITS)}{CHINESE_SCALES}]{{0,40}})?"
    rf"(?P<percent>{_GAP}\\?%|{_GAP}per{_GAP}cent(?!\w))?"
)
_HASHES = re.compile(r"####[ \t]*([^\n]*)(?:\n+([^\n]+))?")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s?\{")
_LABEL = re.compile(
    r"(?:(?:so|thus|therefore|hence)?,?\s*(?:the\s+)?(?:final\s+)?(?:answer|result|total)|最终答案|最后答案|答案|结果|答|总共|一共)"
    r"(?:\s*(?:is|was|comes to|equals)|是|为|等于)?",
    re.I,
)
_ANSWER_PHRASE = re.compile(
    r"(?:\b(?:final\s+)?answer\b\s*(?:is|:|=)|\banswer\b\*{1,2}\s*:|(?:最终|最后|正确)?答案\s*(?:是|为|:|=))"
    r"[\s*_:=$(\\~≈]*(?:about|approximately|exactly|大约|约)?[\s*_$(\\]*",
    re.I,
)
_OPERATOR = re.compile(r"\s*(?:[-+*/×÷=xX^](?=[\s\d$(])|\\times|\\cdot|\\div|times\b|plus\b|minus\b|divided\b|加|减|乘|除)")
_IGNORED = " \t*_`:=≈~()[]{}\\$€£¥#.,-+是为"


@dataclass(frozen=True, slots=True)
class ReadNumber:
    """A number in a text, at the half-open range of characters. `value` of a percentage is what stands before the sign."""

    value: Fraction
    start: int
    end: int
    is_percent: bool = False


def plain_digits(text: str) -> str:
    """The text with ASCII digits, minus signs, spaces and punctuation around numbers. Every character keeps its place."""
    return text.translate(_PLAIN)


def read_numbers(text: str, *, with_words: bool = False) -> list[ReadNumber]:
    """The numbers that are written with digits, and with `with_words` those in words too, in order."""
    offset = max(0, len(text) - MAX_TEXT_CHARS)
    plain = plain_digits(text[offset:])
    numbers = list(_read_digits(plain))
    if with_words:
        numbers = sorted([*numbers, *_read_words(plain)], key=lambda number: number.start)
    if offset:
        numbers = [replace(number, start=number.start + offset, end=number.end + offset) for number in numbers]
    return numbers


def parse_number(text: str) -> Fraction | None:
    """The value of a text that is one number and nothing else, in digits or words; None otherwise."""
    stripped = plain_digits(text).strip().rstrip(".。").strip()
    if len(stripped) > MAX_TEXT_CHARS:
        return None
    numbers = list(_read_digits(stripped)) or _read_words(stripped)
    if len(numbers) == 1 and not (stripped[: numbers[0].start] + stripped[numbers[0].end :]).strip():
        return numbers[0].value
    return None


def final_number(text: str) -> Fraction | None:
    """The number that an answer gives as its result, or None if it contains no number. See the docstring of this file."""
    plain = plain_digits(text[-MAX_TEXT_CHARS:])
    for value in (_after_hashes(plain), _in_box(plain), _after_phrase(plain)):
        if value is not None:
            return value
    numbers = list(_read_digits(plain)) or _read_words(plain)
    return numbers[-1].value if numbers else None


def _last_matches(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    return list(pattern.finditer(text))[: -MAX_RESULT_MARKERS - 1 : -1]


def _after_hashes(text: str) -> Fraction | None:
    """The number behind the last `####` that has one. A heading such as `#### Step 2` has none."""
    for match in _last_matches(_HASHES, text):
        line = match[1].strip() or (match[2] or "").strip()
        value = _leading_number(line)
        if value is not None:
            return value
    return None


def _in_box(text: str) -> Fraction | None:
    """The number in the last `\\boxed{}`."""
    for match in _last_matches(_BOXED, text):
        content = _braced(text, match.end())
        numbers = list(_read_digits(content)) or _read_words(content)
        if numbers:
            return _after_equals(content, numbers).value
    return None


def _after_phrase(text: str) -> Fraction | None:
    """The number right behind the last "the answer is", unless a calculation begins there."""
    numbers = list(_read_digits(text))
    starts = [number.start for number in numbers]
    for match in _last_matches(_ANSWER_PHRASE, text):
        index = bisect_left(starts, match.start())
        if index < len(numbers) and numbers[index].start <= match.end() <= numbers[index].end:
            number = numbers[index]
            if not _OPERATOR.match(text, number.end):
                return number.value
    return None


def _leading_number(line: str) -> Fraction | None:
    numbers = list(_read_digits(line)) or _read_words(line)
    if not numbers:
        return None
    number = _after_equals(line, numbers)
    lead = _LABEL.sub("", line[: numbers[0].start])
    return number.value if not lead.strip(_IGNORED) else None


def _after_equals(text: str, numbers: list[ReadNumber]) -> ReadNumber:
    """The first number behind the last equals sign, or the first one."""
    equals = text.rfind("=")
    return next((number for number in numbers if number.start > equals), numbers[0])


def _braced(text: str, start: int) -> str:
    depth = 1
    for position in range(start, min(len(text), start + 1000)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return text[start:position]
    return text[start : start + 1000]


def _read_words(text: str) -> list[ReadNumber]:
    numbers = [ReadNumber(value, start, end) for start, end, value in read_english(text)]
    numbers += [ReadNumber(value, start, end, is_percent) for start, end, value, is_percent in read_chinese(text)]
    return sorted(numbers, key=lambda number: number.start)


def _read_digits(text: str) -> Iterator[ReadNumber]:
    for match in _NUMBER.finditer(text):
        value = _value(match)
        if value is None:
            continue
        is_date = match["over"] and match["digits"] and not match["decimals"] and text[match.start() - 1 : match.start()] == "/"
        if is_date:
            yield ReadNumber(Fraction(match["digits"]), match.start(), match.start("over"))
            yield ReadNumber(Fraction(match["over"].strip(" \t/")), match.start("over"), match.end())
        else:
            is_percent = bool(match["percent"]) or text[max(0, match.start() - 3) : match.start()] == "百分之"
            yield ReadNumber(value, match.start(), match.end(), is_percent)


def _value(match: re.Match[str]) -> Fraction | None:
    """The value of a match; None if it is too long or divides by zero."""
    if len(match[0]) > 2 * MAX_DIGITS:
        return None
    groups = match.groupdict()
    value: Fraction | None
    if groups["num"] is not None:
        value = _ratio(groups["num"], groups["den"], groups["whole"])
    elif groups["mixed"] is not None:
        value = _ratio(groups["top"], groups["bottom"], groups["mixed"])
    elif groups["vulgar"] is not None:
        value = Fraction(unicodedata.numeric(groups["vulgar"])).limit_denominator(100) + int(groups["before"] or 0)
    else:
        value = _decimal_value(groups)
    if value is not None and groups["power"]:
        value = _times_power(value, groups["power"])
    if value is not None and groups["over"]:
        divisor = int(groups["over"].strip(" \t/"))
        value = value / divisor if divisor else value
    if value is not None and groups["scale"]:
        value = _scaled(value, groups["scale"].strip())
    if value is None:
        return None
    return -value if (groups["sign"] == "-") != bool(groups["inner"]) else value


def _decimal_value(groups: dict[str, str | None]) -> Fraction | None:
    decimals = (groups["decimals"] or groups["bare"] or "")[1:]
    if groups["european"]:
        integer_part, _, decimals = groups["european"].partition(",")
    else:
        integer_part = groups["grouped"] or groups["indian"] or groups["digits"] or "0"
    digits = re.sub(r"\D", "", integer_part)
    if len(digits) + len(decimals) > MAX_DIGITS:
        return None
    return Fraction(int(digits + decimals), 10 ** len(decimals))


def _ratio(numerator: str, denominator: str, integer_part: str | None) -> Fraction | None:
    if not int(denominator):
        return None
    return Fraction(int(numerator), int(denominator)) + int(integer_part or 0)


def _times_power(value: Fraction, power: str) -> Fraction | None:
    ascii_power = power.translate(_POWERS)
    exponent = int(re.sub(r"^(?:[eE]|.*?10\s?(?:\^|\*\*)?)|[\s{}]", "", ascii_power))
    return value * Fraction(10) ** exponent if abs(exponent) <= MAX_EXPONENT else None


def _scaled(value: Fraction, scale: str) -> Fraction | None:
    if scale in ("k", "K"):
        return value * 1000
    if scale in ENGLISH_SCALES:
        return value * ENGLISH_SCALES[scale]
    total: Fraction | None = Fraction(0)
    number: Fraction | None = value
    for digits, scales in re.findall(r"(\d*)([^\d]*)", scale):
        if digits:
            number = Fraction(int(digits))
        if scales:
            part = chinese_value(scales, number)
            total = None if part is None or total is None else total + part
            number = None
    return None if total is None else total + (number or 0)
