"""Properties of every text: it is normal, its places are its lines, and no bytes make a reader raise what it does not declare."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.retrieval.parsing.samples import make_chinese_pdf, make_docx, make_epub, make_pdf, make_pptx, make_xlsx, read
from yearling.errors import BadInput
from yearling.retrieval.parsing.document_parser import parse_document
from yearling.retrieval.parsing.text_builder import DocumentError, TextBuilder, clean, one_line
from yearling.store import CanonicalText, Location

pytestmark = pytest.mark.slow

TEXT = st.text(st.one_of(st.sampled_from("a é\r\n\t中\u0301\u0316\x0b\u2028\u202e,;\"'#-=>[<&1:.|`\0\ufeff"), st.characters()))
ENDINGS = ("md", "txt", "csv", "tsv", "srt", "vtt", "json", "py", "xml")
CODECS = ("utf-8", "utf-16", "gb18030")
SAMPLES = (
    make_pdf([[(20, 30, "One line"), (20, 40, "Two lines")]]),
    make_chinese_pdf("中文的第一行\n第二行"),
    make_docx(),
    make_pptx(),
    make_xlsx(),
    make_epub({"a.xhtml": "<h1>A</h1><p>Text</p>"}),
    b"<!DOCTYPE html><html><body><p>Some words<table><tr><td>1<td>2</table>",
    b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>Hi\n",
)
CHANGES = st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(max_size=6), st.integers(0, 20)), min_size=1, max_size=8)


@given(text=TEXT, ending=st.sampled_from(ENDINGS), codec=st.sampled_from(CODECS))
@settings(max_examples=300)
def test_text_formats_give_normal_texts_with_places_that_hold(text: str, ending: str, codec: str) -> None:
    content = text.encode(codec, "replace")
    try:
        parsed = read(content, f"a.{ending}")
    except DocumentError:
        return  # random bytes are seldom text; what the error says is tested elsewhere
    locations = tuple(
        Location(start=line.start, end=line.end, t0_s=line.t0_s, t1_s=line.t1_s, label=line.label) for line in parsed.lines
    )
    CanonicalText(text=parsed.text, media_type=parsed.media_type, locations=locations)
    assert clean(parsed.text) == parsed.text
    if ending in ("csv", "tsv", "srt", "vtt"):
        lines = parsed.text.split("\n") if parsed.text else []
        located = [parsed.text[line.start : line.end] for line in parsed.lines]
        assert located == lines if ending in ("csv", "tsv") else set(located) <= set(lines)


@given(st.lists(st.tuples(TEXT, st.sampled_from(["\n", " ", ""])), max_size=6))
def test_lines_that_are_joined_in_any_way_stay_where_they_are(parts: list[tuple[str, str]]) -> None:
    builder = TextBuilder("text/plain")
    lines = [(one_line(text), separator) for text, separator in parts]
    for text, separator in lines:
        builder.add(text, separator=separator, label="x")
    parsed = builder.finish()
    assert unicodedata.is_normalized("NFC", parsed.text)
    assert [parsed.text[line.start : line.end] for line in parsed.lines] == [text for text, _ in lines if text]


@given(text=TEXT)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def advice_for(content: bytes, name: str) -> str:
    """What the error says, or that there is none. In a child process, since a library in C may crash."""
    try:
        parse_document(content, name=name)
    except BadInput as error:
        return error.advice
    return "readable"


@given(
    start=st.sampled_from([b"", b"%PDF-1.7\n", b"PK\x03\x04", b"WEBVTT\n", b"<html>", b"{", b"\xff\xfe"]),
    content=st.binary(max_size=400),
    ending=st.sampled_from([*ENDINGS, "pdf", "html", ""]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_give_a_text_or_an_error_with_advice(start: bytes, content: bytes, ending: str) -> None:
    assert advice_for(start + content, f"a.{ending}")


@given(sample=st.sampled_from(SAMPLES), changes=CHANGES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_changed_documents_give_a_text_or_an_error_with_advice(sample: bytes, changes: list[tuple[int, bytes, int]]) -> None:
    content = bytearray(sample)
    for place, added, num_removed in changes:
        start = place % (len(content) + 1)
        content[start : start + num_removed] = added
    assert advice_for(bytes(content), "a")
