"""HTML and EPUB: the text that a reader sees, under its headings and chapters."""

from __future__ import annotations

import pytest

from tests.retrieval.parsing.samples import labels, located, make_epub, read, rewrite_zip
from yearling.retrieval.parsing.readers.markup import iterate_blocks, parse_html
from yearling.retrieval.parsing.text_builder import DocumentError

pytestmark = pytest.mark.slow

SENTENCE = "This sentence is long enough to be taken for a part of the main text of the page, and nobody doubts it. "
PAGE = f"""<!DOCTYPE html><html><head><title>News &amp; notes</title>
<script>var evil = 1</script><style>p {{}}</style></head><body>
<nav><a href="/">Home</a> <a href="/about">About</a></nav>
<article><h1>The headline 标题</h1><p>{SENTENCE * 2}</p><h2>Details</h2><p>{SENTENCE}With <b>bold</b> words.</p>
<ul><li>first item of it</li><li>second item of it</li></ul>
<table><tr><th>Year</th><th>Sum</th></tr><tr><td>2025</td><td>7</td></tr></table><pre>a = 1\nb = 2</pre>
<iframe src="https://example.org/frame">frame text</iframe></article><footer>Imprint and cookies</footer></body></html>"""


def test_html_gives_the_main_text_under_its_headings() -> None:
    parsed = read(PAGE.encode(), "page.html")
    assert (parsed.title, parsed.warnings) == ("News & notes", [])
    assert list(zip(labels(parsed), located(parsed), strict=True)) == [
        ("The headline 标题", "The headline 标题"),
        ("The headline 标题", (SENTENCE * 2).strip()),
        ("Details", "Details"),
        ("Details", f"{SENTENCE}With bold words."),
        ("Details", "first item of it"),
        ("Details", "second item of it"),
        ("Details", "Year\tSum"),
        ("Details", "2025\t7"),
        ("Details", "a = 1"),
        ("Details", "b = 2"),
    ]


def test_html_without_a_main_text_gives_all_of_it() -> None:
    parsed = read(b"<html><body><div><span>Only</span> this</div><script>no()</script></body></html>", "page.html")
    assert parsed.text == "Only this"


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "shift_jis", "euc-kr", "windows-1251", "utf-16"])
def test_html_is_read_in_the_encoding_that_it_names(encoding: str) -> None:
    words = {
        "gb18030": "你好世界",
        "big5": "你好世界",
        "shift_jis": "こんにちは",
        "euc-kr": "안녕하세요",
        "windows-1251": "Привет",
    }
    word = words.get(encoding, "你好")
    page = f'<html><head><meta charset="{encoding}"></head><body><p>{SENTENCE} {word}</p></body></html>'
    assert word in read(page.encode(encoding), "page.html").text


def test_an_unknown_encoding_is_not_looked_up() -> None:
    page = b'<html><head><meta charset="unicode_escape"></head><body><p>\\u0041 plain words</p></body></html>'
    assert "\\u0041" in read(page, "page.html").text


def test_blocks_skip_what_is_not_shown_and_keep_rows() -> None:
    tree = parse_html("<p>a<script>x</script>b<br>c</p><table><tr><td><p>1</p><p>2</p></td><td>3</td></tr></table>tail")
    assert [block.text for block in iterate_blocks(tree.root)] == ["ab", "c", "1 2\t3", "tail"]


def test_deep_pages_keep_their_text_as_far_as_it_can_be_read() -> None:
    for depth, is_cut in ((600, False), (20_000, True)):
        parsed = read(b"<html><body>first words" + b"<font>" * depth + b"deep words", "page.html")
        assert ("deep words" in parsed.text) is not is_cut
        assert any("nested too deeply" in warning for warning in parsed.warnings) is is_cut


def test_epub_follows_the_spine_and_labels_chapters() -> None:
    book = make_epub(
        {
            "two.xhtml": "<p>Text of two<br/>second line</p>",
            "one one.xhtml": "<h1>Heading of one</h1><p>Text of one &amp; more</p>",
        },
        contents='<a href="two.xhtml#x">Chapter 二</a>',
        spine=["one one.xhtml", "two.xhtml"],
    )
    parsed = read(book)
    assert parsed.title == "The book 书"
    assert list(zip(labels(parsed), located(parsed), strict=True)) == [
        ("Heading of one", "Heading of one"),
        ("Heading of one", "Text of one & more"),
        ("Chapter 二", "Text of two"),
        ("Chapter 二", "second line"),
    ]


def test_epub_2_has_its_titles_in_the_ncx() -> None:
    book = make_epub({"a.xhtml": "<p>Text</p>"})
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata/><manifest><item id="a" href="a.xhtml" '
        'media-type="application/xhtml+xml"/><item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
        '<spine toc="n"><itemref idref="a"/></spine></package>'
    )
    ncx = (
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>From the NCX</text></navLabel>'
        '<content src="a.xhtml"/></navPoint></navMap></ncx>'
    )
    assert labels(read(rewrite_zip(book, {"OEBPS/book.opf": package, "OEBPS/toc.ncx": ncx}))) == ["From the NCX"]


def test_a_protected_book_is_refused_and_encrypted_fonts_are_not() -> None:
    form = (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:e="http://www.w3.org/2001/04/xmlenc#">'
        '<e:EncryptedData><e:CipherData><e:CipherReference URI="{}"/></e:CipherData></e:EncryptedData></encryption>'
    )
    book = make_epub({"a.xhtml": "<p>Text</p>"})
    with pytest.raises(DocumentError, match="DRM"):
        read(rewrite_zip(book, {"META-INF/encryption.xml": form.format("OEBPS/a.xhtml")}))
    assert read(rewrite_zip(book, {"META-INF/encryption.xml": form.format("OEBPS/font.otf")})).text == "Text"


def test_missing_chapters_are_counted() -> None:
    book = make_epub({"a.xhtml": "<p>Text</p>", "../../etc/passwd": "x"})
    parsed = read(book)
    assert parsed.text == "Text"
    assert any("missing in the file: 1" in warning for warning in parsed.warnings)
