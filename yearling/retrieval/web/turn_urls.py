"""Which addresses may be fetched for one answer: those that stand word for word in what the person wrote, in search results, or
in a page that was fetched for this answer. A model never composes one, so nothing can leave through an address that it made up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import httpx

from yearling.errors import NotAllowed

MAX_URLS = 5_000
"""Addresses that one answer remembers. Further ones are not fetched."""
MAX_URL_CHARS = 2_048
_MAX_TEXT_CHARS = 2_000_000
_URL = re.compile(r"https?://[^\s<>\"'`\\^{}|\u3000-\u303f\uff00-\uffef]{1,2048}", re.IGNORECASE)
_TRAILING = ".,;:!?)]}*_~"


class TurnUrls:
    """The addresses of one answer. Use from one thread."""

    def __init__(self) -> None:
        self._urls: set[str] = set()

    def add_text(self, text: str) -> None:
        """Allow every address that stands in a text of the person, or in a page that was fetched for this answer."""
        self.add(find_urls(text))

    def add(self, urls: Iterable[str]) -> None:
        """Allow addresses of search results, or of links in a fetched page."""
        for url in urls:
            if len(self._urls) >= MAX_URLS:
                return
            if len(url) <= MAX_URL_CHARS:
                self._urls.add(_without_fragment(url))

    def check(self, url: str) -> None:
        """Raises NotAllowed for an address that nobody named."""
        if _without_fragment(url) not in self._urls:
            raise NotAllowed(
                "This address stands neither in the message nor in a search result, so it is not fetched.",
                advice="Write the address into the message.",
            )


def find_urls(text: str) -> list[str]:
    """The web addresses in a text, as they stand there, without the punctuation that ends a sentence."""
    found = dict.fromkeys(_trim(match.group()) for match in _URL.finditer(text, 0, min(len(text), _MAX_TEXT_CHARS)))
    return list(found)


def _trim(url: str) -> str:
    while url and url[-1] in _TRAILING:
        if url[-1] == ")" and url.count("(") >= url.count(")"):  # part of the address: Mercury_(planet)
            break
        url = url[:-1]
    return url


def _without_fragment(url: str) -> str:
    try:
        return str(httpx.URL(url).copy_with(fragment=None))
    except (httpx.InvalidURL, UnicodeError):
        return url
