"""DOCX, PPTX and XLSX: text, places, and what is left out."""

from __future__ import annotations

import io
import re

import docx
import openpyxl
import pptx
import pytest

from tests.retrieval.parsing.samples import labels, located, make_docx, make_pptx, make_xlsx, part_of, read, rewrite_zip
from yearling.retrieval.parsing.text_builder import DocumentError

pytestmark = pytest.mark.slow

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def test_docx_gives_paragraphs_lists_and_tables_under_their_headings() -> None:
    parsed = read(make_docx())
    assert parsed.title == "Annual report 年报"
    assert parsed.media_type.endswith("wordprocessingml.document")
    assert list(zip(labels(parsed), located(parsed), strict=True)) == [
        ("Annual report 年报", "Annual report 年报"),
        ("Results", "Results"),
        ("Results", "Revenue grew by 12%."),
        ("Results", "- First point"),
        ("Results", "Year\tRevenue in EUR"),
        ("Results", "2025\t3,400"),
        ("Outlook", "Outlook"),
        ("Outlook", "We expect growth."),
    ]


def test_docx_shows_insertions_controls_and_boxes_but_no_deletions() -> None:
    body = (
        f'<w:document xmlns:w="{WORD}"><w:body>'
        "<w:p><w:r><w:t>Kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>moved away</w:t></w:r></w:moveFrom></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:t>around</w:t><w:pict><w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent></w:pict>"
        "</w:r></w:p></w:body></w:document>"
    )
    parsed = read(rewrite_zip(make_docx(), {"word/document.xml": body}))
    assert parsed.text.split("\n") == ["Kept inserted", "control", "around", "in a box"]


def test_docx_reads_footnotes_after_the_text() -> None:
    document = docx.Document()
    document.add_paragraph("Text.")
    content = io.BytesIO()
    document.save(content)
    notes = (
        f'<w:footnotes xmlns:w="{WORD}"><w:footnote w:id="2"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    relationships = part_of(content.getvalue(), "word/_rels/document.xml.rels").decode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    relationships = relationships.replace(
        "</Relationships>", f'<Relationship Id="rId99" Type="{kind}" Target="footnotes.xml"/></Relationships>'
    )
    changes = {"word/footnotes.xml": notes, "word/_rels/document.xml.rels": relationships}
    parsed = read(rewrite_zip(content.getvalue(), changes))
    assert (located(parsed), labels(parsed)) == (["A note."], ["Footnotes"])
    assert parsed.text == "Text.\nA note."


def test_macros_are_left_out_with_a_warning() -> None:
    kinds = (
        (
            make_docx(),
            "openxmlformats-officedocument.wordprocessingml.document.main",
            "ms-word.document.macroEnabled.main",
            "word",
        ),
        (make_xlsx(), "openxmlformats-officedocument.spreadsheetml.sheet.main", "ms-excel.sheet.macroEnabled.main", "xl"),
        (
            make_pptx(),
            "openxmlformats-officedocument.presentationml.presentation.main",
            "ms-powerpoint.presentation.macroEnabled.main",
            "ppt",
        ),
    )
    for content, plain, with_macros, folder in kinds:
        types = part_of(content, "[Content_Types].xml").decode()
        assert plain in types
        changed = rewrite_zip(
            content, {"[Content_Types].xml": types.replace(plain, with_macros), f"{folder}/vbaProject.bin": b"x"}
        )
        parsed = read(changed)
        assert parsed.text == read(content).text
        assert any("macros" in warning for warning in parsed.warnings)


def test_pptx_reads_slides_as_pages_from_top_to_bottom_with_boxes_and_notes() -> None:
    parsed = read(make_pptx())
    assert (parsed.num_pages, parsed.title) == (2, "Plan")
    assert [(line.page, line.label, text) for line, text in zip(parsed.lines, located(parsed), strict=True)] == [
        (1, "Plan", "Plan"),
        (1, "Plan", "Point A"),
        (1, "Plan", "Point B"),
        (1, "Notes: Plan", "Say hello"),
        (2, "Slide 2", "A box"),
        (2, "Slide 2", "left\tright"),
    ]
    box = parsed.lines[4].box
    assert box == pytest.approx((0.1, 1 / 7.5, 0.5, 1.75 / 7.5), abs=1e-4)


def test_pptx_reads_groups() -> None:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    group.shapes.add_group_shape().shapes.add_textbox(0, 0, 100, 100).text_frame.text = "deep"
    content = io.BytesIO()
    presentation.save(content)
    assert read(content.getvalue()).text == "deep"


def test_xlsx_labels_rows_and_reads_values() -> None:
    parsed = read(make_xlsx())
    assert list(zip(labels(parsed), located(parsed), strict=True)) == [
        ("Sales, row 1", "Item\tPrice\tWhen"),
        ("Sales, row 2", "Apple\t1.5\t2026-05-01"),
        ("Sales, row 3", "Pear\t2"),
        ("Sales, row 5", "TRUE"),
        ("Secret, row 2", "\tx"),
    ]
    assert any("Secret is hidden" in warning for warning in parsed.warnings)
    assert any("without a stored value: 1" in warning for warning in parsed.warnings)


def test_xlsx_reads_the_stored_value_of_a_formula() -> None:
    sheet = part_of(make_xlsx(), "xl/worksheets/sheet1.xml").decode()
    formula = re.compile(r"<f>SUM\(B2:B3\)</f><v\s*(?:/>|></v>)")
    assert formula.search(sheet)
    computed = formula.sub("<f>SUM(B2:B3)</f><v>3.5</v>", sheet)
    parsed = read(rewrite_zip(make_xlsx(), {"xl/worksheets/sheet1.xml": computed}))
    assert "TRUE\t3.5" in parsed.text
    assert not any("stored value" in warning for warning in parsed.warnings)


def test_xlsx_is_read_beyond_the_size_that_it_declares() -> None:
    sheet = part_of(make_xlsx(), "xl/worksheets/sheet1.xml").decode()
    changed, num_changes = re.subn(r'<dimension ref="[^"]+"', '<dimension ref="A1"', sheet)
    assert num_changes == 1
    assert read(rewrite_zip(make_xlsx(), {"xl/worksheets/sheet1.xml": changed})).text == read(make_xlsx()).text


def test_cells_with_newlines_stay_on_one_line() -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["a\nb", "c"])
    content = io.BytesIO()
    workbook.save(content)
    assert read(content.getvalue()).text == "a b\tc"


def test_a_package_without_its_main_part_is_refused() -> None:
    for content, part in (
        (make_docx(), "word/document.xml"),
        (make_pptx(), "ppt/presentation.xml"),
        (make_xlsx(), "xl/workbook.xml"),
    ):
        with pytest.raises(DocumentError, match=r"damaged|valid XML"):
            read(rewrite_zip(content, {part: "<not"}))
