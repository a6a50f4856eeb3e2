"""The reading order of a page of a PDF: pieces of lines in, paragraphs out. Pure geometry, no library.

A PDF says where characters stand, not in which order people read them. Pages are divided at gutters into columns, from the piece
of a line that spans all of them to the next such piece (as in the recursive X-Y cut of Nagy and Seth, 1984, but with zones
between spanning lines instead of horizontal cuts, which would take a gap between two lines for the end of a column). Outside
columns, rows go from top to bottom and pieces of one row from left to right, so tables are read by rows.

Lines of one paragraph are joined, since sentences are what is searched and cited. A line goes on in the next one if the next one
starts at the left edge, in the same size, no further down than a line, and if its first word would not have fitted into this one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_PIECES = 3_000
"""Pieces of one page above which they keep the order in which they stand in the file."""
_MIN_COLUMN_LINES = 3
_MIN_COLUMN_EMS = 7.0
"""Width of a column in heights of a line, below which it is taken for a column of a table."""
_MIN_FILL = 0.6
"""Share of a column that its lines cover, where there are lines."""
_ZONE_GAP = 2.5
"""Empty height across all columns, in heights of a line, at which columns end, as above a footer."""
_MAX_SIDE_BY_SIDE = 50
_MAX_CANDIDATES = 12
_MAX_DEPTH = 6
_LIST_START = re.compile(
    r"[•●○▪■□◦‣⁃–—*·-]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)、]\s*(?!\d)|[（(]?[一二三四五六七八九十]{1,3}[)）、.]"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text on one line without a wide gap, in points from the upper left corner of the page as it is displayed."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Height of the line in points."""
        return self.bottom - self.top


@dataclass(frozen=True, slots=True)
class PageLine:
    """A line in reading order."""

    text: str
    box: tuple[float, float, float, float]
    """Left, top, right and bottom, in points."""
    continues: bool
    """Whether it goes on with the paragraph of the line before it."""


def order_lines(pieces: Sequence[Piece]) -> list[PageLine]:
    """The lines of a page in reading order."""
    if len(pieces) > MAX_PIECES:
        return [PageLine(piece.text, (piece.left, piece.top, piece.right, piece.bottom), False) for piece in pieces]
    lines: list[PageLine] = []
    for zone in _zones(list(pieces), 0):
        lines += _lines_of_zone(zone)
    return lines


def _zones(pieces: list[Piece], depth: int) -> list[list[Piece]]:
    """The pieces in groups without columns, in reading order."""
    gutter = _find_gutter(pieces) if depth < _MAX_DEPTH and len(pieces) >= 2 * _MIN_COLUMN_LINES else None
    if gutter is None:
        return [pieces] if pieces else []
    zones: list[list[Piece]] = []
    for is_divided, group in _divide(pieces, gutter):
        if is_divided:
            for side in _sides(group, gutter):
                zones += _zones(side, depth + 1)
        else:
            zones.append(group)
    return zones


def _find_gutter(pieces: Sequence[Piece]) -> float | None:
    """The x at which the pieces are divided into columns, or None."""
    height = _median([piece.height for piece in pieces])
    lefts = Counter(round(piece.left / 4) for piece in pieces)
    candidates = [left for left, count in lefts.most_common(_MAX_CANDIDATES) if count >= _MIN_COLUMN_LINES]
    best, best_count = None, 0
    for candidate in candidates:
        x = candidate * 4 - 2 - 0.3 * height
        count = sum(len(group) for is_divided, group in _divide(pieces, x) if is_divided)
        if count > best_count:
            best, best_count = x, count
    return best


def _divide(pieces: Sequence[Piece], x: float) -> list[tuple[bool, list[Piece]]]:
    """The pieces from top to bottom, in groups: (whether x divides the group into columns, the group)."""
    groups: list[tuple[bool, list[Piece]]] = []
    zone: list[Piece] = []

    def close_zone() -> None:
        if zone:
            groups.append((_are_columns(*_sides(zone, x)), list(zone)))
            zone.clear()

    crossing = sorted((piece for piece in pieces if piece.left < x < piece.right), key=lambda piece: piece.top)
    others = sorted((piece for piece in pieces if not piece.left < x < piece.right), key=lambda piece: piece.top)
    gap = _ZONE_GAP * _median([piece.height for piece in pieces])

    def extend_zone(added: Iterable[Piece]) -> None:
        for piece in added:
            if zone and piece.top - max(other.bottom for other in zone[-_MAX_SIDE_BY_SIDE:]) > gap:
                close_zone()
            zone.append(piece)

    position = 0
    for piece in crossing:
        middle = (piece.top + piece.bottom) / 2
        start = position
        while position < len(others) and (others[position].top + others[position].bottom) / 2 < middle:
            position += 1
        extend_zone(others[start:position])
        close_zone()
        groups.append((False, [piece]))
    extend_zone(others[position:])
    close_zone()
    return _merge_undivided(groups)


