"""What holds for every answer and every source."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.retrieval.citations.sources import align, chunk
from yearling.retrieval.citations.alignment import utf16_offsets
from yearling.retrieval.citations.source import citable_sentences

_PIECES = st.sampled_from(
    [
        "The bridge was opened in 1932.",
        " It carries eight lanes.",
        "桥长五百零三米。",
        "李大伟没有批准，１２天。",
        " not ",
        "[1]",
        "【2†source】",
        "👩‍🚀",
        "e\u0301",
        "\n- ",
        "“引用”",
        "《书》",
        "约翰·史密斯",
        " 8 August 2008",
        "2008年8月8日",
        " $1,234.50",
        "\ufeff",
        "`a[1]`",
        " \u3000",
        "?",
        "。",
        "İ",
        "ﬃ",
    ]
)
_TEXTS = st.lists(st.one_of(_PIECES, st.text(max_size=6)), max_size=10).map("".join)


@pytest.mark.slow
@given(answer=_TEXTS, document=_TEXTS, cuts=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 120)), min_size=1, max_size=4))
def test_every_citation_and_every_missing_word_is_where_it_says(answer: str, document: str, cuts: list[tuple[int, int]]) -> None:
    chunks = [chunk(document, min(start, len(document)), min(start + length, len(document))) for start, length in cuts]
    aligned = align(answer + document, chunks)
    text = answer + document
    assert aligned.text == text
    for citation in aligned.citations:
        assert document[citation.span.start : citation.span.end] == citation.quote != ""
        assert 0 <= citation.start_index < citation.end_index <= len(text)
    for claim in aligned.claims:
        assert all(text[each.span.start : each.span.end] == each.text != "" for each in claim.missing)
        assert all(claim.span.start <= each.span.start and each.span.end <= claim.span.end for each in claim.missing)
        assert len(claim.citations) <= 2
        assert bool(claim.citations) == (claim.status in ("supported", "altered"))
        assert bool(claim.missing) == (claim.status == "altered")
    assert all(first.span.end <= second.span.start for first, second in pairwise(aligned.claims))
    spans = sorted({citation.span for citation in aligned.citations})
    assert all(first.end <= second.start for first, second in pairwise(spans))


@pytest.mark.slow
@given(answer=_TEXTS, document=_TEXTS)
def test_numbers_are_stable_and_run_from_one(answer: str, document: str) -> None:
    text = document + answer + document
    chunks = [chunk(document, 0, len(document))]
    aligned = align(text, chunks)
    assert aligned == align(text, chunks)
    first_uses = list(dict.fromkeys(citation.number for citation in aligned.citations))
    assert sorted(first_uses) == list(range(1, len(first_uses) + 1))
    by_number = {citation.number: citation.span for citation in aligned.citations}
    assert all(by_number[citation.number] == citation.span for citation in aligned.citations)
    assert len(set(by_number.values())) == len(by_number)


@pytest.mark.slow
@given(document=_TEXTS)
def test_a_copied_sentence_is_supported(document: str) -> None:
    chunks = [chunk(document, 0, len(document))]
    for sentence in citable_sentences(chunks):
        for claim in align(sentence.text, chunks).claims:
            assert claim.missing == ()


@given(text=st.text(), data=st.data())
def test_utf16_offsets_cut_the_same_text(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    first, last = utf16_offsets(text, [start, end])
    units = text.encode("utf-16-le", "surrogatepass")
    assert units[2 * first : 2 * last].decode("utf-16-le", "surrogatepass") == text[start:end]
