"""PDF, through PDFium: each line with its page and box, in reading order. Scripts never run, attachments are not opened.

Words that a hyphen divides at the end of a line are joined: a search for the word must find it, and a quote should read well. If
the hyphenated spelling stands within a line elsewhere ("well-known"), the hyphen stays; if neither spelling does, it goes, as
typesetters divide words far more often at a syllable than at a hyphen.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from yearling.retrieval.parsing.formats import PDF
from yearling.retrieval.parsing.readers.page_layout import PageLine, Piece, order_lines
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText, TextBuilder, joint, one_line

MAX_PAGES = 10_000
MAX_PAGE_CHARS = 500_000
_MAX_LISTED = 20
"""Pages that a warning names."""
_HYPHENS = "-\u2010\x02"
"""PDFium marks a hyphen that divides a word by the control character 2."""
_ENDS_DIVIDED = re.compile(r"([^\W\d_]{2,})-$")
_BEGINS_DIVIDED = re.compile(r"[^\W\d_]+")
_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_FIRST_CJK = "\u2e80"
_MIN_ROTATION = 0.1
"""Sine of the angle above which text counts as rotated."""
_GAP_HEIGHTS = 1.2
"""Gap between characters, in heights of the line, at which a line falls into pieces, as at cells of a table and at columns."""


def read_pdf(content: bytes) -> ParsedText:
    """Raises DocumentError if the file is encrypted or damaged."""
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise DocumentError(
                "The PDF is encrypted with a password.", "Save a copy without a password, and add that file."
            ) from None
        raise DocumentError(
            "The PDF is damaged and cannot be opened.", "Fetch it again, or print it to a new PDF, and add that file."
        ) from None
    num_pages = len(document)
    if num_pages > MAX_PAGES:
        raise DocumentError(f"The PDF has more than {MAX_PAGES:,} pages.", "Divide it into several files.")
    builder = TextBuilder(PDF, num_pages=num_pages)
    builder.title = document.get_metadata_value("Title") or ""
    pages: list[list[PageLine]] = []
    sizes: list[tuple[float, float]] = []
    unreadable: list[int] = []
    for number in range(1, num_pages + 1):
        try:
            size, lines = _read_page(document, number - 1)
        except pdfium.PdfiumError:
            unreadable.append(number)
            size, lines = (1.0, 1.0), []
        pages.append(lines)
        sizes.append(size)
    spellings = Counter(word.lower() for lines in pages for line in lines for word in _WORDS.findall(line.text.rstrip(_HYPHENS)))
    for number, (lines, size) in enumerate(zip(pages, sizes, strict=True), start=1):
        _add_page(builder, number, lines, size, spellings)
    empty = [number for number, lines in enumerate(pages, start=1) if not lines and number not in unreadable]
    _warn_of_pages(builder, num_pages, empty, unreadable)
    return builder.finish()


def _warn_of_pages(builder: TextBuilder, num_pages: int, empty: list[int], unreadable: list[int]) -> None:
    if unreadable:
        builder.warn(f"Pages that cannot be read, since the file is damaged there: {_listed(unreadable)}.")
    if num_pages == 0:
        builder.warn("The PDF has no pages.")
    elif len(empty) == num_pages:
        builder.warn(
            "No page of the PDF has text: it is probably a scan. Add a text layer to it (OCR), for example with `ocrmypdf`, "
            "and add that file."
        )
    elif empty:
        builder.warn(f"Pages without text: {_listed(empty)}. They are empty, pictures or scans; only a text layer (OCR) is read.")


def _listed(numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:_MAX_LISTED]))
    return f"{listed} and {len(numbers) - _MAX_LISTED} more" if len(numbers) > _MAX_LISTED else listed


def _add_page(
    builder: TextBuilder, number: int, lines: list[PageLine], size: tuple[float, float], spellings: Counter[str]
) -> None:
    last = ""
    for line in lines:
        text = line.text
        separator = "\n"
        if line.continues and last:
            separator = joint(last, text)
            divided = _ENDS_DIVIDED.search(last)
            rest = _BEGINS_DIVIDED.match(text)
            if divided and rest and rest[0][0].islower():
                separator = ""
                hyphenated = f"{divided[1]}-{rest[0]}".lower()
                if spellings[f"{divided[1]}{rest[0]}".lower()] or not spellings[hyphenated]:
                    builder.replace_end(1)
        builder.add(text, separator=separator, page=number, box=_fractions(line.box, size))
        last = text


def _fractions(box: tuple[float, float, float, float], size: tuple[float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (
        round(min(max(value / size[i % 2], 0.0), 1.0), 5) if math.isfinite(value) else 0.0 for i, value in enumerate(box)
    )
    return left, top, right, bottom


def _read_page(document: Any, index: int) -> tuple[tuple[float, float], list[PageLine]]:
    """((width, height) in points as displayed, the lines). Raises PdfiumError."""
    page = document.get_page(index)
    try:
        text_page = page.get_textpage()
        try:
            frame = _Frame(page)
            pieces = [
                Piece(cleaned, *frame.displayed(box))
                for text, box in _pieces(text_page)
                if (cleaned := one_line(text.replace("\x02", "-")))
            ]
        finally:
            text_page.close()
    finally:
        page.close()
    return frame.size, order_lines(pieces)


class _Frame:
    """The part of a page that is displayed, with its rotation."""

    def __init__(self, page: Any) -> None:
        self.left, self.bottom, self.right, self.top = page.get_bbox()
        self.rotation = page.get_rotation()
        width, height = max(self.right - self.left, 0.01), max(self.top - self.bottom, 0.01)
        self.size = (height, width) if self.rotation in (90, 270) else (width, height)

    def displayed(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Left, top, right and bottom from the upper left corner, of left, bottom, right and top from the lower left one."""
        x0, x1 = box[0] - self.left, box[2] - self.left
        y0, y1 = box[1] - self.bottom, box[3] - self.bottom
        width, height = self.right - self.left, self.top - self.bottom
        if self.rotation == 90:
            return y0, x0, y1, x1
        if self.rotation == 180:
            return width - x1, y0, width - x0, y1
        if self.rotation == 270:
            return height - y1, width - x1, height - y0, width - x0
        return x0, height - y1, x1, height - y0