def _merge_undivided(groups: list[tuple[bool, list[Piece]]]) -> list[tuple[bool, list[Piece]]]:
    merged: list[tuple[bool, list[Piece]]] = []
    for is_divided, group in groups:
        if merged and not is_divided and not merged[-1][0]:
            merged[-1][1].extend(group)
        else:
            merged.append((is_divided, group))
    return merged


def _sides(group: Sequence[Piece], x: float) -> tuple[list[Piece], list[Piece]]:
    return [piece for piece in group if piece.right <= x], [piece for piece in group if piece.left >= x]


def _are_columns(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    """Whether both sides are columns of text, and not cells of a table: most of their lines fill them."""
    for side in (left, right):
        if len(side) < _MIN_COLUMN_LINES:
            return False
        width = max(piece.right for piece in side) - min(piece.left for piece in side)
        area = sum((piece.right - piece.left) * piece.height for piece in side)
        is_narrow = width < _MIN_COLUMN_EMS * _median([piece.height for piece in side])
        if is_narrow or area < _MIN_FILL * width * _covered_height(side):
            return False
    top = max(min(piece.top for piece in side) for side in (left, right))
    bottom = min(max(piece.bottom for piece in side) for side in (left, right))
    heights = [max(piece.bottom for piece in side) - min(piece.top for piece in side) for side in (left, right)]
    return bottom - top >= 0.5 * min(heights)


def _covered_height(pieces: Sequence[Piece]) -> float:
    covered, end = 0.0, float("-inf")
    for piece in sorted(pieces, key=lambda piece: piece.top):
        covered += max(piece.bottom - max(piece.top, end), 0.0)
        end = max(end, piece.bottom)
    return covered


def _lines_of_zone(pieces: Sequence[Piece]) -> list[PageLine]:
    rows = _rows(pieces)
    right_edge = max(piece.right for row in rows for piece in row)
    lines = []
    for row in rows:
        box = (row[0].left, min(p.top for p in row), max(p.right for p in row), max(p.bottom for p in row))
        lines.append(PageLine("\t".join(piece.text for piece in row), box, False))
    pitches = [below.box[1] - above.box[1] for above, below in pairwise(lines)]
    pitch = _median([pitch for pitch in pitches if pitch > 0]) if any(pitch > 0 for pitch in pitches) else 0.0
    for i in range(1, len(lines)):
        if _goes_on(lines[i - 1], lines[i], right_edge, pitch):
            lines[i] = PageLine(lines[i].text, lines[i].box, True)
    return lines


def _rows(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces that stand side by side, each row from left to right."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: (piece.top + piece.bottom, piece.left)):
        if rows:
            first = rows[-1][0]
            overlap = min(first.bottom, piece.bottom) - max(first.top, piece.top)
            if overlap > 0.5 * min(first.height, piece.height):
                rows[-1].append(piece)
                continue
        rows.append([piece])
    return [sorted(row, key=lambda piece: piece.left) for row in rows]


def _goes_on(above: PageLine, below: PageLine, right_edge: float, pitch: float) -> bool:
    if "\t" in above.text or "\t" in below.text or _LIST_START.match(below.text):
        return False
    height, height_below = above.box[3] - above.box[1], below.box[3] - below.box[1]
    if not 0.8 < height_below / max(height, 0.01) < 1.25:
        return False
    if below.box[1] - above.box[1] > 1.25 * max(pitch, height) or below.box[1] - above.box[1] > 2.5 * height:
        return False
    is_hanging = _LIST_START.match(above.text) is not None
    # The first line of a paragraph may be indented, the lines after it begin further left or at the same place.
    if below.box[0] > above.box[0] + 0.6 * height and not is_hanging:
        return False
    if above.text.endswith("-") and below.text[:1].islower():
        return True
    first_word = re.match(r"[\u3000-\u9fff\uff00-\uffef]|\S+", below.text)
    share = len(first_word[0]) / len(below.text) if first_word else 1.0
    needed = share * (below.box[2] - below.box[0]) + 0.25 * height
    return above.box[2] + needed > right_edge - 0.1 * height


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
