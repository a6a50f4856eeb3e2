"""The canonical text of a document: what search reads, and what citations point into.

A passage is a half-open range [start, end) of code points of the text, so `text[start:end]` is its quote for ever: the text of a
version never changes, and another content is another version.
"""

from __future__ import annotations

import bisect
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from yearling.errors import BadInput

MAX_TEXT_CHARS = 20_000_000
"""Code points of the longest canonical text."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of code points of a canonical text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the range [start, end) of a canonical text stood in the original. What the format does not know is None."""

    start: int
    end: int
    page: int | None = None
    """Number of the page or slide, from 1."""
    box: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom on the page, as fractions of its width and height from the upper left corner."""
    t0_s: float | None = None
    """Start in a recording, in seconds."""
    t1_s: float | None = None
    """End in a recording, in seconds."""
    label: str = ""
    """The heading above it, the sheet and row, or the chapter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalText:
    """The text of one version of a document. `text` is NFC; `locations` are sorted, and no two overlap. Raises BadInput."""

    text: str
    title: str = ""
    media_type: str
    locations: tuple[Location, ...] = ()
    num_pages: int = 0
    """0 where the format has no pages."""
    warnings: tuple[str, ...] = field(default=())
    """What a person should know, in a sentence each: pages without text, parts that were left out."""

    def __post_init__(self) -> None:
        if len(self.text) > MAX_TEXT_CHARS:
            raise BadInput(
                f"The document has more than {MAX_TEXT_CHARS:,} characters of text.", advice="Divide it into several files."
            )
        if not unicodedata.is_normalized("NFC", self.text):
            raise ValueError("a canonical text must be in the normal form NFC")
        end = 0
        for location in self.locations:
            if not end <= location.start < location.end <= len(self.text):
                raise ValueError("locations must be sorted ranges of the text that do not overlap")
            end = location.end

    @property
    def sha256(self) -> str:
        """The hash of the text in UTF-8, by which a version is known."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


def locations_of(span: Span, locations: Sequence[Location]) -> list[Location]:
    """The locations that a range of the text touches, in their order."""
    first = bisect.bisect_right(locations, span.start, key=lambda location: location.end)
    after = bisect.bisect_left(locations, span.end, lo=first, key=lambda location: location.start)
    return list(locations[first:after])
