"""Units beside a number, in English and Chinese: what they measure, and how many base units they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_LONGEST = 20
"""Characters of the longest unit, with the space before it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is measured, and how many base units one is. Money of two countries is two dimensions."""

    dimension: str
    factor: Fraction


_TABLE: dict[str, dict[str, str]] = {
    "length": {
        "1/1000": "millimetres?|millimeters?|mm|毫米",
        "1/100": "centimetres?|centimeters?|cm|厘米|公分",
        "1": "metres?|meters?|m|公尺|米",
        "1000": "kilometres?|kilometers?|km|公里|千米",
        "0.0254": "inch|inches|英寸",
        "0.3048": "foot|feet|ft|英尺",
        "0.9144": "yards?|码",
        "1609.344": "miles?|英里",
    },
    "area": {
        "1": "square metres?|square meters?|m²|平方米|平方公尺",
        "10000": "hectares?|ha|公顷",
        "1000000": "square kilometres?|square kilometers?|km²|平方公里|平方千米",
        "4046.8564224": "acres?|英亩",
        "2589988.110336": "square miles?|平方英里",
    },
    "mass": {
        "1/1000": "milligrams?|mg|毫克",
        "1": "grams?|g|克",
        "500": "斤",
        "1000": "kilograms?|kilos?|kg|公斤|千克",
        "1000000": "tonnes?|tons?|吨",
        "453.59237": "lbs?|磅",
    },
    "volume": {
        "1/1000": "millilitres?|milliliters?|ml|毫升",
        "1": "litres?|liters?|升|公升",
        "1000": "cubic metres?|cubic meters?|m³|立方米",
    },
    "time": {
        "1": "seconds?|秒",
        "60": "minutes?|mins?|分钟",
        "3600": "hours?|hrs?|个?小时",
        "86400": "days?|天",
        "604800": "weeks?|周|个?星期",
    },
    "months": {"1": "months?|个月", "12": "years?|年", "120": "decades?", "1200": "century|centuries|个?世纪"},
    "percent": {"1": "%|percent|per cent|percentage points?|个百分点"},
    "temperature": {"1": "°C|degrees Celsius|摄氏度|℃"},
    "temperature in Fahrenheit": {"1": "°F|degrees Fahrenheit|华氏度|℉"},
    "dollars": {"1": "dollars?|US dollars?|USD|美元|美金"},
    "euros": {"1": "euros?|EUR|欧元"},
    "yuan": {"1": "yuan|RMB|元人民币|人民币|元|块钱"},
    "yen": {"1": "yen|日元|日圆"},
    "pounds sterling": {"1": "英镑|GBP"},
    "Hong Kong dollars": {"1": "港元|港币"},
}
_BEFORE = {"US$": "dollars", "HK$": "Hong Kong dollars", "$": "dollars", "＄": "dollars", "€": "euros", "£": "pounds sterling"}
_UNITS = [
    (
        re.compile(rf"[ \t-]?(?:{name.replace(' ', '[ -]')}){'(?![A-Za-z])' if name.isascii() else ''}"),
        Unit(dimension, Fraction(factor)),
    )
    for dimension, factors in _TABLE.items()
    for factor, names in factors.items()
    for name in names.split("|")
]
_NO_UNIT = re.compile(r"[ \t-]?(?:米(?=[兰其])|年代|年级|克(?=[里拉罗莱]))")
"""Characters that only look like a unit."""


def unit_at(text: str, start: int, end: int, *, is_percent: bool = False) -> tuple[Unit | None, int]:
    """The unit of the number at [start, end), and the end of number and unit. The longest one counts."""
    if is_percent:
        return Unit("percent", Fraction(1)), end
    following = text[end : end + _LONGEST]
    if _NO_UNIT.match(following):
        return None, end
    best: tuple[int, Unit] | None = None
    for pattern, unit in _UNITS:
        match = pattern.match(following)
        if match and (best is None or match.end() > best[0]):
            best = match.end(), unit
    if best:
        return best[1], end + best[0]
    for sign, dimension in _BEFORE.items():
        if sign in text[max(0, start - len(sign)) : end]:
            return Unit(dimension, Fraction(1)), end
    return None, end
