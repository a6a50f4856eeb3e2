"""Only addresses that somebody named are fetched."""

from __future__ import annotations

import pytest

from yearling.errors import NotAllowed
from yearling.retrieval.web.turn_urls import MAX_URLS, TurnUrls, find_urls


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("Read https://a.example/x?y=1#z, please.", ["https://a.example/x?y=1#z"]),
        ("(see http://a.example/) and <https://b.example/c>", ["http://a.example/", "https://b.example/c"]),
        (
            "https://a.example/Mercury_(planet). And (https://a.example/b)",
            ["https://a.example/Mercury_(planet)", "https://a.example/b"],
        ),
        ("请看https://a.example/路径。谢谢", ["https://a.example/路径"]),
        ("[a](https://a.example/b) HTTPS://A.EXAMPLE/", ["https://a.example/b", "HTTPS://A.EXAMPLE/"]),
        ("file:///etc/passwd javascript:alert(1) ftp://a.example", []),
    ],
)
def test_addresses_are_found_as_they_stand(text: str, urls: list[str]) -> None:
    assert find_urls(text) == urls


def test_only_named_addresses_may_be_fetched() -> None:
    urls = TurnUrls()
    urls.add_text("What does https://a.example/page#part say?")
    urls.check("https://a.example/page")
    urls.check("https://A.example/page#other")
    for url in ("https://a.example/page?secret=words", "https://a.example/", "http://a.example/page", "https://b.example/page"):
        with pytest.raises(NotAllowed, match="neither in the message nor in a search result"):
            urls.check(url)


def test_number_of_addresses_is_limited() -> None:
    urls = TurnUrls()
    urls.add(f"https://a.example/{number}" for number in range(MAX_URLS + 5))
    urls.check(f"https://a.example/{MAX_URLS - 1}")
    with pytest.raises(NotAllowed):
        urls.check(f"https://a.example/{MAX_URLS}")
    with pytest.raises(NotAllowed):
        urls.check("https://a.example/" + "a" * 3000)
