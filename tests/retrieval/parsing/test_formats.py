"""What a file is: its first bytes decide, and the name among text formats only."""

from __future__ import annotations

import pytest

from tests.retrieval.parsing.samples import make_docx, make_epub, make_pdf, make_pptx, make_xlsx, read, zip_of
from yearling.retrieval.parsing.formats import detect_format
from yearling.retrieval.parsing.text_builder import DocumentError

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x", "x.txt", "x.html", "x.png", "x.exe", "x.csv"])
def test_the_name_does_not_decide_over_the_first_bytes(name: str) -> None:
    assert read(make_pdf([[(20, 20, "Text")]]), name).media_type == "application/pdf"
    kinds = (
        (make_docx(), "word"),
        (make_pptx(), "presentation"),
        (make_xlsx(), "spreadsheet"),
        (make_epub({"a": "<p>x"}), "epub"),
    )
    for content, kind in kinds:
        assert kind in read(content, name).media_type


@pytest.mark.parametrize(
    ("content", "name", "media_type", "expected"),
    [
        (b"# Text", "a.md", "", "text/markdown"),
        (b"# Text", "a", "text/markdown; charset=utf-8", "text/markdown"),
        (b"# Text", "a.txt", "text/html", "text/plain"),
        (b"a,b", "A.CSV", "", "text/csv"),
        (b"<!doctype html><p>x", "a", "", "text/html"),
        (b"\xef\xbb\xbf <!-- c --><HTML>x", "a", "", "text/html"),
        ("<html>x".encode("utf-16"), "a", "", "text/html"),
        (b"<html>x", "a.txt", "", "text/plain"),
        (b"WEBVTT\n", "a.bin", "", "text/vtt"),
        (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nx", "a", "", "application/x-subrip"),
        (b"<?xml version='1.0'?><a/>", "a", "", "application/xml"),
        (b"words", "a.unknown", "", "text/plain"),
    ],
)
def test_text_formats(content: bytes, name: str, media_type: str, expected: str) -> None:
    assert detect_format(content, name, media_type)[0] == expected


@pytest.mark.parametrize(
    ("content", "message", "advice"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image", "For a scanned page"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "image", "For a scanned page"),
        (b"GIF89a" + bytes(50), "image", "For a scanned page"),
        (b"RIFF\1\1\1\1WEBPVP8 ", "image", "For a scanned page"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "image", "For a scanned page"),
        (
            b'<?xml version="1.0"?>\n<!-- x --><svg xmlns="http://www.w3.org/2000/svg"><text>a</text></svg>',
            "image",
            "For a scanned page",
        ),
        (OLE + "WordDocument\0".encode("utf-16-le"), "old format of Word", "save it as DOCX"),
        (OLE + "Workbook\0".encode("utf-16-le"), "old format of Excel", "save it as XLSX"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), "old format of PowerPoint", "save it as PPTX"),
        (OLE, "old format of Microsoft Office", "save it as DOCX"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted with a password", "without a password"),
        (b"\x1f\x8b\x08" + bytes(20), "archive", "Unpack it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(20), "archive", "Unpack it"),
        (b"Rar!\x1a\x07\x00", "archive", "Unpack it"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "archive", "Unpack it"),
        (zip_of({"a.txt": "x"}), "archive", "Unpack it"),
        (zip_of({"mimetype": "application/vnd.oasis.opendocument.text"}), "OpenDocument", "save it as DOCX"),
        (zip_of({"[Content_Types].xml": "application/vnd.ms-excel.sheet.binary.macroEnabled.main"}), "binary Excel", "XLSX"),
        (b"\x7fELF\2\1\1" + bytes(50), "program", "source code"),
        (b"MZ\x90\0\3" + bytes(100), "program", "source code"),
        (b"\0asm\1\0\0\0", "program", "source code"),
        (b"{\\rtf1 text}", "Rich Text", "save it as DOCX"),
        (b"%!PS-Adobe-3.0", "PostScript", "Convert it to PDF"),
        (b"ID3\4" + bytes(20), "recording", "transcript"),
        (b"\0\0\0\x20ftypisom" + bytes(20), "recording", "transcript"),
        (b"SQLite format 3\0", "database", "CSV"),
        (b"OTTO\0\x0b" + bytes(20), "font", "document"),
        (b"", "empty", "content"),
    ],
)
@pytest.mark.parametrize("name", ["a", "a.pdf", "a.txt"])
def test_what_is_no_document_says_what_to_do(content: bytes, message: str, advice: str, name: str) -> None:
    with pytest.raises(DocumentError, match=message) as caught:
        read(content, name)
    assert advice in caught.value.advice


def test_text_with_the_name_of_another_format_is_read_with_a_warning() -> None:
    parsed = read(b"Plain words.", "report.docx")
    assert parsed.text == "Plain words."
    assert any(".docx" in warning for warning in parsed.warnings)
