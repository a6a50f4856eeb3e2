"""The parts of ranking: words, BM25 against its definition, fusion, and the score that says whether there is an answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from yearling.retrieval.index.answerability import answerability, threshold_of
from yearling.retrieval.index.bm25 import WordStatistics, score_words
from yearling.retrieval.index.fusion import fuse_scores, reciprocal_ranks
from yearling.retrieval.index.tokens import MAX_QUERY_WORDS, index_tokens, query_tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("北京", ["北", "京", "北京"]),
        ("在北京的", ["在", "北", "京", "的", "在北", "北京", "京的"]),
        ("Café RÉSUMÉS", ["cafe", "resum"]),
        ("indexing indexed", ["index", "index"]),
        ("ＡＢＣ１２ ﬁne", ["abc12", "fine"]),
        ("用Python3写", ["用", "python3", "写"]),
        ("x" * 100, ["x" * 64]),
        (" \x00\udfff.,。|'\"*", []),
    ],
)
def test_words_of_texts(text: str, words: list[str]) -> None:
    assert index_tokens(text) == words


def test_a_question_has_each_word_once_and_not_too_many() -> None:
    assert query_tokens("to be or not to be") == ["to", "be", "or", "not"]
    assert len(query_tokens(" ".join(f"w{number}" for number in range(1000)))) == MAX_QUERY_WORDS


def test_bm25_is_its_definition() -> None:
    texts = ["k:a k:b k:a", "k:b k:c", "j:a k:d k:d k:d"]
    statistics = WordStatistics(num_passages=10, mean_words=3.0, passages_with={"a": 2, "b": 2, "z": 0})
    shares = score_words([(text, len(text.split())) for text in texts], ["a", "b", "z"], ["k:", "j:"], statistics)
    weight = math.log(1 + (10 - 2 + 0.5) / (2 + 0.5))

    def share(count: int, length: int) -> float:
        return weight * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * length / 3))

    expected = [[share(2, 3), share(1, 3), 0], [0, share(1, 2), 0], [share(1, 4), 0, 0]]
    np.testing.assert_allclose(shares, expected)


def test_fusion_adds_standardised_scores() -> None:
    rng = np.random.default_rng(0)
    bm25, cosine = rng.uniform(0, 20, 60), rng.uniform(0.7, 0.9, 60)
    expected = 0.3 * (bm25 - bm25.mean()) / bm25.std() + 0.7 * (cosine - cosine.mean()) / cosine.std()
    np.testing.assert_allclose(fuse_scores(bm25, cosine), expected)


def test_a_passage_without_a_vector_is_judged_by_its_words() -> None:
    bm25, cosine = np.arange(60.0), np.linspace(0.7, 0.9, 60)
    cosine[10] = np.nan
    assert fuse_scores(bm25, cosine)[10] == pytest.approx((bm25[10] - bm25.mean()) / bm25.std())
    assert not np.isnan(fuse_scores(np.zeros(60), np.full(60, np.nan))).any()


def test_few_candidates_are_fused_by_ranks() -> None:
    bm25, cosine = np.array([3.0, 0.0, 2.0]), np.array([0.8, 0.9, np.nan])
    expected = [1 / 61 + 1 / 62, 1 / 61, 1 / 62]
    np.testing.assert_allclose(fuse_scores(bm25, cosine), expected)
    np.testing.assert_allclose(reciprocal_ranks(bm25, cosine), expected)
    assert len(fuse_scores(np.zeros(0), np.zeros(0))) == 0


def test_a_word_that_stands_nowhere_lowers_the_score() -> None:
    shares, cosines = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([0.5, np.nan])
    np.testing.assert_allclose(answerability(shares, cosines), [3 / 5 + 1.5, 4 / 5])
    with_unknown = np.column_stack([shares, [0.0, 0.0]])
    np.testing.assert_allclose(answerability(with_unknown, cosines), [3 / 8 + 1.5, 4 / 8])
    np.testing.assert_allclose(answerability(np.zeros((1, 0)), np.array([0.5])), [1.5])
    assert threshold_of("unknown") is None
