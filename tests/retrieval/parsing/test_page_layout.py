"""The reading order of a page, on pieces of lines made by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yearling.retrieval.parsing.readers.page_layout import MAX_PIECES, Piece, order_lines

SIZES = st.floats(0, 600, allow_nan=False)


def line(text: str, left: float, top: float, *, width: float | None = None) -> Piece:
    return Piece(text, left, top, left + (width if width is not None else 5 * len(text)), top + 10)


def texts(pieces: list[Piece]) -> list[str]:
    return [found.text for found in order_lines(pieces)]


def test_three_columns_between_spanning_lines() -> None:
    columns = [[line(f"{name}{i} " + "words " * 4, 20 + 190 * k, 100 + 12 * i) for i in range(8)] for k, name in enumerate("abc")]
    title = line("A title across the page", 20, 60, width=560)
    note = line("A note across the page", 20, 300, width=560)
    pieces = [title, note, *(piece for column in columns for piece in column)]
    random.Random(0).shuffle(pieces)
    assert texts(pieces) == [title.text, *(piece.text for column in columns for piece in column), note.text]


def test_columns_whose_baselines_differ() -> None:
    left = [line(f"left {i} " + "word " * 6, 20, 100 + 12 * i) for i in range(9)]
    right = [line(f"right {i} " + "word " * 6, 320, 105 + 12 * i) for i in range(9)]
    assert texts([*right, *left]) == [piece.text for piece in (*left, *right)]


def test_a_table_with_long_first_cells_is_read_by_rows() -> None:
    pieces = []
    for i in range(6):
        pieces += [line(f"Name of the thing number {i}", 20, 100 + 14 * i), line(str(i), 400, 100 + 14 * i)]
    assert texts(pieces) == [f"Name of the thing number {i}\t{i}" for i in range(6)]


def test_a_line_goes_on_if_the_next_word_would_not_have_fitted() -> None:
    full, short, last = line("a line that is full", 20, 100, width=300), line("a short end.", 20, 112), line("New one", 20, 124)
    assert [found.continues for found in order_lines([full, short, last])] == [False, True, False]


def test_items_of_a_list_and_larger_lines_begin_anew() -> None:
    full = line("1. an item that fills its line entirely", 20, 100, width=300)
    item = line("2. another item that fills the line too", 20, 112, width=300)
    large = Piece("Heading", 20, 124, 320, 144)
    assert [found.continues for found in order_lines([full, item, large])] == [False, False, False]


def test_an_indent_begins_a_paragraph() -> None:
    lines = [line("words of the first one, full", 20, 100 + 12 * i, width=300) for i in range(2)]
    indented = line("the second one", 40, 124, width=280)
    assert [found.continues for found in order_lines([*lines, indented])] == [False, True, False]


def test_crowded_pages_keep_the_order_of_the_file() -> None:
    pieces = [line(str(i), 600 - i % 600, 600 - i % 599) for i in range(MAX_PIECES + 1)]
    assert texts(pieces) == [piece.text for piece in pieces]


@pytest.mark.slow
@given(st.lists(st.builds(Piece, st.text("ab中1-", min_size=1, max_size=5), SIZES, SIZES, SIZES, SIZES), max_size=25))
def test_no_piece_is_lost_or_doubled(pieces: list[Piece]) -> None:
    found = [text for line in order_lines(pieces) for text in line.text.split("\t")]
    assert sorted(found) == sorted(piece.text for piece in pieces)
