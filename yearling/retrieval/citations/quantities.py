"""Numbers, units and dates of a claim, and whether they stand in a source.

Who calls this hands over the reader of numbers (`yearling.checks.read_numbers`, with words): the room of retrieval may not
import it. Numbers are equal if their exact values are, so `1,234`, `１２３４` and 一千二百三十四 are one number. Units are
compared where both sides name one that is known here; a number without a unit fits any. Dates are compared part by part: a
source may leave the year to the date before, and a claim may leave out the day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from yearling.retrieval.citations.units import Unit, unit_at
from yearling.store import Span


class NumberInText(Protocol):
    """A number in a text, at the half-open range of code points."""

    @property
    def value(self) -> Fraction:
        """The exact value. Of a percentage, what stands before the sign."""
        ...

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    @property
    def is_percent(self) -> bool: ...


NumberReader = Callable[[str], Sequence[NumberInText]]
"""The numbers of a text, in digits and in words, in their order."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit; `unit` is None if none is known."""

    value: Fraction
    unit: Unit | None
    span: Span

    def equals(self, other: Quantity) -> bool:
        """Whether both say the same: 1.5 km is 1,500 m, and a number without a unit fits any."""
        if self.unit is None or other.unit is None:
            return self.value == other.value
        return self.unit.dimension == other.unit.dimension and self.value * self.unit.factor == other.value * other.unit.factor


@dataclass(frozen=True, slots=True)
class DateInText:
    """A date, of which at least the month or the year of a written date is known. Each part has its own place."""

    parts: tuple[int | None, int | None, int | None]
    """Year, month, day."""
    spans: tuple[Span | None, Span | None, Span | None]


@dataclass(frozen=True, slots=True)
class Quantities:
    """What a text says in numbers."""

    numbers: tuple[Quantity, ...]
    """Without those that are part of a date."""
    dates: tuple[DateInText, ...]