def _pieces(text_page: Any) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """(text, left, bottom, right and top in points) of each run of characters without a newline or a wide gap."""
    characters: list[str] = []
    box: list[float] = []
    last_right = 0.0
    num_chars = min(text_page.count_chars(), MAX_PAGE_CHARS)
    rectangle = pdfium_c.FS_RECTF()
    reference = ctypes.byref(rectangle)
    get_unicode, get_box, raw = pdfium_c.FPDFText_GetUnicode, pdfium_c.FPDFText_GetLooseCharBox, text_page.raw
    for i in range(num_chars):
        code = get_unicode(raw, i)
        if code in (10, 13):
            if characters and box:
                yield "".join(characters), (box[0], box[1], box[2], box[3])
            characters, box = [], []
            continue
        character = chr(code) if code < 0x110000 else "\ufffd"
        if (
            character == " "
            or not get_box(raw, i, reference)
            or rectangle.right <= rectangle.left
            or rectangle.top <= rectangle.bottom
        ):
            characters.append(character)
            continue
        left, bottom, right, top = rectangle.left, rectangle.bottom, rectangle.right, rectangle.top
        if box:
            height, middle = box[3] - box[1], (bottom + top) / 2
            is_horizontal = height < 2 * (top - bottom) + 1
            is_apart = is_horizontal and (left - last_right > _GAP_HEIGHTS * (top - bottom) or left < box[0] - height)
            # PDFium writes no newline after a hyphen that divides a word, nor in a column of a table that was drawn downwards.
            is_below = not box[1] - 0.1 * height < middle < box[3] + 0.1 * height
            is_written_down = box[2] - box[0] < 1.5 * (right - left) and min(characters[-1], character) >= _FIRST_CJK
            if is_apart or (is_below and not is_written_down and not _is_rotated(text_page, i)):
                yield "".join(characters), (box[0], box[1], box[2], box[3])
                characters, box = [], []
        if box:
            box = [min(box[0], left), min(box[1], bottom), max(box[2], right), max(box[3], top)]
        else:
            box = [left, bottom, right, top]
        last_right = right
        characters.append(character)
    if characters and box:
        yield "".join(characters), (box[0], box[1], box[2], box[3])


def _is_rotated(text_page: Any, index: int) -> bool:
    return abs(math.sin(pdfium_c.FPDFText_GetCharAngle(text_page.raw, index))) > _MIN_ROTATION
