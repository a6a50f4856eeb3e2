"""From bytes to text: finds the format of a document and calls its reader. Runs in the child process.

Libraries are imported only for the format at hand, since importing some takes longer than reading a document.
"""

from __future__ import annotations

from yearling.retrieval.parsing import formats
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText


def read_document(content: bytes, name: str, media_type: str) -> ParsedText:
    """The text of a document in the format that its first bytes show, or its name among text formats. Raises DocumentError."""
    if not content:
        raise DocumentError("The file is empty.", "Add a file that has content.")
    detected, language = formats.detect_format(content, name, media_type)
    if detected == formats.PDF:
        from yearling.retrieval.parsing.readers.pdf import read_pdf

        return read_pdf(content)
    if detected == formats.ZIP:
        return _read_package(content)
    parsed = _read_text(content, detected, language)
    if ending := formats.contradicting_ending(name):
        parsed.warnings.append(f"The name ends in .{ending}, but the content is text; it was read as text.")
    return parsed


def _read_text(content: bytes, detected: str, language: str) -> ParsedText:
    if detected == formats.HTML:
        from yearling.retrieval.parsing.readers.web_page import read_html

        return read_html(content)
    if detected in (formats.CSV, formats.TSV):
        from yearling.retrieval.parsing.readers.delimited import read_delimited

        return read_delimited(content, detected)
    if detected in (formats.SRT, formats.VTT):
        from yearling.retrieval.parsing.readers.subtitles import read_subtitles

        return read_subtitles(content, detected)
    from yearling.retrieval.parsing.readers.plain_text import read_markdown, read_plain_text

    if detected == formats.MARKDOWN:
        return read_markdown(content)
    return read_plain_text(content, detected, language=language)


def _read_package(content: bytes) -> ParsedText:
    from yearling.retrieval.parsing.readers.packages import DOCX, EPUB, PPTX, Package, detect_package

    package = Package(content)
    kind = detect_package(package)
    if kind == EPUB:
        from yearling.retrieval.parsing.readers.epub import read_epub

        return read_epub(package)
    if kind == DOCX:
        from yearling.retrieval.parsing.readers.word import read_docx

        return read_docx(package)
    if kind == PPTX:
        from yearling.retrieval.parsing.readers.slides import read_pptx

        return read_pptx(package)
    from yearling.retrieval.parsing.readers.sheets import read_xlsx

    return read_xlsx(package)