_MONTH_NAMES = (
    ("january", "jan"),
    ("february", "feb"),
    ("march", "mar"),
    ("april", "apr"),
    ("may",),
    ("june", "jun"),
    ("july", "jul"),
    ("august", "aug"),
    ("september", "sep", "sept"),
    ("october", "oct"),
    ("november", "nov"),
    ("december", "dec"),
)
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names}
_MONTH = r"(?P<month>" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")\b\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?\b"
_YEAR = r"(?P<year>[12]\d{3})\b"
_ENGLISH_DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_DAY}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH}\s+{_DAY}(?!\d)(?:,?\s+{_YEAR})?",
        rf"\b{_MONTH},?\s+(?:of\s+)?{_YEAR}",
        rf"\b(?:in|of|since|until|by|during|last|next|late|early|mid)[\s-]+{_MONTH}(?=\W|$)",
    )
]
_NUMERIC_DATE = re.compile(r"(?<!\d)(?P<year>[12]\d{3})(?P<mark>[-/.])(?P<month>[01]?\d)(?P=mark)(?P<day>[0-3]?\d)(?!\d)")
_DIGITS = "0-9０-９〇零○一二三四五六七八九十"
_CHINESE_DATE = re.compile(
    rf"(?:(?P<year>[{_DIGITS}]{{3,4}})\s?年\s?(?:(?P<month>[{_DIGITS}]{{1,3}})\s?月(?:份|\s?(?P<day>[{_DIGITS}]{{1,3}})\s?[日号號])?)?"
    rf"|(?P<month2>[{_DIGITS}]{{1,3}})\s?月(?:份|\s?(?P<day2>[{_DIGITS}]{{1,3}})\s?[日号號])?"
    rf"|(?<![{_DIGITS}])(?P<day3>[{_DIGITS}]{{1,3}})\s?日(?!元|圆|本|均|常))"
)
_ORDINALS = dict(zip(["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], range(3, 11), strict=True))
_ENGLISH_ORDINAL = re.compile(rf"\b({'|'.join(_ORDINALS)})\b", re.IGNORECASE)
_CHINESE_ORDINAL = re.compile(r"第([〇零一二三四五六七八九十百千两]{1,9})")
_MEASURED = re.compile(
    r"(?<![〇零一二三四五六七八九十百千万亿两第点数几])(二|两|三|四|五|六|七|八|九)"
    r"(?=[艘座场次部支架辆匹头只首篇幅枚项届种类层级代期集章卷册栋幢间家户所组队对双套件份批股轮圈局盘票声倍票站段片岛城州省市县])"
)
_TWO = re.compile(r"\b(?:both|pair|couple|twice|double|doubled|twins?)\b|双|兩|对(?=夫妇|双胞胎)", re.IGNORECASE)
_IMPLIED = ((_TWO, Fraction(2)), (re.compile(r"\b(?:dozen)\b|一打", re.IGNORECASE), Fraction(12)))
_DECADE = re.compile(r"(?<!\d)\d\d(\d0)(?=['’]?s\b|年代)")
_HALF = re.compile(r"\bhalf\b|一半|半数", re.IGNORECASE)


def read_quantities(text: str, read_numbers: NumberReader) -> Quantities:
    """The numbers and dates of a text, in their order."""
    dates = _read_dates(text, read_numbers)
    taken = [span for date in dates for span in date.spans if span is not None]
    numbers: list[Quantity] = []
    for number in [*_readings(text, read_numbers), *_ordinals(text, read_numbers)]:
        span = Span(number.span.start, number.span.end)
        if any(span.start < other.end and other.start < span.end for other in taken):
            continue
        taken.append(span)
        numbers.append(number)
    return Quantities(tuple(sorted(numbers, key=lambda number: number.span)), dates)


def missing_quantities(claim: Quantities, sources: Sequence[Quantities], source_texts: Sequence[str]) -> list[tuple[Span, str]]:
    """(range in the claim, `number` or `date`) of everything that no source says."""
    pool = [number for source in sources for number in source.numbers]
    values = {number.value for number in pool}
    in_dates = {Fraction(part) for source in sources for date in source.dates for part in date.parts if part is not None}
    pool += [Quantity(value, None, Span(0, 0)) for pattern, value in _IMPLIED if any(map(pattern.search, source_texts))]
    pool += [Quantity(Fraction(match[1]), None, Span(0, 0)) for text in source_texts for match in _DECADE.finditer(text)]
    if any(map(_HALF.search, source_texts)):
        pool.append(Quantity(Fraction(1, 2), None, Span(0, 0)))
    missing = [
        (number.span, "number")
        for number in claim.numbers
        if not (any(map(number.equals, pool)) or (number.unit is None and number.value in in_dates))
    ]
    known = [parts for source in sources for parts in _with_inherited(source.dates)]
    for date in claim.dates:
        missing += [(span, "date") for span in _missing_parts(date, known, values)]
    return sorted(missing)


def _readings(text: str, read_numbers: NumberReader) -> list[Quantity]:
    """What the reader finds, without numbers inside others, and without "one" and 一, which mostly count nothing."""
    quantities: list[Quantity] = []
    for number in sorted(read_numbers(text), key=lambda number: (number.start, -number.end)):
        if quantities and number.start < quantities[-1].span.end:
            continue
        words = text[number.start : number.end]
        if number.value == 1 and not any(character.isdigit() for character in words):
            continue
        unit, end = unit_at(text, number.start, number.end, is_percent=number.is_percent)
        quantities.append(Quantity(number.value, unit, Span(number.start, end)))
    return quantities


def _ordinals(text: str, read_numbers: NumberReader) -> Iterator[Quantity]:
    for match in _ENGLISH_ORDINAL.finditer(text):
        yield Quantity(Fraction(_ORDINALS[match[1].lower()]), None, Span(match.start(), match.end()))
    for pattern in (_CHINESE_ORDINAL, _MEASURED):
        for match in pattern.finditer(text):
            value = _value(match[1], read_numbers)
            if value is not None and value > 1:
                yield Quantity(value, None, Span(match.start(), match.end()))


def _value(numerals: str, read_numbers: NumberReader) -> Fraction | None:
    """The value of numerals that certainly are a number: in front of a measure word the reader takes them for one."""
    numbers = read_numbers(f"{numerals.replace('○', '〇')}个")
    return numbers[0].value if len(numbers) == 1 else None


def _read_dates(text: str, read_numbers: NumberReader) -> tuple[DateInText, ...]:
    found: list[DateInText] = []
    taken: list[Span] = []

    def add(match: re.Match[str], names: Sequence[str]) -> None:
        if any(match.start() < span.end and span.start < match.end() for span in taken):
            return
        parts: list[int | None] = []
        spans: list[Span | None] = []
        for name in names:
            written = match[name] if name else None
            if written is None:
                parts.append(None)
                spans.append(None)
                continue
            month = _MONTHS.get(written.lower())
            value = Fraction(month) if month else _value(written, read_numbers)
            if value is None or value.denominator != 1:
                return
            parts.append(int(value))
            spans.append(Span(*match.span(name)))
        if (parts[1] or 1) > 12 or (parts[2] or 1) > 31:
            return
        taken.append(Span(match.start(), match.end()))
        found.append(DateInText((parts[0], parts[1], parts[2]), (spans[0], spans[1], spans[2])))

    for pattern in (_NUMERIC_DATE, *_ENGLISH_DATES):
        for match in pattern.finditer(text):
            add(match, [name if name in pattern.groupindex else "" for name in ("year", "month", "day")])
    for match in _CHINESE_DATE.finditer(text):
        if match["year"]:
            add(match, ("year", "month", "day"))
        elif match["month2"]:
            add(match, ("", "month2", "day2"))
        else:
            add(match, ("", "", "day3"))
    return tuple(sorted(found, key=lambda date: min(span for span in date.spans if span is not None)))


def _with_inherited(dates: Sequence[DateInText]) -> list[tuple[int | None, int | None, int | None]]:
    """The parts of each date; what it leaves out before its first part comes from the date in front of it."""
    known: list[tuple[int | None, int | None, int | None]] = []
    year: int | None = None
    month: int | None = None
    for date in dates:
        own_year, own_month, own_day = date.parts
        if own_year is not None:
            year, month = own_year, own_month
        elif own_month is not None:
            month = own_month
        known.append((year, month if own_day is not None or own_month is not None else None, own_day))
    return known


def _missing_parts(
    date: DateInText, known: Sequence[tuple[int | None, int | None, int | None]], values: set[Fraction]
) -> list[Span]:
    """The parts of a date that the closest date of the sources does not say."""
    best: list[Span] | None = None
    for parts in [*known, (None, None, None)]:
        missing = [
            span
            for own, other, span in zip(date.parts, parts, date.spans, strict=True)
            if own is not None and span is not None and own != other and (other is not None or own not in values)
        ]
        if best is None or len(missing) < len(best):
            best = missing
    return best or []
