"""PDF: text in reading order, the page and box of each line, and words that a hyphen divides."""

from __future__ import annotations

import pytest
from fpdf import FPDF
from fpdf.enums import AccessPermission, EncryptionMethod

from tests.retrieval.parsing.samples import located, make_chinese_pdf, make_pdf, raw_pdf, read
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText

A4_MM = (210.0, 297.0)


def line_of(parsed: ParsedText, text: str) -> tuple[int | None, tuple[float, float, float, float]]:
    """The page and box of the only line with exactly this text."""
    [line] = [line for line in parsed.lines if parsed.text[line.start : line.end] == text]
    assert line.box is not None
    return line.page, line.box


def test_every_line_has_its_page_and_box() -> None:
    parsed = read(make_pdf([[(20, 30, "First page")], [(100, 200, "Zebra crossing")]], title="The title"))
    assert (parsed.text, parsed.title, parsed.num_pages) == ("First page\nZebra crossing", "The title", 2)
    page, (left, top, right, bottom) = line_of(parsed, "Zebra crossing")
    assert page == 2
    assert left == pytest.approx(100 / A4_MM[0], abs=0.005)
    # The baseline of the text, 200 mm below the upper edge, lies within the box, near its lower edge.
    assert top < 200 / A4_MM[1] < bottom
    assert bottom - 200 / A4_MM[1] < 200 / A4_MM[1] - top
    pdf = FPDF()
    pdf.set_font("helvetica", size=10)
    assert right - left == pytest.approx(pdf.get_string_width("Zebra crossing") / A4_MM[0], abs=0.005)
    assert bottom - top == pytest.approx(10 / 72 * 25.4 / A4_MM[1], rel=0.5)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_are_those_of_the_page_as_it_is_displayed(rotation: int) -> None:
    """The word stands at the upper left of the page before it is rotated clockwise."""
    content = b"BT /F1 20 Tf 40 540 Td (Corner) Tj ET"
    parsed = read(
        raw_pdf(
            [
                b"<</Type/Catalog/Pages 2 0 R>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 800 600]/CropBox[20 20 780 580]/Rotate %d/Contents 4 0 R"
                b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>" % rotation,
                b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
            ]
        )
    )
    _, (left, top, right, bottom) = line_of(parsed, "Corner")
    width, height = (760, 560) if rotation in (0, 180) else (560, 760)
    text_width = pytest.approx(20 * 3.1, rel=0.1)
    # Distances from the corner of the displayed page that was the upper left one.
    near = {0: (left, top), 90: (1 - right, top), 180: (1 - right, 1 - bottom), 270: (left, 1 - bottom)}[rotation]
    assert (near[0] * width, near[1] * height) == pytest.approx((20, 22) if rotation in (0, 180) else (22, 20), abs=7)
    assert ((right - left) * width if rotation in (0, 180) else (bottom - top) * height) == text_width


def test_chinese_lines_of_a_paragraph_are_joined_without_spaces() -> None:
    parsed = read(make_chinese_pdf("中文的第一行没有换\n行，第二行。\n第三行"))
    assert parsed.text == "中文的第一行没有换行，第二行。\n第三行"
    assert located(parsed) == ["中文的第一行没有换", "行，第二行。", "第三行"]


def test_paragraphs_are_joined_and_kept_apart() -> None:
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    pdf.add_page()
    first, second = ("alpha beta gamma delta epsilon " * 8).strip(), ("one two three four five six seven eight nine " * 6).strip()
    for text in (first, second):
        pdf.multi_cell(0, 5, text, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(4)
    parsed = read(bytes(pdf.output()))
    assert parsed.text == f"{first}\n{second}"
    assert len(parsed.lines) > 4


@pytest.mark.parametrize(
    ("elsewhere", "joined"),
    [
        ("", "information here"),
        ("The information is old.", "information here"),
        ("Read informa-tion twice.", "informa-tion here"),
    ],
)
def test_a_divided_word_is_joined_in_the_spelling_of_the_document(elsewhere: str, joined: str) -> None:
    parsed = read(make_pdf([[(20, 30, "This is some informa-"), (20, 34, "tion here"), (20, 100, elsewhere)]]))
    assert parsed.text.split("\n")[0] == f"This is some {joined}"
    assert located(parsed)[1] == "tion here"


def test_a_hyphen_before_a_capital_or_a_number_stays() -> None:
    parsed = read(make_pdf([[(20, 30, "It is about Saxe-"), (20, 34, "Coburg and 19-"), (20, 38, "20 things")]]))
    assert "Saxe-" in parsed.text
    assert "19-" in parsed.text


def test_columns_are_read_one_after_the_other() -> None:
    left = [f"left line {i} has some words in it" for i in range(10)]
    right = [f"right line {i} has some more words" for i in range(10)]
    texts = [(60.0, 15.0, "A title over both of the columns of this page")]
    for i in range(10):
        texts += [(15, 30 + 5 * i, left[i]), (110, 30 + 5 * i, right[i])]
    texts.append((15, 280, "footer"))
    lines = located(read(make_pdf([texts])))
    assert lines == [texts[0][2], *left, *right, "footer"]


def test_rows_of_a_table_stay_together() -> None:
    cells = [("Name", "Amount", "Price"), ("Apple", "3", "1.20"), ("Pear", "5", "2.00"), ("Plum", "7", "0.50")]
    texts = [(20 + 50.0 * column, 30 + 6.0 * row, cells[row][column]) for column in range(3) for row in range(4)]
    assert read(make_pdf([texts])).text == "\n".join("\t".join(row) for row in cells)


def test_the_order_is_that_of_the_page_and_not_of_the_file() -> None:
    texts = [(20.0, 250.0, "Last words."), (20.0, 100.0, "Middle words."), (20.0, 20.0, "First words.")]
    assert read(make_pdf([texts])).text == "First words.\nMiddle words.\nLast words."


def test_pages_without_text_are_named() -> None:
    parsed = read(make_pdf([[(20, 20, "Text")], [], [(20, 20, "More")], []]))
    assert parsed.num_pages == 4
    assert [warning for warning in parsed.warnings if "2, 4" in warning and "OCR" in warning]


def test_a_scan_gives_no_text_and_says_what_to_do() -> None:
    parsed = read(make_pdf([[], []]))
    assert (parsed.text, parsed.num_pages) == ("", 2)
    assert [warning for warning in parsed.warnings if "scan" in warning and "ocrmypdf" in warning]


def test_an_encrypted_pdf_is_refused_and_an_owner_password_is_not_needed() -> None:
    for password, is_readable in (("secret", False), ("", True)):
        pdf = FPDF()
        pdf.set_font("helvetica", size=10)
        pdf.set_encryption("owner", password, EncryptionMethod.RC4, AccessPermission.none())
        pdf.add_page()
        pdf.text(20, 20, "Hidden")
        content = bytes(pdf.output())
        if is_readable:
            assert read(content).text == "Hidden"
        else:
            with pytest.raises(DocumentError, match="encrypted") as caught:
                read(content)
            assert "password" in caught.value.advice


def test_a_damaged_pdf_is_refused() -> None:
    with pytest.raises(DocumentError, match="damaged"):
        read(b"%PDF-1.7\ngarbage")


def test_rotated_text_stays_on_one_line() -> None:
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.text(60, 60, "Upright text")
    with pdf.rotation(90, 20, 150):
        pdf.text(20, 150, "Label in the margin")
    assert sorted(located(read(bytes(pdf.output())))) == ["Label in the margin", "Upright text"]
