"""Documents that attack their reader: bombs, references outwards, broken structures, and what only looks like a document."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.retrieval.parsing.samples import (
    make_docx,
    make_epub,
    make_pdf,
    make_pptx,
    make_xlsx,
    part_of,
    raw_pdf,
    rewrite_zip,
    zip_of,
)

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
ENTITY_BOMB = '<!DOCTYPE x [<!ENTITY a0 "lol">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)) + "]>"
CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
FONT = b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>"
SENTENCE = "This sentence is long enough to be taken for a part of the main text of the page, and nobody doubts it. "


@dataclass(frozen=True)
class HostileDocument:
    """A document, and what its reader must say: an error with these words, or a text with these words."""

    name: str
    make: Callable[[str], bytes]
    """The content; the argument is the address of a server that must never be reached."""
    file_name: str
    error: str = ""
    text: str = ""


DOCUMENTS: list[HostileDocument] = []


def hostile(file_name: str, *, error: str = "", text: str = "") -> Callable[[Callable[[str], bytes]], Callable[[str], bytes]]:
    """Adds the document that the function makes."""

    def add(make: Callable[[str], bytes]) -> Callable[[str], bytes]:
        DOCUMENTS.append(HostileDocument(make.__name__, make, file_name, error, text))
        return make

    return add


def _stream(content: bytes, extra: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), extra, content)


def _page(extra: bytes = b"", box: bytes = b"0 0 595 842") -> bytes:
    return b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R%s%s>>" % (box, FONT, extra)


def _pdf_saying(text: bytes, *, page: bytes | None = None, catalogue: bytes = CATALOGUE, more: tuple[bytes, ...] = ()) -> bytes:
    content = _stream(b"BT /F1 12 Tf 50 700 Td (%s) Tj ET" % text)
    return raw_pdf([catalogue, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page or _page(), content, *more])


@functools.cache
def _zeros(num_bytes: int) -> bytes:
    """So many zero bytes, compressed as a part of a ZIP archive."""
    return zip_of({"zeros": bytes(num_bytes)})


def _zip_declaring(name: str, declared_bytes: int) -> bytes:
    """A ZIP whose part declares more bytes than it holds."""
    content = zlib.compress(bytes(1000), 9)[2:-4]
    header = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, 0, len(content), declared_bytes, len(name), 0)
    local = header + name.encode() + content
    central = struct.pack(
        "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 0, 0, len(content), declared_bytes, len(name), 0, 0, 0, 0, 0, 0
    )
    central += name.encode()
    return local + central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(central), len(local), 0)


@hostile("bomb.docx", error="unpacks to more than")
def docx_zip_bomb(_: str) -> bytes:
    return rewrite_zip(make_docx(), {"word/media/a.bin": bytes(600 << 20)})


@hostile("bomb.docx", error="unpacks to more than")
def docx_with_one_large_xml(_: str) -> bytes:
    return rewrite_zip(make_docx(), {"word/document.xml": b"<a>" + b" " * (200 << 20) + b"</a>"})


@hostile("bomb.xlsx", error="unpacks to more than")
def xlsx_zip_bomb(_: str) -> bytes:
    return rewrite_zip(make_xlsx(), {"xl/worksheets/sheet1.xml": b" " * (600 << 20)})


@hostile("bomb.epub", error="unpacks to more than")
def epub_zip_bomb(_: str) -> bytes:
    return make_epub({"a.xhtml": "<p>x</p>"}, extra={"OEBPS/image.png": bytes(600 << 20)})


@hostile("many.docx", error="unpacks to more than")
def docx_with_many_parts(_: str) -> bytes:
    return rewrite_zip(make_docx(), {f"a/{i}": "" for i in range(30_000)})


@hostile("nested.zip", error="archive")
def zip_in_zips(_: str) -> bytes:
    content = _zeros(1 << 20)
    for _i in range(30):
        content = zip_of({"next.zip": content})
    return content


@hostile("declared.docx", error="damaged")
def zip_that_declares_more_than_it_holds(_: str) -> bytes:
    return _zip_declaring("[Content_Types].xml", 100 << 20)


@hostile("bomb.docx", error="XML entities")
def docx_with_an_entity_bomb(_: str) -> bytes:
    body = f'{ENTITY_BOMB}<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>&a11;</w:t></w:r></w:p></w:body></w:document>'
    return rewrite_zip(make_docx(), {"word/document.xml": body})


@hostile("bomb.docx", error="XML entities")
def docx_with_an_entity_bomb_in_utf_16(_: str) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-16"?>{ENTITY_BOMB}<w:document xmlns:w="{WORD}"><w:body>&a11;</w:body></w:document>'
    return rewrite_zip(make_docx(), {"word/document.xml": body.encode("utf-16")})


@hostile("external.docx", error="XML entities")
def docx_with_external_entities(address: str) -> bytes:
    body = (
        f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY h SYSTEM "{address}/entity">]>'
        f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r><w:t>&f;&h;</w:t></w:r></w:p></w:body></w:document>'
    )
    return rewrite_zip(make_docx(), {"word/document.xml": body})


@hostile("bomb.xlsx", error="XML entities")
def xlsx_with_an_entity_bomb(_: str) -> bytes:
    strings = f'{ENTITY_BOMB}<sst xmlns="{SHEET}"><si><t>&a11;</t></si></sst>'
    return rewrite_zip(make_xlsx(), {"xl/sharedStrings.xml": strings})


@hostile("external.epub", text="chapter text")
def epub_with_external_entities(address: str) -> bytes:
    package = (
        f'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY h SYSTEM "{address}/entity">]>'
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>&f;&h;'
        '</dc:title></metadata><manifest><item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine>'
        '<itemref idref="a"/></spine></package>'
    )
    body = '<!DOCTYPE html [<!ENTITY f SYSTEM "file:///etc/passwd">]><html><body><p>chapter text &f;</p></body></html>'
    return make_epub({"a.xhtml": ""}, extra={"OEBPS/book.opf": package, "OEBPS/a.xhtml": body})


@hostile("external.xml", text="<a>&f;</a>")
def xml_with_external_entities(address: str) -> bytes:
    declaration = f'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY h SYSTEM "{address}">]>'
    return f'<?xml version="1.0"?>{declaration}<a>&f;</a>'.encode()


@hostile("tree.pdf", text="")
def pdf_with_a_deep_page_tree(_: str) -> bytes:
    depth = 5_000
    nodes = [b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (i + 3, i + 1) for i in range(depth)]
    return raw_pdf([CATALOGUE, *nodes, b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 9 9]>>" % (depth + 1)])


@hostile("loop.pdf", error="damaged")
def pdf_whose_page_tree_is_a_circle(_: str) -> bytes:
    return raw_pdf([CATALOGUE, b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2000000000>>"])


@hostile("arrays.pdf", text="visible words")
def pdf_with_deep_arrays(_: str) -> bytes:
    return _pdf_saying(b"visible words", more=(b"[" * 100_000 + b"]" * 100_000,))


@hostile("content.pdf", text="")
def pdf_with_deep_arrays_in_its_content(_: str) -> bytes:
    return raw_pdf([CATALOGUE, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", _page(), _stream(b"[" * 500_000 + b"q " * 500_000)])


@hostile("huge.pdf", text="visible words")
def pdf_with_a_huge_page(_: str) -> bytes:
    return _pdf_saying(b"visible words", page=_page(box=b"-1e30 -1e30 1e30 1e30"))


@hostile("script.pdf", text="visible words")
def pdf_with_scripts_and_actions(address: str) -> bytes:
    script = b"<</S/JavaScript/JS(app.launchURL('%s/js'))>>" % address.encode()
    catalogue = b"<</Type/Catalog/Pages 2 0 R/OpenAction 5 0 R/AA<</WC 5 0 R>>/Names<</JavaScript<</Names[(a) 5 0 R]>>>>>>"
    link = b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 99 99]/A<</S/URI/URI(%s/uri)>>>>]" % address.encode()
    return _pdf_saying(b"visible words", page=_page(link), catalogue=catalogue, more=(script,))


@hostile("embedded.pdf", text="visible words")
def pdf_with_embedded_files(_: str) -> bytes:
    catalogue = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(../../evil.sh) 5 0 R]>>>>>>"
    file = b"<</Type/Filespec/F(../../evil.sh)/EF<</F 6 0 R>>>>"
    return _pdf_saying(b"visible words", catalogue=catalogue, more=(file, _stream(b"#!/bin/sh\ntouch /tmp/evil")))


@hostile("bomb.pdf", error="MiB of memory")
def pdf_with_a_flate_bomb(_: str) -> bytes:
    bomb = zlib.compress(zlib.compress(b" " * (700 << 20), 9), 9)
    content = _stream(bomb, b"/Filter[/FlateDecode/FlateDecode]")
    return raw_pdf([CATALOGUE, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", _page(), content])


@hostile("forms.pdf", error="MiB of memory")
def pdf_whose_forms_draw_each_other(_: str) -> bytes:
    form = b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</A %d 0 R>>>>/Length 40>>stream\n" + b"/A Do " * 6
    forms = [form % (6 + i) + b"    \nendstream" for i in range(12)]
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</A 5 0 R>>>>>>"
    return raw_pdf([CATALOGUE, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, _stream(b"/A Do"), *forms, _stream(b"")])


@hostile("cut.pdf", error="damaged")
def pdf_that_is_cut_off(_: str) -> bytes:
    content = make_pdf([[(20, 20 + i, f"line {i}") for i in range(100)]] * 20)
    return content[: len(content) // 2]


@hostile("image.svg", error="image")
def svg_with_a_script(address: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg"><script href="{address}/x.js"/><text>hi</text></svg>'.encode()


@hostile("image.txt", error="image")
def svg_with_another_name(address: str) -> bytes:
    return f'<?xml version="1.0"?><!-- x --><svg onload="x()"><image href="{address}/x.png"/></svg>'.encode()


@hostile("deep.html", text="")
def html_10000_deep(_: str) -> bytes:
    return b"<html><body>" + b"<div>" * 10_000 + b"deepest words" + b"</div>" * 10_000


@hostile("tables.html", text="")
def html_with_nested_tables(_: str) -> bytes:
    return b"<table><tr><td>" * 3_000 + b"cell"


@hostile("page.html", text="main text of the page")
def html_with_scripts_frames_and_data(address: str) -> bytes:
    return (
        f'<html><head><base href="{address}/"><link rel="stylesheet" href="{address}/a.css">'
        f'<script src="{address}/a.js"></script>'
        f'<meta http-equiv="refresh" content="0;url={address}/go"></head><body><article><p>{SENTENCE * 3}</p>'
        f'<iframe src="{address}/frame">framewords</iframe><img src="{address}/a.png" onerror="alert(1)">'
        f'<object data="data:text/html,&lt;script&gt;alert(1)&lt;/script&gt;"></object><p>{SENTENCE}</p></article></body></html>'
    ).encode()


@hostile("attributes.html", text="words")
def html_with_many_attributes(_: str) -> bytes:
    return b"<p " + b" ".join(b'a%d="%d"' % (i, i) for i in range(5_000)) + b">words</p>"


@hostile("macro.docm", text="Revenue grew")
def docm_with_a_macro(_: str) -> bytes:
    types = part_of(make_docx(), "[Content_Types].xml").decode()
    types = types.replace("openxmlformats-officedocument.wordprocessingml.document.main", "ms-word.document.macroEnabled.main")
    return rewrite_zip(make_docx(), {"[Content_Types].xml": types, "word/vbaProject.bin": b"Shell"})


@hostile("template.docx", text="Revenue grew")
def docx_with_a_template_on_the_network(address: str) -> bytes:
    relationships = part_of(make_docx(), "word/_rels/document.xml.rels").decode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    added = "".join(
        f'<Relationship Id="rX{i}" Type="{kind}{name}" Target="{address}/{name}" TargetMode="External"/>'
        for i, name in enumerate(("attachedTemplate", "image", "oleObject", "footnotes"))
    )
    return rewrite_zip(
        make_docx(), {"word/_rels/document.xml.rels": relationships.replace("</Relationships>", f"{added}</Relationships>")}
    )


@hostile("tables.docx", text="")
def docx_with_nested_tables(_: str) -> bytes:
    body = "<w:tbl><w:tr><w:tc>" * 80 + "<w:p><w:r><w:t>deep</w:t></w:r></w:p>" + "</w:tc></w:tr></w:tbl>" * 80
    return rewrite_zip(make_docx(), {"word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'})


@hostile("deep.docx", error="valid XML|damaged|nested")
def docx_100000_deep(_: str) -> bytes:
    body = "<w:sdt>" * 100_000 + "</w:sdt>" * 100_000
    return rewrite_zip(make_docx(), {"word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'})


@hostile("traversal.docx", text="Revenue grew")
def docx_with_path_traversal(_: str) -> bytes:
    return rewrite_zip(make_docx(), {"../../../../tmp/evil.txt": "x", "/etc/evil": "x"})


@hostile("declared.xlsx", text="Apple")
def xlsx_that_declares_the_largest_sheet(_: str) -> bytes:
    sheet = part_of(make_xlsx(), "xl/worksheets/sheet1.xml").decode()
    start = sheet.index("<dimension")
    return rewrite_zip(
        make_xlsx(),
        {"xl/worksheets/sheet1.xml": f'{sheet[:start]}<dimension ref="A1:XFD1048576"/>{sheet[sheet.index(">", start) + 1 :]}'},
    )


@hostile("corner.xlsx", text="corner")
def xlsx_with_a_cell_in_the_last_corner(_: str) -> bytes:
    sheet = (
        f'<worksheet xmlns="{SHEET}"><dimension ref="A1:XFD1048576"/><sheetData><row r="1048576"><c r="XFD1048576" t="inlineStr">'
        "<is><t>corner</t></is></c></row></sheetData></worksheet>"
    )
    return rewrite_zip(make_xlsx(), {"xl/worksheets/sheet1.xml": sheet})


@hostile("wide.xlsx", error="cells")
def xlsx_with_many_wide_rows(_: str) -> bytes:
    rows = "".join(f'<row r="{i}"><c r="XFD{i}"><v>1</v></c></row>' for i in range(1, 5_000))
    sheet = f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>'
    return rewrite_zip(make_xlsx(), {"xl/worksheets/sheet1.xml": sheet})


@hostile("external.pptx", text="Point A")
def pptx_with_external_relations(address: str) -> bytes:
    relationships = part_of(make_pptx(), "ppt/slides/_rels/slide1.xml.rels").decode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    added = "".join(
        f'<Relationship Id="rX{i}" Type="{kind}{name}" Target="{address}/{name}" TargetMode="External"/>'
        for i, name in enumerate(("image", "video", "hyperlink", "oleObject"))
    )
    return rewrite_zip(
        make_pptx(), {"ppt/slides/_rels/slide1.xml.rels": relationships.replace("</Relationships>", f"{added}</Relationships>")}
    )


@hostile("line.csv", error="characters of text")
def csv_with_one_line_of_50_mb(_: str) -> bytes:
    return b"word," * 10_000_000


@hostile("quote.csv", text="never closed")
def csv_with_a_quote_that_never_closes(_: str) -> bytes:
    return b'a,"never closed\n' + b"x,y\n" * 200_000


@hostile("rows.csv", error="lines, rows or cues")
def csv_with_a_million_rows(_: str) -> bytes:
    return b"1,2\n" * 1_000_000


@hostile("nulls.txt", text="words between")
def text_with_null_bytes(_: str) -> bytes:
    return b"words between\0 zeros " * 1000


@hostile("zeros.txt", error="neither text")
def nothing_but_zeros(_: str) -> bytes:
    return bytes(1 << 20)


@hostile("broken.txt", text="valid words")
def broken_utf_8(_: str) -> bytes:
    return "valid words 有效 ".encode() * 100 + b"\xff\xc0\x80\xed\xa0\x80\xf8\x88\x80\x80\x80" + "的文字".encode() * 100


@hostile("utf16.txt", text="no mark")
def utf_16_without_a_mark(_: str) -> bytes:
    return "This text has no mark 没有标记.\r\n".encode("utf-16-le") * 100


@hostile("report.pdf", text="plain words")
def text_with_the_name_of_a_pdf(_: str) -> bytes:
    return b"only plain words"


@hostile("report.docx", error="program")
def program_with_the_name_of_a_docx(_: str) -> bytes:
    return b"MZ\x90\0\3\0\0\0" + bytes(200) + b"PE\0\0"


@hostile("traversal.epub", text="inside")
def epub_with_path_traversal(_: str) -> bytes:
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest>'
        '<item id="a" href="../../../../../etc/passwd" media-type="application/xhtml+xml"/>'
        '<item id="b" href="file:///etc/passwd" media-type="application/xhtml+xml"/>'
        '<item id="c" href="%2e%2e/%2e%2e/etc/passwd" media-type="application/xhtml+xml"/>'
        '<item id="d" href="/etc/passwd" media-type="application/xhtml+xml"/>'
        '<item id="e" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/>'
        '<itemref idref="c"/><itemref idref="d"/><itemref idref="e"/></spine></package>'
    )
    return make_epub({"a.xhtml": "<p>inside</p>"}, extra={"OEBPS/book.opf": package, "../../tmp/evil.txt": "x"})


@hostile("many.epub", error="chapters")
def epub_with_too_many_chapters(_: str) -> bytes:
    items = '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
    spine = '<itemref idref="a"/>' * 100_000
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest>{items}</manifest><spine>{spine}</spine></package>'
    )
    return make_epub({"a.xhtml": "<p>inside</p>"}, extra={"OEBPS/book.opf": package})


@hostile("old.txt", text="second\nthird")
def newlines_of_old_macs(_: str) -> bytes:
    return b"first\rsecond\rthird"


@hostile("bidi.txt", text="access = user // check")
def bidirectional_controls(_: str) -> bytes:
    return "access = \u202e\u2066user // check\u2069\u2066\u202c\u200f".encode()


@hostile("marks.txt", text="\u00e1\u0316")
def ten_megabytes_of_combining_marks(_: str) -> bytes:
    return ("a" + "\u0301\u0316" * 2_500_000).encode()


@hostile("times.vtt", text="text of a cue")
def vtt_with_wrong_times(_: str) -> bytes:
    return b"WEBVTT\n\n99:99:99.999 --> 00:00:00.000\ntext of a cue\n\n--> -->\nmore\n\n00:01 --> 00:02\n" + b"<c>" * 100_000


@hostile("arrows.srt", text="")
def srt_of_arrows(_: str) -> bytes:
    return b"00:00:01,000 --> 00:00:02,000 -->\n" * 100_000


@hostile("deep.json", text="[[[[")
def deep_json(_: str) -> bytes:
    return b"[" * 1_000_000


@hostile("fences.md", text="```")
def markdown_of_fences(_: str) -> bytes:
    return b"# a\n```\n===\n" * 200_000


@hostile("brackets.md", text="[[")
def markdown_of_brackets(_: str) -> bytes:
    return b"[" * 2_000_000 + b"#" * 2_000_000 + b" " * 2_000_000 + b"x"


@hostile("both.pdf", text="visible words")
def pdf_that_is_also_a_zip(_: str) -> bytes:
    return _pdf_saying(b"visible words") + zip_of({"a.txt": "hidden words"})


@hostile("old.doc", error="old format of Word")
def old_word(_: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "WordDocument\0".encode("utf-16-le")
