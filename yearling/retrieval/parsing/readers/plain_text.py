"""Formats that are text as they stand: plain text, source code, JSON, XML, Markdown. The text is kept; only labels are added."""

from __future__ import annotations

import re
from collections.abc import Iterator

from yearling.retrieval.parsing.encodings import decode
from yearling.retrieval.parsing.formats import MARKDOWN
from yearling.retrieval.parsing.text_builder import ParsedText, TextBuilder, clean, one_line

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_PARAGRAPH = re.compile(r"\s*$| {4}|\t| {0,3}(?:[-*+>|]|\d{1,9}[.)]\s)")
_FRONT_MATTER_TITLE = re.compile(r"title:[ \t]*(.+)", re.I)
_MAX_FRONT_MATTER_LINES = 200


def read_plain_text(content: bytes, media_type: str, *, language: str = "") -> ParsedText:
    """The text of a file; source code is labelled with its language. Raises DocumentError."""
    text, warnings = decode(content)
    builder = TextBuilder(media_type, warnings=warnings)
    builder.add(_without_blank_end(clean(text)), label=language)
    return builder.finish()


def read_markdown(content: bytes) -> ParsedText:
    """The text of a file, in sections that their headings label. Raises DocumentError."""
    text, warnings = decode(content)
    builder = TextBuilder(MARKDOWN, warnings=warnings)
    lines = _without_blank_end(clean(text)).split("\n")
    first_heading = ""
    start, label = 0, ""
    title, end_of_front_matter = _front_matter(lines)
    builder.title = title
    for index, level, heading in _headings(lines, end_of_front_matter):
        builder.add("\n".join(lines[start:index]), label=label)
        start, label = index, heading
        first_heading = first_heading or (heading if level == 1 else "")
    builder.add("\n".join(lines[start:]), label=label)
    builder.title = builder.title or first_heading
    return builder.finish()


def _without_blank_end(text: str) -> str:
    return text.rstrip("\n")


def _front_matter(lines: list[str]) -> tuple[str, int]:
    """(the title, the number of lines) of the metadata above the text."""
    if not lines or lines[0].rstrip() != "---":
        return "", 0
    title = ""
    for i, line in enumerate(lines[1:_MAX_FRONT_MATTER_LINES], start=1):
        if line.rstrip() in ("---", "..."):
            return title, i + 1
        if found := _FRONT_MATTER_TITLE.match(line):
            title = found[1].strip().strip("\"'")
    return "", 0


def _headings(lines: list[str], start: int) -> Iterator[tuple[int, int, str]]:
    """(index of its first line, level, text) of each heading outside code."""
    fence = ""
    for i in range(start, len(lines)):
        line = lines[i]
        if found := _FENCE.match(line):
            if not fence:
                fence = found[1]
            elif found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if fence:
            continue
        if found := _ATX.match(line):
            yield i, len(found[1]), one_line(found[2] or "")
        elif (
            i + 1 < len(lines)
            and (found := _SETEXT.match(lines[i + 1]))
            and not _NO_PARAGRAPH.match(line)
            and (i == start or not lines[i - 1].strip() or _ATX.match(lines[i - 1]) or _FENCE.match(lines[i - 1]))
        ):
            yield i, 1 if found[1][0] == "=" else 2, one_line(line)
