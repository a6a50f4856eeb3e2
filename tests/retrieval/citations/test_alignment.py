"""Answers beside their sources. Each fault that other products have with citations has a test here."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from tests.retrieval.citations.sources import align, chunk, missing, passage, read
from yearling.inference import FakeEmbedder
from yearling.retrieval.citations.alignment import AlignmentRule, align_answer, utf16_offsets
from yearling.retrieval.citations.claims import MAX_CLAIMS
from yearling.retrieval.citations.source import MAX_SENTENCES, citable_sentences

BRIDGE = (
    "The old bridge was opened in 1932. It is 503 metres long and carries eight lanes. John Bradfield supervised the work. "
    "The bridge was not painted green. A toll of two dollars was charged until 1989."
)
HANDBOOK = "员工每年有十五天年假。病假需要医生证明。出差由李大伟批准，不得超过三十天。宿舍位于杭州。"


def test_numbers_each_sentence_not_the_file() -> None:
    """One number for a whole file says nothing about where to look."""
    answer = align("The bridge was opened in 1932. John Bradfield supervised the work.", [passage(BRIDGE)])
    assert [citation.number for citation in answer.citations] == [1, 2]
    assert [citation.quote for citation in answer.citations] == [
        "The old bridge was opened in 1932.",
        "John Bradfield supervised the work.",
    ]


def test_numbers_in_order_of_first_use_and_again_for_the_same_sentence() -> None:
    text = "John Bradfield supervised the work. It carries eight lanes. It was John Bradfield who supervised the work."
    answer = align(text, [passage(BRIDGE)])
    assert [claim.citations for claim in answer.claims] == [(1,), (2,), (1,)]
    assert answer.citations[0].span == answer.citations[2].span


def test_each_citation_stands_at_its_own_claim() -> None:
    """Citations that are off by one belong to the claim before or behind."""
    text = "Good question! The toll was charged until 1989. The bridge is 503 metres long."
    answer = align(text, [passage(BRIDGE)])
    cited = {text[citation.start_index : citation.end_index]: citation.quote for citation in answer.citations}
    assert cited["The toll was charged until 1989."].startswith("A toll of two dollars")
    assert cited["The bridge is 503 metres long."].startswith("It is 503 metres")


def test_aligns_to_the_passages_of_this_turn_only() -> None:
    """A citation a turn late points into what an earlier question found."""
    later = [passage("The library opens at nine.", document="library")]
    answer = align("The old bridge was opened in 1932. The library opens at nine.", later)
    assert [claim.status for claim in answer.claims] == ["unsupported", "supported"]
    assert {citation.document_id for citation in answer.citations} == {"library"}


def test_overlap_of_chunks_shifts_no_span() -> None:
    """Chunks share text; a sentence of two chunks is one sentence, at its place in the document."""
    middle = BRIDGE.index("John")
    chunks = [chunk(BRIDGE, 0, middle + 35), chunk(BRIDGE, middle, len(BRIDGE))]
    answer = align("John Bradfield supervised the work. A toll of two dollars was charged.", chunks)
    assert len(answer.citations) == 2
    for citation in answer.citations:
        assert BRIDGE[citation.span.start : citation.span.end] == citation.quote


def test_part_of_a_sentence_at_the_edge_of_a_chunk_gives_way_to_the_whole() -> None:
    edge = BRIDGE.index("supervised")
    sentences = citable_sentences([chunk(BRIDGE, edge, len(BRIDGE)), chunk(BRIDGE, 0, edge + 20)])
    assert "John Bradfield supervised the work." in [sentence.text for sentence in sentences]
    spans = sorted(sentence.span for sentence in sentences)
    assert all(first.end <= second.start for first, second in pairwise(spans))


def test_same_range_of_two_versions_is_two_sentences() -> None:
    first, second = passage("It costs 5 euros.", document="old"), passage("It costs 5 euros.", document="new")
    assert len(citable_sentences([first, second])) == 2


def test_cites_late_in_a_long_document() -> None:
    """Highlights that only work on the first page."""
    pages = [f"Page {number} is about item {number}00. Nothing else is said." for number in range(1, 400)]
    text = "\n\n".join(pages)
    start = text.index("Page 399")
    answer = align("Item 39900 is what page 399 is about.", [chunk(text, start, len(text))])
    assert text[answer.citations[0].span.start : answer.citations[0].span.end] == "Page 399 is about item 39900."


@pytest.mark.parametrize(
    ("answer", "words_missing"),
    [
        ("The bridge was opened in 1923.", [("1923", "number")]),
        ("It is 530 metres long and carries six lanes.", [("530 metres", "number"), ("six", "number")]),
        ("It is 503 miles long.", [("503 miles", "number")]),
        ("Frank Bradfield supervised the work.", [("Frank", "name")]),
        ("The bridge was not opened in 1932.", [("not", "negation")]),
        ("The bridge was painted green.", [("was painted", "negation")]),
        ("A toll of three dollars was charged until 1989.", [("three dollars", "number")]),
    ],
)
def test_marks_what_was_altered_beside_a_right_citation(answer: str, words_missing: list[tuple[str, str]]) -> None:
    aligned = align(answer, [passage(BRIDGE)])
    assert aligned.claims[0].status == "altered"
    assert len(aligned.citations) == 1
    assert missing(aligned) == words_missing


@pytest.mark.parametrize(
    ("answer", "words_missing"),
    [
        ("员工每年有二十天年假。", [("二十天", "number")]),
        ("员工每年有１６天年假。", [("１６天", "number")]),
        ("出差由王小明批准，不得超过三十天。", [("王小明", "name")]),
        ("病假不需要医生证明。", [("不", "negation")]),
        ("宿舍位于上海。", [("上海", "name")]),
        ("出差由李大伟批准，得超过三十天。", [("准，得", "negation")]),
    ],
)
def test_marks_what_was_altered_in_chinese(answer: str, words_missing: list[tuple[str, str]]) -> None:
    aligned = align(answer, [passage(HANDBOOK)])
    assert aligned.claims[0].status == "altered"
    assert missing(aligned) == words_missing


@pytest.mark.parametrize(
    "answer",
    [
        "The old bridge was opened in １９３２.",
        "It is five hundred and three metres long and carries 8 lanes.",
        "The bridge is 0.503 km long.",
        "Bradfield supervised the work.",
        "The bridge wasn't painted green.",
    ],
)
def test_same_fact_in_other_words_is_not_marked(answer: str) -> None:
    aligned = align(answer, [passage(BRIDGE)])
    assert [claim.status for claim in aligned.claims] == ["supported"]
    assert missing(aligned) == []


def test_places_of_missing_words_are_those_of_the_answer() -> None:
    text = "🙂 Yes. 员工每年有二十天年假。 The bridge was opened in 1923."
    aligned = align(text, [passage(BRIDGE), passage(HANDBOOK, document="handbook")])
    found = [each for claim in aligned.claims for each in claim.missing]
    assert [each.text for each in found] == ["二十天", "1923"]
    assert all(text[each.span.start : each.span.end] == each.text for each in found)


def test_offsets_count_code_points_and_convert_to_utf16() -> None:
    """An emoji is one code point and two UTF-16 units; a combining accent is one of each."""
    text = "👩‍🚀 e\u0301 𠮷！The old bridge was opened in 1932."
    (citation,) = align(text, [passage(BRIDGE)]).citations
    assert text[citation.start_index : citation.end_index] == "The old bridge was opened in 1932."
    start, end = utf16_offsets(text, [citation.start_index, citation.end_index])
    units = text.encode("utf-16-le")
    assert units[2 * start : 2 * end].decode("utf-16-le") == "The old bridge was opened in 1932."
    assert start == citation.start_index + 3


def test_claim_that_nothing_supports_is_marked() -> None:
    aligned = align("Penguins live in Antarctica.", [passage(BRIDGE)])
    assert [claim.status for claim in aligned.claims] == ["unsupported"]
    assert aligned.citations == ()


def test_citations_that_the_model_wrote_become_none() -> None:
    text = "The old bridge was opened in 1932 [7]. It carries eight lanes【3†source】. A toll was charged^2"
    aligned = align(text, [passage(BRIDGE)])
    assert [citation.number for citation in aligned.citations] == [1, 2, 3]
    assert missing(aligned) == []
    assert [text[span.start : span.end] for span in aligned.ignored_markers] == ["[7]", "【3†source】", "^2"]
    assert aligned.text == text


def test_claim_from_two_sentences_cites_both() -> None:
    text = "John Bradfield supervised the work, and a toll of two dollars was charged until 1989."
    aligned = align(text, [passage(BRIDGE)])
    assert aligned.claims[0].status == "supported"
    assert {citation.quote[:4] for citation in aligned.citations} == {"John", "A to"}


def test_wrong_number_finds_no_second_sentence_that_happens_to_have_it() -> None:
    aligned = align("The old bridge was opened in 1989.", [passage(BRIDGE)])
    assert missing(aligned) == [("1989", "number")]
    assert [citation.quote for citation in aligned.citations] == ["The old bridge was opened in 1932."]


def test_denial_is_not_excused_by_another_sentence() -> None:
    aligned = align("It does not carry eight lanes.", [passage(BRIDGE)])
    assert missing(aligned) == [("not", "negation")]


def test_claim_in_another_language_aligns_by_meaning_and_its_numbers_are_checked() -> None:
    source = passage("The bridge was opened in 1932. It has eight lanes.")
    similarities = np.array([[0.9, 0.7]], np.float32)
    rule = AlignmentRule(min_words=0.3, min_similarity_across=0.85, similarity_weight=1.0)
    right = align("这座桥于一九三二年通车。", [source], rule=rule, similarities=similarities)
    assert [claim.status for claim in right.claims] == ["supported"]
    assert right.claims[0].is_other_language
    assert right.citations[0].quote == "The bridge was opened in 1932."
    wrong = align("这座桥于1933年通车。", [source], rule=rule, similarities=similarities)
    assert missing(wrong) == [("1933", "date")]
    far = align("企鹅生活在南极。", [source], rule=rule, similarities=similarities - 0.1)
    assert [claim.status for claim in far.claims] == ["unsupported"]


def test_citations_before_the_answer_keep_their_numbers() -> None:
    first = align("A toll of two dollars was charged until 1989.", [passage(BRIDGE)]).citations
    answer = align("It carries eight lanes. The toll was two dollars until 1989.", [passage(BRIDGE)], cited_before=first)
    assert [citation.number for citation in answer.citations] == [2, 1]


def test_no_sources_and_no_claims() -> None:
    assert [claim.status for claim in align("It is so.", []).claims] == ["unsupported"]
    assert align("", [passage(BRIDGE)]).claims == ()
    assert align("What else would you like to know?", [passage(BRIDGE)]).claims == ()


async def test_align_answer_embeds_claims_and_sentences() -> None:
    embedder = FakeEmbedder()
    rule = AlignmentRule(model_hash=embedder.model_hash, min_words=0.3, min_similarity=0.9, similarity_weight=1.0)
    aligned = await align_answer(
        "It carries eight lanes.",
        [passage(BRIDGE)],
        read_numbers=read,
        rule=rule,
        embedder=embedder,
    )
    assert [citation.quote for citation in aligned.citations] == ["It is 503 metres long and carries eight lanes."]
    assert embedder.calls == [
        ("query: It carries eight lanes.",),
        tuple("passage: " + sentence.text for sentence in citable_sentences([passage(BRIDGE)])),
    ]


async def test_rule_of_another_model_is_refused() -> None:
    with pytest.raises(ValueError, match="another embedding model"):
        await align_answer(
            "It carries eight lanes.",
            [passage(BRIDGE)],
            read_numbers=read,
            rule=AlignmentRule(model_hash="0" * 64, min_words=0.3),
            embedder=FakeEmbedder(),
        )


def test_claims_behind_the_ceiling_are_unchecked() -> None:
    aligned = align("It carries eight lanes. " * (MAX_CLAIMS + 3), [passage(BRIDGE)])
    assert [claim.status for claim in aligned.claims[-4:]] == ["supported", "unchecked", "unchecked", "unchecked"]


def test_more_sentences_than_the_ceiling_are_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        citable_sentences([passage("No. " * (MAX_SENTENCES + 1))])


def _seconds(num_sentences: int) -> float:
    source = passage(
        " ".join(f"Item {number} weighs {number * 7} kg and was made by Anna Berg." for number in range(num_sentences))
    )
    answer = " ".join(f"Item {number} weighs {number * 7} kg." for number in range(0, num_sentences, 4))
    start = time.process_time()
    aligned = align(answer, [source])
    assert {claim.status for claim in aligned.claims} == {"supported"}
    return time.process_time() - start


@pytest.mark.slow
def test_time_grows_with_the_length_and_not_faster_than_its_square() -> None:
    """Four times the answer beside four times the source: sixteen times the pairs, which only cheap steps may see."""
    short, long = min(_seconds(100) for _ in range(3)), min(_seconds(400) for _ in range(2))
    assert long < 12 * short
