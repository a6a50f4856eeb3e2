"""The owner's table of domains: unknown ones are neutral, bad rows are named."""

from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.retrieval.ranking import source_quality
from yearling.retrieval.ranking.source_quality import domain_quality, parse_quality_table


def test_a_table_is_read_with_and_without_a_header() -> None:
    expected = {"example.org": 0.8, "例子.中国": 0.25}
    assert parse_quality_table("domain,score\nwww.Example.org,0.8\n例子.中国,.25\n".encode("utf-8-sig")) == expected
    assert parse_quality_table("example.org,0.1\n\nexample.org,0.8\n例子.中国,0.25".encode()) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.org,1\nb.org,1.5", "Row 2"),
        (b"a.org,nan", "Row 1"),
        (b"a.org,inf", "Row 1"),
        (b"a.org", "Row 1 has no score"),
        (b"http://a.org/path,1", "no domain"),
        (b"a,1", "no domain"),
        (b"\xff\xfe", "no CSV"),
        (b'"a.org,1', "no CSV"),
    ],
)
def test_bad_rows_are_named(content: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_quality_table(content)


def test_sizes_have_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_quality, "MAX_ROWS", 1)
    with pytest.raises(BadInput, match="rows"):
        parse_quality_table(b"a.org,1\nb.org,1")
    monkeypatch.setattr(source_quality, "MAX_BYTES", 5)
    with pytest.raises(BadInput, match="bytes"):
        parse_quality_table(b"a.org,1")


def test_a_part_of_a_domain_has_the_score_of_the_whole() -> None:
    table = {"example.org": 0.8, "blog.example.org": 0.2}
    assert domain_quality("news.example.org", table) == 0.8
    assert domain_quality("my.blog.example.org", table) == 0.2
    assert domain_quality("www.EXAMPLE.org.", table) == 0.8
    assert domain_quality("notexample.org", table) is None
    assert domain_quality("org", {"org": 1}) is None
