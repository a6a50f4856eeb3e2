"""Valid documents of every format, made when a test needs them."""

from __future__ import annotations

import datetime
import functools
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import docx
import openpyxl
import pptx
from fpdf import FPDF
from pptx.util import Inches

from yearling.retrieval.parsing.reading import read_document
from yearling.retrieval.parsing.text_builder import ParsedText

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def located(parsed: ParsedText) -> list[str]:
    """The text of each located line."""
    return [parsed.text[line.start : line.end] for line in parsed.lines]


def labels(parsed: ParsedText) -> list[str]:
    """The label of each located line."""
    return [line.label for line in parsed.lines]


def read(content: bytes, name: str = "document") -> ParsedText:
    """Read in this process, without limits."""
    return read_document(content, name, "")


def zip_of(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return content.getvalue()


def rewrite_zip(content: bytes, changes: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive with some parts replaced or added."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    return zip_of(parts | dict(changes))


def part_of(content: bytes, name: str) -> bytes:
    """One part of a ZIP archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def make_pdf(pages: Sequence[Sequence[tuple[float, float, str]]], *, size: float = 10, title: str = "") -> bytes:
    """A PDF on A4 with texts at places in millimetres from the upper left corner (of the baseline)."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=size)
    if title:
        pdf.set_title(title)
    for texts in pages:
        pdf.add_page()
        for x, y, text in texts:
            pdf.text(x, y, text)
    return bytes(pdf.output())


@functools.cache
def make_chinese_pdf(text: str) -> bytes:
    """A PDF whose page says `text`, one line per line, without a font on this machine.

    The font is one of those that Acrobat brings for Chinese, in its predefined encoding by UTF-16 units, with full widths.
    """
    lines = text.split("\n")
    shown = b" ".join(b"<" + line.encode("utf-16-be").hex().encode() + b"> Tj T*" for line in lines)
    stream = b"BT /F1 12 Tf 14 TL 72 700 Td " + shown + b" ET"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 7 0 R/Resources<</Font<</F1 4 0 R>>>>>>",
        b"<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UTF16-H/DescendantFonts[5 0 R]>>",
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 4>>"
        b"/DW 1000/FontDescriptor 6 0 R>>",
        b"<</Type/FontDescriptor/FontName/STSong-Light/Flags 4/FontBBox[-25 -254 1000 880]/ItalicAngle 0/Ascent 880/Descent -120"
        b"/CapHeight 880/StemV 93>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    return raw_pdf(objects)


def raw_pdf(objects: Sequence[bytes], *, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, numbered from 1; the first one is the catalogue."""
    content = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    content += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(content)


@functools.cache
def make_docx() -> bytes:
    """A title, two headings, a list and a table."""
    document = docx.Document()
    document.core_properties.title = ""
    document.add_heading("Annual report 年报", 0)
    document.add_heading("Results", 1)
    document.add_paragraph("Revenue grew by 12%.")
    document.add_paragraph("First point", style="List Bullet")
    table = document.add_table(2, 2)
    for row, cells in zip(table.rows, (("Year", "Revenue\nin EUR"), ("2025", "3,400")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_heading("Outlook", 2)
    document.add_paragraph("We expect growth.")
    return _saved(document)


@functools.cache
def make_pptx() -> bytes:
    """Two slides: a title with points and notes, and a text box above a table in the other order."""
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text = "Point A\nPoint B"
    slide.notes_slide.notes_text_frame.text = "Say hello"
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = slide.shapes.add_table(1, 2, Inches(1), Inches(5), Inches(3), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    slide.shapes.add_textbox(Inches(1), Inches(1), Inches(4), Inches(0.75)).text_frame.text = "A box"
    return _saved(presentation)


@functools.cache
def make_xlsx() -> bytes:
    """Two sheets, one of them hidden, with a formula that was never computed."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Sales"
    for row in (["Item", "Price", "When"], ["Apple", 1.5, datetime.date(2026, 5, 1)], ["Pear", 2.0, None]):
        sheet.append(row)
    sheet["A5"] = True
    sheet["B5"] = "=SUM(B2:B3)"
    hidden = workbook.create_sheet("Secret")
    hidden.sheet_state = "hidden"
    hidden["B2"] = "x"
    return _saved(workbook)


def make_epub(
    chapters: Mapping[str, str], *, contents: str = "", spine: Sequence[str] = (), extra: Mapping[str, str | bytes] | None = None
) -> bytes:
    """An EPUB 3 with chapters by file name, in the order of the spine. `contents`: the body of its table of contents."""
    items = "".join(f'<item id="{i}" href="{name}" media-type="application/xhtml+xml"/>' for i, name in enumerate(chapters))
    numbers = {name: i for i, name in enumerate(chapters)}
    references = "".join(f'<itemref idref="{numbers[name]}"/>' for name in spine or chapters)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<dc:title>The book 书</dc:title></metadata><manifest><item id="nav" href="nav.xhtml" properties="nav" '
        f'media-type="application/xhtml+xml"/>{items}</manifest><spine>{references}</spine></package>'
    )
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": package,
        "OEBPS/nav.xhtml": f"<html><body><nav>{contents}</nav></body></html>",
    }
    parts |= {f"OEBPS/{name}": f"<html><body>{body}</body></html>" for name, body in chapters.items()}
    return zip_of(parts | dict(extra or {}))


def _saved(document: Any) -> bytes:
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()
