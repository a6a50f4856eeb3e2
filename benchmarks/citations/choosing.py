"""Does the cited sentence have the answer: with the right passage given, and with the passages that a search finds?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.citations.figures import Share
from benchmarks.citations.made_claims import right_sentences
from benchmarks.questions import AnsweredQuestion, QuestionSet
from yearling.inference import Embedder
from yearling.retrieval.citations.choice import choose_sentences
from yearling.retrieval.citations.source import SourcePassage
from yearling.retrieval.index.bm25 import K1, B, WordStatistics
from yearling.retrieval.index.fusion import fuse_scores
from yearling.retrieval.index.tokens import index_tokens
from yearling.store import Span


def as_passages(questions: QuestionSet) -> list[SourcePassage]:
    """Each passage as a document of its own."""
    return [
        SourcePassage(document_id=f"passage-{place}", text_sha256=f"text-{place}", span=Span(0, len(text)), text=text)
        for place, text in enumerate(questions.passages)
    ]


async def right_sentence_shares(questions: QuestionSet, embedder: Embedder | None) -> list[tuple[str, Share]]:
    """With the right passage given: whether one sentence, or one of two, is annotated as right, and whether it has the answer."""
    passages = as_passages(questions)
    first, either, first_text, either_text = [], [], [], []
    for question in questions.questions:
        passage = passages[question.passage]
        chosen = await choose_sentences(question.text, [passage], embedder)
        right = right_sentences(question, passage.text)
        spans = [ranked.sentence.span for ranked in chosen]
        first.append(spans[0] in right)
        either.append(any(span in right for span in spans))
        first_text.append(_has_answer(question, [chosen[0].sentence.text]))
        either_text.append(_has_answer(question, [ranked.sentence.text for ranked in chosen]))
    return [
        ("the right sentence, one cited", Share.of(first)),
        ("the right sentence, two cited", Share.of(either)),
        ("the answer stands in it, one cited", Share.of(first_text)),
        ("the answer stands in one of two cited", Share.of(either_text)),
    ]


async def found_passage_shares(
    questions: QuestionSet, embedder: Embedder, *, num_passages: int
) -> tuple[Share, Share, NDArray[np.intp]]:
    """With the passages that the hybrid search finds: whether the right one is the first, whether the answer is in what is cited.

    Also returns the order of all passages for each question (Q, P).
    """
    passages = as_passages(questions)
    order_QP = await search_order(questions, embedder)
    is_first, has_answer = [], []
    for question, order_P in zip(questions.questions, order_QP, strict=True):
        found = [passages[place] for place in order_P[:num_passages]]
        chosen = await choose_sentences(question.text, found, embedder)
        is_first.append(bool(order_P[0] == question.passage))
        has_answer.append(_has_answer(question, [ranked.sentence.text for ranked in chosen]))
    return Share.of(is_first), Share.of(has_answer), order_QP


async def search_order(questions: QuestionSet, embedder: Embedder) -> NDArray[np.intp]:
    """The passages in the order of the search, best first, for each question (Q, P)."""
    meaning_QP = (await embedder.embed_texts([question.text for question in questions.questions])) @ (
        await embedder.embed_texts(questions.passages, input_type="passage")
    ).T
    words_QP = _bm25([question.text for question in questions.questions], questions.passages)
    pairs = zip(words_QP, meaning_QP.astype(np.float64), strict=True)
    scores_QP = np.stack([fuse_scores(words_P, meaning_P) for words_P, meaning_P in pairs])
    return np.argsort(-scores_QP, axis=1, kind="stable")


def _has_answer(question: AnsweredQuestion, texts: Sequence[str]) -> bool:
    return any(answer in text for answer, _ in question.answers for text in texts)


def _bm25(queries: Sequence[str], texts: Sequence[str]) -> NDArray[np.float64]:
    counts = [Counter(index_tokens(text)) for text in texts]
    lengths_P = np.array([counter.total() for counter in counts], np.float64)
    norms_P = K1 * (1 - B + B * lengths_P / lengths_P.mean())
    holders: dict[str, list[int]] = {}
    for place, counter in enumerate(counts):
        for token in counter:
            holders.setdefault(token, []).append(place)
    weights: dict[str, tuple[list[int], NDArray[np.float64]]] = {}
    for token, places in holders.items():
        frequencies = np.array([counts[place][token] for place in places], np.float64)
        rarity = WordStatistics(len(texts), lengths_P.mean(), {token: len(places)}).weight(token)
        weights[token] = places, rarity * frequencies * (K1 + 1) / (frequencies + norms_P[places])
    scores_QP = np.zeros((len(queries), len(texts)))
    for place, query in enumerate(queries):
        for token in dict.fromkeys(index_tokens(query)):
            if token in weights:
                places, scores = weights[token]
                scores_QP[place, places] += scores
    return scores_QP
