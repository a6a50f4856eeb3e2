"""How an answer is divided, and which citations of the model are ignored."""

from __future__ import annotations

import pytest

from yearling.retrieval.citations.claims import MAX_CLAIM_CHARS, find_markers, split_claims


def _claims(answer: str) -> list[str]:
    claims = split_claims(answer)
    assert all(len(claim.text) == claim.span.end - claim.span.start for claim in claims)
    return [answer[claim.span.start : claim.span.end] for claim in claims]


def test_sentences_list_items_and_headings_are_claims_without_their_marks() -> None:
    assert _claims("# Opening hours\n\n- Open at 9.\n- Closed on Sunday.\n1. First floor.\n\n桥长五百米。共八车道！") == [
        "Opening hours",
        "Open at 9.",
        "Closed on Sunday.",
        "First floor.",
        "桥长五百米。",
        "共八车道！",
    ]


def test_questions_lead_ins_code_and_marks_are_no_claims() -> None:
    answer = "Here is what I found:\n\n```python\nx = a[1]\n```\n\n***\n\nIt is open. Anything else? 还有问题吗？"
    assert _claims(answer) == ["It is open."]


def test_lead_in_with_a_number_is_a_claim() -> None:
    assert _claims("There are 3 doors:") == ["There are 3 doors:"]


def test_long_sentence_is_divided() -> None:
    claims = split_claims("word " * MAX_CLAIM_CHARS)
    assert len(claims) > 3
    assert all(len(claim.text) <= MAX_CLAIM_CHARS for claim in claims)


@pytest.mark.parametrize(
    "marker",
    [
        "[1]",
        "[12]",
        "[1, 2]",
        "[1-3]",
        "[^2]",
        "［３］",
        "【1†source】",
        "【4:0†handbook.pdf】",
        "[source 2]",
        "[2†L1-L4]",
        "(source: 3)",
    ],
)
def test_markers_of_other_systems_are_found(marker: str) -> None:
    answer = f"It opened in 1932{marker}. It is long."
    (span,) = find_markers(answer)
    assert answer[span.start : span.end] == marker
    assert split_claims(answer)[0].text.rstrip(" .") == "It opened in 1932"


@pytest.mark.parametrize(
    "text", ["`a[1]`", "```\na[1]\n```", "[1](https://example.com)", "[note]", "10^6", "x²", "[1932年的桥]", "(3)"]
)
def test_what_only_looks_like_a_marker_is_kept(text: str) -> None:
    assert find_markers(f"See {text} here.") == []
