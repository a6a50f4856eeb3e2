"""The extractive answer: quotations first, one sentence, or "not in your documents"."""

from __future__ import annotations

from tests.retrieval.citations.sources import align, passage
from yearling.retrieval.citations.choice import RankedSentence
from yearling.retrieval.citations.extractive import Answerability, quote_sentences, with_sentence
from yearling.retrieval.citations.source import citable_sentences
from yearling.retrieval.passages.sentences import sentence_spans

PASSAGE = passage("It opens at nine. Deliveries stop at five. Sunday is a holiday.", start=40, title="Handbook")
ANSWERABLE = Answerability(score=2.5, threshold=2.0)


def _ranked(*places: int) -> list[RankedSentence]:
    sentences = citable_sentences([PASSAGE], sentence_spans)
    return [RankedSentence(sentences[place], 1.0) for place in places]


def test_quotes_stand_in_the_order_of_the_source() -> None:
    answer = quote_sentences(_ranked(2, 0), [PASSAGE], ANSWERABLE)
    assert [(quote.number, quote.quote, quote.span.start) for quote in answer.quotes] == [
        (1, "It opens at nine.", 40),
        (2, "Sunday is a holiday.", 83),
    ]
    assert answer.sentence is None
    assert answer.quotes[0].title == "Handbook"


def test_not_in_the_documents_has_its_score_and_no_quotes() -> None:
    answer = quote_sentences(_ranked(0), [PASSAGE], Answerability(score=1.9, threshold=2.0))
    assert answer.quotes == ()
    assert (answer.answerability.score, answer.answerability.is_in_documents) == (1.9, False)


def test_sentence_of_the_model_shares_the_numbers_of_the_quotes() -> None:
    answer = quote_sentences(_ranked(0, 1), [PASSAGE], ANSWERABLE)
    sentence = align("Sunday is a holiday, and deliveries stop at five.", [PASSAGE], cited_before=answer.quotes)
    whole = with_sentence(answer, sentence)
    assert whole.sentence is not None
    numbers = {citation.quote: citation.number for citation in whole.sentence.citations}
    assert numbers == {"Deliveries stop at five.": 2, "Sunday is a holiday.": 3}


def test_sentence_that_nothing_supports_is_left_out() -> None:
    answer = quote_sentences(_ranked(0), [PASSAGE], ANSWERABLE)
    for text in ("Penguins live in Antarctica.", "It opens at eight."):
        assert with_sentence(answer, align(text, [PASSAGE], cited_before=answer.quotes)).sentence is None


def test_no_sentence_where_there_is_no_quote() -> None:
    answer = quote_sentences(_ranked(0), [PASSAGE], Answerability(score=0.0, threshold=2.0))
    assert with_sentence(answer, align("It opens at nine.", [PASSAGE])).sentence is None
