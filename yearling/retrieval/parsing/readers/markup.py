"""The blocks of a tree of HTML elements: paragraphs, headings, items and rows of tables, in order. Without recursion."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree, html

from yearling.retrieval.parsing.text_builder import one_line

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "head"})
"""`head` is that of trafilatura; the head of a page holds no block."""
_SKIPPED = frozenset(
    {"script", "style", "template", "noscript", "iframe", "object", "embed", "svg", "math", "canvas", "audio", "video", "select"}
    | {"button", "input", "textarea", "title", "link", "meta", "rp", "rt"}
)
_BLOCKS = HEADINGS | frozenset(
    {"p", "div", "li", "item", "tr", "row", "blockquote", "quote", "pre", "section", "article", "main", "header", "footer"}
    | {
        "aside",
        "nav",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "list",
        "table",
        "tbody",
        "thead",
        "tfoot",
        "figure",
        "figcaption",
        "caption",
    }
    | {"address", "details", "summary", "fieldset", "form", "hr", "body", "html", "center", "comments"}
)
_ROWS = frozenset({"tr", "row"})
_CELLS = frozenset({"td", "th", "cell"})
_BREAKS = frozenset({"br", "lb"})

DEEP_WARNING = "Elements are nested too deeply; a part of the text was left out."
_DOCTYPE = re.compile(r"<!DOCTYPE\b[^>\[]{0,2000}(?:\[[^\]]{0,100000}\]\s*)?>", re.I)


@dataclass(frozen=True, slots=True)
class MarkupBlock:
    """A block of text on one line."""

    text: str
    is_heading: bool
    is_first_level: bool


@dataclass(frozen=True, slots=True)
class MarkupTree:
    """A parsed page."""

    root: Any
    is_deep: bool
    """Whether elements are nested too deeply for readers that recurse."""
    is_cut: bool
    """Whether elements were left out, since they are nested even more deeply than libxml2 can read."""


def parse_html(text: str) -> MarkupTree:
    """The tree of a page. No entity is expanded and nothing is fetched."""
    # libxml2 takes the declarations inside a document type for text.
    content = _DOCTYPE.sub("", text.replace("\0", ""), count=1).encode("utf-8", "replace")
    root, is_deep = _parse(content, is_huge=False)
    if not is_deep:
        return MarkupTree(root, False, False)
    root, is_cut = _parse(content, is_huge=True)
    return MarkupTree(root, True, is_cut)


def _parse(content: bytes, *, is_huge: bool) -> tuple[Any, bool]:
    """(the root element, whether the parser stopped at elements that are nested too deeply)."""
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=is_huge)
    try:
        root = html.document_fromstring(content, parser=parser)
    except (etree.ParserError, ValueError):
        root = html.document_fromstring("<html><body></body></html>")
    return root, any("depth" in entry.message.lower() for entry in parser.error_log.filter_from_errors())


def iterate_blocks(root: Any) -> Iterator[MarkupBlock]:
    """The blocks that hold text. Lines of preformatted text and lines after a break are blocks of their own."""
    collected: list[str] = []
    heading: list[str] = []
    row_depth = 0
    preformatted_depth = 0

    def flush() -> Iterator[MarkupBlock]:
        text = _join_cells("".join(collected))
        collected.clear()
        if text:
            yield MarkupBlock(text, bool(heading), "h1" in heading)

    def add(text: str | None) -> Iterator[MarkupBlock]:
        if not text:
            return
        if preformatted_depth and not row_depth:
            first, *others = text.split("\n")
            collected.append(first.replace("\t", " "))
            for line in others:
                yield from flush()
                collected.append(line.replace("\t", " "))
        else:
            collected.append(text.replace("\t", " "))

    skipped: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            if skipped is not None:
                continue
            if tag in _SKIPPED or not tag:
                skipped = element
                continue
            if _is_block(element) and not row_depth:
                yield from flush()
            if tag in _ROWS:
                row_depth += 1
            elif tag in _CELLS:
                collected.append("\t" if row_depth == 1 else " ")
            elif tag in _BREAKS:
                if row_depth or heading:
                    collected.append(" ")
                else:
                    yield from flush()
            elif row_depth and _is_block(element):
                collected.append(" ")
            if tag in HEADINGS:
                heading.append(tag if tag != "head" else element.get("rend", ""))
            if _is_preformatted(element):
                preformatted_depth += 1
            yield from add(element.text)
            continue
        if skipped is not None:
            if element is skipped:
                skipped = None
                yield from add(element.tail)
            continue
        if tag in _ROWS:
            row_depth -= 1
        if _is_block(element) and not row_depth:
            yield from flush()
        if tag in HEADINGS and heading:
            heading.pop()
        if _is_preformatted(element):
            preformatted_depth -= 1
        yield from add(element.tail)
    yield from flush()


def _is_block(element: Any) -> bool:
    return element.tag in _BLOCKS or _is_preformatted(element)


def _is_preformatted(element: Any) -> bool:
    return element.tag == "pre" or (element.tag == "code" and "\n" in (element.text or ""))


def _join_cells(text: str) -> str:
    """One line; cells of a row stay divided by tabs."""
    if "\t" not in text:
        return one_line(text)
    return "\t".join(one_line(cell) for cell in text.split("\t")).strip("\t")
