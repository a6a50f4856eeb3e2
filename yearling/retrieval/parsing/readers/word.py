"""DOCX, through python-docx: paragraphs, lists, tables and notes, each under its heading. Macros are left out.

python-docx gives the runs and links of a paragraph. The text of content controls and of insertions that are tracked stands
elsewhere, so it is collected from the elements; deletions that are tracked are left out, as the reader of the document sees it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from docx.opc.part import PartFactory
from docx.package import Package as WordPackage
from docx.parts.document import DocumentPart

from yearling.retrieval.parsing.readers.packages import DOCX, Package, parse_xml
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText, TextBuilder, clean, one_line

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_TEXT_BOX = f"{_W}txbxContent"
_MAX_NESTING = 20
"""Tables within tables."""
_OTHER_MAIN_TYPES = (
    "application/vnd.ms-word.document.macroEnabled.main+xml",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
)
_NOTES = {"footnotes": "Footnotes", "endnotes": "Endnotes", "comments": "Comments"}
_DAMAGED = ("The Word document is damaged.", "Open it in Word or LibreOffice, save it again as DOCX, and add that file.")


def read_docx(package: Package) -> ParsedText:
    """Raises DocumentError."""
    for content_type in _OTHER_MAIN_TYPES:
        PartFactory.part_type_for[content_type] = DocumentPart
    try:
        part = WordPackage.open(io.BytesIO(package.content)).main_document_part
        document = part.document
        styles = _heading_styles(document)
        body = document.element.body
        title = document.core_properties.title
    except (KeyError, ValueError, AttributeError, TypeError, SyntaxError):
        raise DocumentError(*_DAMAGED) from None
    if body is None:
        raise DocumentError(*_DAMAGED)
    builder = TextBuilder(DOCX)
    builder.title = title or ""
    if any(name.lower().endswith("vbaproject.bin") for name in package.names):
        builder.warn("The document holds macros; they were left out and never run.")
    _Reader(builder, styles).add_blocks(body, 0)
    _add_notes(builder, part)
    return builder.finish()


def _heading_styles(document: Any) -> dict[str, int]:
    """Level of the heading by the id of its style; 0 is the title."""
    levels: dict[str, int] = {}
    for style in document.styles.element.findall(f"{_W}style"):
        identifier, name = style.get(f"{_W}styleId", ""), style.find(f"{_W}name")
        value = (name.get(f"{_W}val", "") if name is not None else "").lower()
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        if value == "title":
            levels[identifier] = 0
        elif value.startswith("heading ") and value[8:].isdecimal():
            levels[identifier] = int(value[8:])
        elif outline is not None and outline.get(f"{_W}val", "9").isdecimal() and int(outline.get(f"{_W}val", "9")) < 9:
            levels[identifier] = int(outline.get(f"{_W}val")) + 1
    return levels


class _Reader:
    """Adds the blocks of a body, and keeps the heading that they stand under."""

    def __init__(self, builder: TextBuilder, heading_levels: dict[str, int], label: str = "") -> None:
        self._builder = builder
        self._heading_levels = heading_levels
        self._label = label

    def add_blocks(self, container: Any, depth: int) -> None:
        """Paragraphs and tables of a body, a cell or a content control, in order."""
        if depth > _MAX_NESTING:
            self._builder.warn("Tables that are nested too deeply were left out.")
            return
        for element in container:
            if element.tag == f"{_W}p":
                self._add_paragraph(element)
            elif element.tag == f"{_W}tbl":
                self._add_table(element, depth)
            elif element.tag == f"{_W}sdt":
                content = element.find(f"{_W}sdtContent")
                if content is not None:
                    self.add_blocks(content, depth + 1)
            elif element.tag in (f"{_W}ins", f"{_W}moveTo", f"{_W}customXml", f"{_W}smartTag"):
                self.add_blocks(element, depth + 1)

    def _add_paragraph(self, paragraph: Any) -> None:
        properties = paragraph.find(f"{_W}pPr")
        text = one_line(_text_of(paragraph))
        style = properties.find(f"{_W}pStyle") if properties is not None else None
        level = self._heading_levels.get(style.get(f"{_W}val", "")) if style is not None else None
        is_list = properties is not None and properties.find(f"{_W}numPr") is not None
        is_list = is_list or (style is not None and style.get(f"{_W}val", "").startswith("List"))
        if level is not None and text:
            self._label = text
            if level <= 1 and not self._builder.title:
                self._builder.title = text
        elif is_list and text:
            text = f"- {text}"
        self._builder.add(text, label=self._label)
        for box in _text_boxes(paragraph):
            for inner in box.iter(f"{_W}p"):
                self._builder.add_block(_text_of(inner), label=self._label)

    def _add_table(self, table: Any, depth: int) -> None:
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl"), None) is not table:
                continue  # of a table inside a cell, whose text is in this one's row
            cells = [cell for cell in row.iter(f"{_W}tc") if next(cell.iterancestors(f"{_W}tr"), None) is row]
            texts = [one_line(" ".join(_text_of(p) for p in cell.iter(f"{_W}p"))) for cell in cells]
            self._builder.add(clean("\t".join(texts)).rstrip("\t"), label=self._label)


def _add_notes(builder: TextBuilder, part: Any) -> None:
    for relationship in part.rels.values():
        kind = relationship.reltype.rpartition("/")[2]
        if relationship.is_external or kind not in _NOTES:
            continue
        root = parse_xml(relationship.target_part.blob)
        for note in root:
            if note.get(f"{_W}type") is None:  # the others are separators
                for paragraph in note.iter(f"{_W}p"):
                    builder.add_block(_text_of(paragraph), label=_NOTES[kind])


def _text_of(paragraph: Any) -> str:
    """The text that a reader sees, without that of text boxes, which stand beside the paragraph."""
    parts: list[str] = []
    for element in _visible(paragraph):
        tag = element.tag
        if tag == f"{_W}t" or (isinstance(tag, str) and tag.endswith("/math}t")):
            parts.append(element.text or "")
        elif tag in (f"{_W}tab", f"{_W}br", f"{_W}cr"):
            parts.append(" ")
        elif tag == f"{_W}noBreakHyphen":
            parts.append("-")
    return "".join(parts)


def _visible(root: Any) -> Iterator[Any]:
    """The elements below `root` in order, without text boxes, deletions and second versions of drawings. Without recursion."""
    pending = [iter(root)]
    while pending:
        element = next(pending[-1], None)
        if element is None:
            pending.pop()
        elif element.tag not in (_TEXT_BOX, _FALLBACK, f"{_W}del", f"{_W}moveFrom", f"{_W}pPr", f"{_W}rPr"):
            yield element
            pending.append(iter(element))


def _text_boxes(paragraph: Any) -> Iterator[Any]:
    for box in paragraph.iter(_TEXT_BOX):
        if next(box.iterancestors(_FALLBACK), None) is None and next(box.iterancestors(_TEXT_BOX), None) is None:
            yield box
