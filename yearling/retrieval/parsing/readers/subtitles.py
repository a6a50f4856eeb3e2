"""SRT and WebVTT: one line per cue, with its times and without tags. A cue whose times make no sense keeps its text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from yearling.retrieval.parsing.encodings import decode
from yearling.retrieval.parsing.formats import VTT
from yearling.retrieval.parsing.text_builder import ParsedText, TextBuilder, clean, joint, one_line

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[,.](\d{1,6}))?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_ARROW = re.compile(r"^[^\n]*-->[^\n]*$")
_SPEAKER = re.compile(r"<v(?:\.[^\s>]{0,100})?\s+([^>]{1,200})>")
_TAGS = re.compile(r"<[/]?[a-zA-Z0-9:.][^<>]{0,300}>|</?[a-z]>|\{\\[^{}]{0,300}\}")
_DIGITS = re.compile(r"\d{1,9}$")
_NOT_CUES = ("NOTE", "STYLE", "REGION")


def read_subtitles(content: bytes, media_type: str) -> ParsedText:
    """Raises DocumentError."""
    text, warnings = decode(content)
    builder = TextBuilder(media_type, warnings=warnings)
    num_wrong = 0
    for times, lines in _cues(clean(text).split("\n"), has_notes=media_type == VTT):
        cue = ""
        for line in lines:
            stripped = one_line(html.unescape(_TAGS.sub("", _SPEAKER.sub(r"\1: ", line))))
            cue = f"{cue}{joint(cue, stripped)}{stripped}" if cue and stripped else cue or stripped
        cue = one_line(cue)
        span = _read_times(times)
        if span is None:
            num_wrong += bool(cue)
            builder.add(cue)
        else:
            builder.add(cue, t0_s=span[0], t1_s=span[1])
    if num_wrong:
        builder.warn(f"Cues without valid times: {num_wrong}. Their text was kept.")
    return builder.finish()


def _cues(lines: list[str], *, has_notes: bool) -> Iterator[tuple[str, list[str]]]:
    """(the line with the times, the lines of text) of each cue, whether or not blank lines divide them."""
    times = ""
    collected: list[str] = []
    is_note = False
    for line in lines:
        if _ARROW.match(line):
            if collected and (_DIGITS.match(collected[-1].strip()) or collected[-2:-1] == [""]):
                collected.pop()  # the number or name of this cue
            if times:
                yield times, collected
            times, collected, is_note = line, [], False
        elif not line.strip():
            collected.append("")
            is_note = False
        elif is_note or (has_notes and collected[-1:] == [""] and line.split(maxsplit=1)[0] in _NOT_CUES):
            is_note = True
        else:
            collected.append(line)
    if times:
        yield times, collected


def _read_times(line: str) -> tuple[float, float] | None:
    found = _TIMES.match(line)
    if not found:
        return None
    first, second = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
    return (first, second) if second >= first else None


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return round(int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}"), 6)
