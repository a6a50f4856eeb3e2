"""CSV and TSV: one line per row, cells divided by tabs, each with the number of its row."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter

from yearling.retrieval.parsing.encodings import decode
from yearling.retrieval.parsing.formats import TSV
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText, TextBuilder, check_length, one_line, split_lines

_EMPTY_CELLS = re.compile(r"(\t{10})\t+")
_DELIMITERS = ",;\t|"
_SAMPLE_CHARS = 64_000
_SAMPLE_ROWS = 100


def read_delimited(content: bytes, media_type: str) -> ParsedText:
    """Raises DocumentError."""
    text, warnings = decode(content)
    builder = TextBuilder(media_type, warnings=warnings)
    check_length(len(text) // 2)  # a quote inside a cell is written twice
    text = split_lines(text).replace("\0", "")
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    delimiter = "\t" if media_type == TSV else _find_delimiter(text)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1):
            builder.add(row_text(row), label=f"row {number}")
    except csv.Error as error:
        raise DocumentError(f"The table cannot be read: {error}.", "Export it again as CSV in UTF-8.") from None
    return builder.finish()


def row_text(cells: list[str]) -> str:
    """The cells of a row on one line, divided by tabs. Empty cells at its end and most of a long run of them are left out."""
    return _EMPTY_CELLS.sub(r"\1", "\t".join(one_line(cell) for cell in cells).rstrip("\t"))


def _find_delimiter(text: str) -> str:
    """The character that divides most rows into the same number of cells, more than one."""
    sample = text[:_SAMPLE_CHARS]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        counts: Counter[int] = Counter()
        try:
            for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
                if row:
                    counts[len(row)] += 1
                if counts.total() >= _SAMPLE_ROWS:
                    break
        except csv.Error:
            continue
        num_cells, num_rows = counts.most_common(1)[0] if counts else (1, 0)
        score = num_rows / max(counts.total(), 1) if num_cells > 1 else 0.0
        if score > best_score + 1e-9:
            best, best_score = delimiter, score
    return best
