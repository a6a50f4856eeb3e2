"""XLSX, through openpyxl: one line per row with its sheet and number, cells divided by tabs. Values, not formulas.

A formula has a value only if the program that saved the workbook computed it; a warning counts the others.
"""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from typing import Any

import openpyxl

from yearling.retrieval.parsing.readers.delimited import row_text
from yearling.retrieval.parsing.readers.packages import XLSX, Package
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText, TextBuilder, one_line

MAX_CELLS = 5_000_000
"""Cells of all sheets, with the empty ones left of a value."""
_UNCOMPUTED = re.compile(rb"(?:</f>|<f[^<>]{0,200}/>)\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
_SHEET_PART = re.compile(r"xl/worksheets/[^/]+\.xml$", re.I)
_ERRORS = (KeyError, ValueError, AttributeError, TypeError, IndexError, SyntaxError, OverflowError, zipfile.BadZipFile, EOFError)
_DAMAGED = ("The workbook is damaged.", "Open it in Excel or LibreOffice, save it again as XLSX, and add that file.")


def read_xlsx(package: Package) -> ParsedText:
    """Raises DocumentError."""
    try:
        workbook = openpyxl.load_workbook(
            io.BytesIO(package.content), read_only=True, data_only=True, keep_links=False, keep_vba=False
        )
        title = workbook.properties.title
    except _ERRORS:
        raise DocumentError(*_DAMAGED) from None
    builder = TextBuilder(XLSX)
    builder.title = title or ""
    if any(name.lower().endswith("vbaproject.bin") for name in package.names):
        builder.warn("The workbook holds macros; they were left out and never run.")
    num_cells = 0
    for sheet in workbook.worksheets:
        try:
            num_cells = _add_sheet(builder, sheet, num_cells)
        except _ERRORS:
            builder.warn(f"Sheet {sheet.title} is damaged; a part of it was left out.")
    num_uncomputed = sum(len(_UNCOMPUTED.findall(package.read(name) or b"")) for name in package.names if _SHEET_PART.match(name))
    if num_uncomputed:
        builder.warn(
            f"Formulas without a stored value: {num_uncomputed}. They were left out; open the workbook in Excel or "
            "LibreOffice and save it, so that they are computed."
        )
    return builder.finish()


def _add_sheet(builder: TextBuilder, sheet: Any, num_cells: int) -> int:
    """Adds the rows, and returns the number of cells so far."""
    name = one_line(sheet.title)
    if sheet.sheet_state != "visible":
        builder.warn(f"Sheet {name} is hidden in the workbook; its rows were read too.")
    sheet.reset_dimensions()  # a workbook may declare any size; rows that exist are read
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        num_cells += len(row)
        if num_cells > MAX_CELLS:
            raise DocumentError(f"The workbook has more than {MAX_CELLS:,} cells.", "Divide it, or export the table as CSV.")
        if row and (text := row_text([_cell_text(value) for value in row])):
            builder.add(text, label=f"{name}, row {number}")
    return num_cells


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(sep=" ")
    return str(value)
