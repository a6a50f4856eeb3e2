"""Which sentences answer a question."""

from __future__ import annotations

import numpy as np

from tests.retrieval.citations.sources import chunk, passage
from yearling.inference import FakeEmbedder
from yearling.retrieval.citations.choice import choose_sentences, score_sentences
from yearling.retrieval.citations.source import citable_sentences

TEXT = "赵鹏是中国足球运动员。他于1997年加入河南建业青年队。2014年他被租借到长春亚泰。由于伤病困扰，他没有出场机会。"


async def _chosen(question: str, *texts: str, embedder: FakeEmbedder | None = None) -> list[str]:
    passages = [passage(text, document=f"doc-{place}") for place, text in enumerate(texts)]
    chosen = await choose_sentences(question, passages, embedder)
    return [ranked.sentence.text for ranked in chosen]


async def test_words_alone_find_the_sentence() -> None:
    assert (await _chosen("赵鹏哪一年加入河南建业？", TEXT))[0] == "他于1997年加入河南建业青年队。"
    assert (await _chosen("When does the library open?", "The house is old. The library opens at nine."))[0].startswith(
        "The library"
    )


async def test_meaning_counts_where_words_do_not() -> None:
    sentences = citable_sentences([passage("Alpha one. Beta two. Gamma three.")])
    scores = score_sentences("Delta?", sentences, similarities=np.array([0.7, 0.9, 0.8], np.float32))
    assert int(np.argmax(scores)) == 1


async def test_embeds_the_question_as_a_query_and_sentences_as_passages() -> None:
    embedder = FakeEmbedder()
    await _chosen("出场?", TEXT, embedder=embedder)
    assert embedder.calls[0] == ("query: 出场?",)
    assert all(text.startswith("passage: ") for text in embedder.calls[1])


async def test_at_most_two_and_the_first_passage_wins_a_tie() -> None:
    chosen = await _chosen("When does it open?", "It opens at nine.", "It opens at nine!", "It opens at nine?")
    assert chosen == ["It opens at nine.", "It opens at nine!"]


async def test_passage_that_the_search_ranked_first_counts_more() -> None:
    passages = [passage("It opens at nine.", document="first"), passage("It opens at nine.", document="second")]
    sentences = citable_sentences(passages)
    first, second = score_sentences("When does it open?", sentences)
    assert first > second + 1


async def test_chunks_that_overlap_offer_a_sentence_once() -> None:
    cut = TEXT.index("2014")
    chunks = [chunk(TEXT, 0, cut + 16), chunk(TEXT, cut, len(TEXT))]
    chosen = await choose_sentences("2014年他被租借到哪里？", chunks, None, limit=9)
    spans = [ranked.sentence.span for ranked in chosen]
    assert len(set(spans)) == len(spans) == 4
    assert all(TEXT[span.start : span.end] == ranked.sentence.text for span, ranked in zip(spans, chosen, strict=True))


async def test_nothing_found_and_questions_without_words() -> None:
    assert await _chosen("When?") == []
    assert await _chosen("When?", "", "  ") == []
    assert len(await _chosen("？", TEXT)) == 2
