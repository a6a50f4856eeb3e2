"""ZIP packages: what kind of document one is, and its parts within limits. Nothing is unpacked to disk.

A package declares the size of each part, and Python's `zipfile` reads no more than that, so the declared sizes bound the memory.
"""

from __future__ import annotations

import io
import lzma
import posixpath
import re
import zipfile
import zlib
from typing import Any
from urllib.parse import unquote

from lxml import etree

from yearling.retrieval.parsing.text_builder import DocumentError

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
EPUB = "application/epub+zip"

MAX_PARTS = 20_000
MAX_UNPACKED_BYTES = 512 << 20
MAX_XML_BYTES = 128 << 20
"""Unpacked size of one part that is parsed."""
_OFFICE_CONTENT = (
    (b"wordprocessingml.document.main+xml", DOCX),
    (b"ms-word.document.macroenabled.main+xml", DOCX),
    (b"wordprocessingml.template.main+xml", DOCX),
    (b"presentationml.presentation.main+xml", PPTX),
    (b"ms-powerpoint.presentation.macroenabled.main+xml", PPTX),
    (b"presentationml.slideshow.main+xml", PPTX),
    (b"spreadsheetml.sheet.main+xml", XLSX),
    (b"ms-excel.sheet.macroenabled.main+xml", XLSX),
    (b"spreadsheetml.template.main+xml", XLSX),
)
_OPEN_DOCUMENT = {"text": "DOCX", "spreadsheet": "XLSX", "presentation": "PPTX"}
_DAMAGED = ("The file is damaged: it is an incomplete or invalid ZIP package.", "Fetch it again, or save it again.")
# What `zipfile` raises for broken packages: its own error, those of the three decompressors (bz2 raises OSError), the end of the
# data, methods of compression that it does not know, and offsets that lie nowhere.
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.I)


class Package:
    """A ZIP package in memory whose declared sizes are within the limits. Raises DocumentError."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(content))
            infos = self._archive.infolist()
        except _ERRORS:
            raise DocumentError(*_DAMAGED) from None
        if len(infos) > MAX_PARTS or sum(info.file_size for info in infos) > MAX_UNPACKED_BYTES:
            raise DocumentError(
                f"The file unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB or {MAX_PARTS:,} parts.",
                "If it is an honest document, divide it into several files or save it without its pictures.",
            )
        self._infos = {info.filename: info for info in infos}
        self.is_encrypted = any(info.flag_bits & 1 for info in infos)

    @property
    def names(self) -> list[str]:
        """The names of the parts."""
        return list(self._infos)

    def read(self, name: str) -> bytes | None:
        """The content of a part, or None if there is none of that name. Raises DocumentError if it is too large or damaged."""
        info = self._infos.get(name)
        if info is None:
            return None
        if info.file_size > MAX_XML_BYTES:
            raise DocumentError(
                f"A part of the file unpacks to more than {MAX_XML_BYTES >> 20} MiB.", "Divide it into several files."
            )
        try:
            return self._archive.read(info)
        except _ERRORS:
            raise DocumentError(*_DAMAGED) from None

    def read_xml(self, name: str) -> Any:
        """The root of a part, or None if there is none of that name. Raises DocumentError."""
        content = self.read(name)
        return None if content is None else parse_xml(content)

    def resolve(self, base: str, reference: str) -> str:
        """The name of the part that a reference in the part `base` means, or nothing if it leaves the package."""
        path = unquote(reference.partition("#")[0])
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(base), path))
        return joined if joined in self._infos and not joined.startswith(("/", "..")) and ":" not in joined else ""

    def refuse_declarations(self) -> None:
        """Raises DocumentError if a part of an Office document declares entities, which its standard forbids."""
        for name in self._infos:
            if name.lower().endswith((".xml", ".rels", ".vml")) and (content := self.read(name)) and has_declaration(content):
                raise DocumentError(
                    "The file declares XML entities, which no Office program writes.", "Save it again with an Office program."
                )


def has_declaration(content: bytes) -> bool:
    """Whether an XML text has a document type or entities, in UTF-8 or UTF-16."""
    return _DOCTYPE.search(content.replace(b"\0", b"") if b"\0" in content[:64] else content) is not None


def parse_xml(content: bytes) -> Any:
    """The root element. No entity is expanded and nothing is fetched. Raises DocumentError."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        raise DocumentError("A part of the file is no valid XML.", "Save it again with the program that made it.") from None


def detect_package(package: Package) -> str:
    """The media type of the document in a package. Raises DocumentError for what is no document."""
    if package.is_encrypted:
        raise DocumentError("The file is encrypted with a password.", "Save it without a password, and add that file.")
    mimetype = (package.read("mimetype") or b"").strip().decode("ascii", "replace")
    if mimetype == EPUB or "META-INF/container.xml" in package.names:
        return EPUB
    if mimetype.startswith("application/vnd.oasis.opendocument."):
        ending = _OPEN_DOCUMENT.get(mimetype.rpartition(".")[2].partition("-")[0], "PDF")
        raise DocumentError(
            "The file is in OpenDocument format.", f"Open it in LibreOffice, save it as {ending}, and add that file."
        )
    content_types = (package.read("[Content_Types].xml") or b"").replace(b"\0", b"").lower()
    for marker, media_type in _OFFICE_CONTENT:
        if marker in content_types:
            package.refuse_declarations()
            return media_type
    if b"ms-excel.sheet.binary" in content_types:
        raise DocumentError("The file is a binary Excel workbook.", "Open it in Excel or LibreOffice, and save it as XLSX.")
    raise DocumentError("The file is an archive.", "Unpack it, and add the documents inside.")
