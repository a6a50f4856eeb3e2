"""PPTX, through python-pptx: a slide is a page; texts from top to bottom with the boxes of their shapes, tables and notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pptx
from pptx.exc import PackageNotFoundError, PythonPptxError
from pptx.opc.constants import CONTENT_TYPE
from pptx.opc.package import PartFactory
from pptx.parts.presentation import PresentationPart

from yearling.retrieval.parsing.readers.packages import PPTX, Package
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText, TextBuilder, clean, one_line

MAX_SLIDES = 5_000
_MAX_NESTING = 20
"""Groups within groups."""
_DAMAGED = ("The presentation is damaged.", "Open it in PowerPoint or LibreOffice, save it again as PPTX, and add that file.")
_ERRORS = (KeyError, ValueError, AttributeError, TypeError, IndexError, SyntaxError, PackageNotFoundError, PythonPptxError)

Box = tuple[float, float, float, float]


def read_pptx(package: Package) -> ParsedText:
    """Raises DocumentError."""
    PartFactory.part_type_for[CONTENT_TYPE.PML_SLIDESHOW_MAIN] = PresentationPart
    try:
        part = pptx.package.Package.open(io.BytesIO(package.content)).main_document_part
        presentation = part.presentation
        size = (int(presentation.slide_width or 0), int(presentation.slide_height or 0))
        num_slides = len(presentation.slides)
    except _ERRORS:
        raise DocumentError(*_DAMAGED) from None
    if num_slides > MAX_SLIDES:
        raise DocumentError(f"The presentation has more than {MAX_SLIDES:,} slides.", "Divide it into several files.")
    builder = TextBuilder(PPTX, num_pages=num_slides)
    if any(name.lower().endswith("vbaproject.bin") for name in package.names):
        builder.warn("The presentation holds macros; they were left out and never run.")
    for number in range(1, num_slides + 1):
        try:
            _add_slide(builder, number, presentation.slides[number - 1], size)
        except _ERRORS:
            builder.warn(f"Slide {number} is damaged; a part of it was left out.")
    try:
        builder.title = part.package.core_properties.title or builder.title
    except _ERRORS:
        builder.warn("The properties of the presentation are damaged.")
    return builder.finish()


def _add_slide(builder: TextBuilder, number: int, slide: Any, size: tuple[int, int]) -> None:
    shape = slide.shapes.title
    label = one_line(shape.text_frame.text) if shape is not None and shape.has_text_frame else ""
    if label and not builder.title:
        builder.title = label
    label = label or f"Slide {number}"
    texts = list(_shape_texts(slide.shapes, size, 0))
    is_title = {shape.shape_id} if shape is not None else set()
    # Stable: texts of one shape, and shapes without a place, stay in their order.
    texts.sort(key=lambda item: (item[0] not in is_title, item[2][1] if item[2] else 1.0, item[2][0] if item[2] else 0.0))
    for _, text, box in texts:
        builder.add(text, page=number, box=box, label=label)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        for paragraph in slide.notes_slide.notes_text_frame.paragraphs:
            builder.add(one_line(_paragraph_text(paragraph)), page=number, label=f"Notes: {label}")


def _shape_texts(shapes: Any, size: tuple[int, int], depth: int) -> Iterator[tuple[int, str, Box | None]]:
    """(id of the shape, text, box on the slide) of each paragraph and row. Shapes in a group have the box of the group."""
    for shape in shapes:
        box = _box_of(shape, size) if depth == 0 else None
        if getattr(shape, "shapes", None) is not None and depth < _MAX_NESTING:
            for _, text, _ in _shape_texts(shape.shapes, size, depth + 1):
                yield shape.shape_id, text, box
        elif getattr(shape, "has_table", False):
            for row in shape.table.rows:
                yield shape.shape_id, clean("\t".join(one_line(cell.text) for cell in row.cells)).rstrip("\t"), box
        elif shape.has_text_frame:
            for paragraph in shape.text_frame.paragraphs:
                yield shape.shape_id, one_line(_paragraph_text(paragraph)), box


def _paragraph_text(paragraph: Any) -> str:
    return str(paragraph.text).replace("\v", " ")


def _box_of(shape: Any, size: tuple[int, int]) -> Box | None:
    sides = (shape.left, shape.top, shape.width, shape.height)
    if any(side is None for side in sides) or min(size) <= 0:
        return None
    left, top, width, height = map(int, sides)
    values = (left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1])
    x0, y0, x1, y1 = (round(min(max(value, 0.0), 1.0), 5) for value in values)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
