"""EPUB: the chapters in the order of the spine, each under its title. References that leave the book are not followed."""

from __future__ import annotations

from typing import Any

from yearling.retrieval.parsing.encodings import decode
from yearling.retrieval.parsing.readers.markup import DEEP_WARNING, iterate_blocks, parse_html
from yearling.retrieval.parsing.readers.packages import EPUB, Package
from yearling.retrieval.parsing.text_builder import DocumentError, ParsedText, TextBuilder, one_line

MAX_CHAPTERS = 5_000
_DAMAGED = ("The book is damaged: its list of chapters is missing.", "Fetch it again, or convert it again to EPUB.")
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_NCX = "application/x-dtbncx+xml"


def read_epub(package: Package) -> ParsedText:
    """Raises DocumentError, also for a book that is encrypted."""
    container = package.read_xml("META-INF/container.xml")
    if container is None:
        raise DocumentError(*_DAMAGED)
    root_file = next((element.get("full-path", "") for element in container.iter("{*}rootfile")), "")
    root_file = package.resolve("", root_file)
    content = package.read_xml(root_file) if root_file else None
    if content is None:
        raise DocumentError(*_DAMAGED)
    builder = TextBuilder(EPUB)
    builder.title = next((element.text or "" for element in content.iter("{http://purl.org/dc/elements/1.1/}title")), "")
    items = {item.get("id", ""): item for item in content.iterfind(".//{*}manifest/{*}item")}
    chapters = [
        items[item.get("idref", "")] for item in content.iterfind(".//{*}spine/{*}itemref") if item.get("idref", "") in items
    ]
    if len(chapters) > MAX_CHAPTERS:
        raise DocumentError(f"The book has more than {MAX_CHAPTERS:,} chapters.", "Divide it into several files.")
    titles = _titles(package, root_file, list(items.values()))
    encrypted = _encrypted_parts(package)
    num_missing = 0
    read: set[str] = set()
    for item in chapters:
        name = package.resolve(root_file, item.get("href", ""))
        if not name:
            num_missing += 1
        elif name in encrypted:
            raise DocumentError("The book is protected against copying (DRM).", "Add a copy without protection.")
        elif name not in read and item.get("media-type", "") in _PAGES:
            read.add(name)
            _add_chapter(builder, package.read(name) or b"", titles.get(name, ""))
    if num_missing:
        builder.warn(f"Chapters that are missing in the file: {num_missing}.")
    return builder.finish()


def _add_chapter(builder: TextBuilder, content: bytes, title: str) -> None:
    text, warnings = decode(content, has_declaration=True)
    for warning in warnings:
        builder.warn(warning)
    tree = parse_html(text)
    if tree.is_cut:
        builder.warn(DEEP_WARNING)
    blocks = list(iterate_blocks(tree.root))
    label = (
        title or next((block.text for block in blocks if block.is_heading), "") or one_line(tree.root.findtext(".//title") or "")
    )
    for block in blocks:
        builder.add(block.text, label=label)


def _titles(package: Package, root_file: str, items: list[Any]) -> dict[str, str]:
    """The title of each chapter by the name of its part, from the table of contents of EPUB 3 or 2."""
    titles: dict[str, str] = {}
    for item in items:
        name = package.resolve(root_file, item.get("href", ""))
        if not name:
            continue
        if "nav" in item.get("properties", "").split():
            root = parse_html(decode(package.read(name) or b"", has_declaration=True)[0]).root
            links = ((link.get("href", ""), "".join(link.itertext())) for link in root.iter("a"))
        elif item.get("media-type") == _NCX:
            root = package.read_xml(name)
            links = (
                (point.find("{*}content").get("src", ""), point.findtext("{*}navLabel/{*}text") or "")
                for point in root.iter("{*}navPoint")
                if point.find("{*}content") is not None
            )
        else:
            continue
        for reference, text in links:
            target = package.resolve(name, reference)
            if target and one_line(text):
                titles.setdefault(target, one_line(text))
    return titles


def _encrypted_parts(package: Package) -> set[str]:
    """Parts that cannot be read. Fonts are often listed here, and no reader of texts needs them."""
    root = package.read_xml("META-INF/encryption.xml")
    if root is None:
        return set()
    return {package.resolve("", reference.get("URI", "")) for reference in root.iter("{*}CipherReference")}
