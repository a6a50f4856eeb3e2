"""HTML: the main text of the page through trafilatura, with its title and headings. Scripts, frames and forms are left out."""

from __future__ import annotations

import logging
from typing import Any

import trafilatura
from lxml import etree

from yearling.retrieval.parsing.encodings import decode
from yearling.retrieval.parsing.formats import HTML
from yearling.retrieval.parsing.readers.markup import DEEP_WARNING, iterate_blocks, parse_html
from yearling.retrieval.parsing.text_builder import ParsedText, TextBuilder

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


def read_html(content: bytes) -> ParsedText:
    """A page without a recognisable main text gives all of its text, and a warning says so. Raises DocumentError."""
    text, warnings = decode(content, has_declaration=True)
    builder = TextBuilder(HTML, warnings=warnings)
    tree = parse_html(text)
    if tree.is_cut:
        builder.warn(DEEP_WARNING)
    title = tree.root.findtext(".//title")
    builder.title = title or ""
    if not tree.is_deep:
        _mark_lines(tree.root)
        document: Any = trafilatura.bare_extraction(
            tree.root,
            include_comments=False,
            include_tables=True,
            include_formatting=False,
            include_links=False,
            with_metadata=False,
        )
        body = getattr(document, "body", None)
        if body is not None:
            _add_blocks(builder, body)
    if builder.is_empty:
        _add_blocks(builder, parse_html(text).root)
        if not builder.is_empty:
            builder.warn("The page has no recognisable main text; all of its text was taken.")
    return builder.finish()


def _mark_lines(root: Any) -> None:
    """Write the newlines of preformatted text as breaks: trafilatura turns its element into one of running text."""
    for element in root.iter("pre"):
        first, *others = element.text_content().split("\n")
        tail = element.tail
        element.clear()
        element.text, element.tail = first, tail
        for line in others:
            etree.SubElement(element, "br").tail = line


def _add_blocks(builder: TextBuilder, root: Any) -> None:
    heading = ""
    for block in iterate_blocks(root):
        if block.is_heading:
            heading = block.text
            if block.is_first_level and not builder.title:
                builder.title = heading
        builder.add(block.text, label=heading)
