"""The extractive answer: quotations first, then at most one sentence."""

from __future__ import annotations

from tests.retrieval.citations.sources import passage, read
from yearling.retrieval.citations.choice import RankedSentence
from yearling.retrieval.citations.extractive import append_sentence, quote_sentences, quote_texts
from yearling.retrieval.citations.source import SourcePassage, citable_sentences

PASSAGE = passage("It opens at nine. Deliveries stop at five. Sunday is a holiday.", start=40, title="Handbook")


def _ranked(*places: int, source: SourcePassage = PASSAGE) -> list[RankedSentence]:
    sentences = citable_sentences([source])
    return [RankedSentence(sentences[place], 1.0) for place in places]


def test_quotes_stand_in_the_order_of_the_source() -> None:
    answer = quote_sentences(_ranked(2, 0), [PASSAGE])
    assert answer.text == "> It opens at nine.\n\n> Sunday is a holiday.\n\n"
    assert [(quote.number, quote.quote, quote.span.start) for quote in answer.citations] == [
        (1, "It opens at nine.", 40),
        (2, "Sunday is a holiday.", 83),
    ]
    assert [answer.text[quote.start_index : quote.end_index] for quote in answer.citations] == [
        "It opens at nine.",
        "Sunday is a holiday.",
    ]
    assert answer.citations[0].title == "Handbook"


def test_line_breaks_of_a_quote_do_not_end_it() -> None:
    source = passage("The bridge over the river beside the old market hall\nwas opened in the summer of 1932.")
    answer = quote_sentences(_ranked(0, source=source), [source])
    assert answer.text == "> The bridge over the river beside the old market hall was opened in the summer of 1932.\n\n"
    assert answer.citations[0].quote == source.text


def test_sentence_of_the_model_shares_the_numbers_of_the_quotes() -> None:
    quotes = quote_sentences(_ranked(0, 1), [PASSAGE])
    sentence = "Deliveries stop at five, and it opens at nine."
    whole = append_sentence(quotes, f"{sentence} More follows.", [PASSAGE], read_numbers=read)
    numbers = {whole.text[each.start_index : each.end_index]: each.number for each in whole.citations[:2]}
    assert numbers == {"It opens at nine.": 1, "Deliveries stop at five.": 2}
    assert {each.quote: each.number for each in whole.citations[2:]} == {
        "It opens at nine.": 1,
        "Deliveries stop at five.": 2,
    }
    assert {whole.text[each.start_index : each.end_index] for each in whole.citations[2:]} == {sentence}
    assert whole.text[whole.claims[-1].span.start :] == sentence


def test_sentence_that_nothing_supports_is_left_out() -> None:
    quotes = quote_sentences(_ranked(0), [PASSAGE])
    for text in ("Penguins live in Antarctica.", "It opens at eight.", "Sunday is a holiday.", "Why?", ""):
        assert append_sentence(quotes, text, [PASSAGE], read_numbers=read) == quotes


def test_texts_alone_give_the_same_answer() -> None:
    quotes = quote_sentences(_ranked(0, 1), [PASSAGE])
    alone, passages = quote_texts([quote.quote for quote in quotes.citations])
    assert alone.text == quotes.text
    for text in ("It opens at nine.", "It opens at eight."):
        whole = append_sentence(quotes, text, [PASSAGE], read_numbers=read)
        assert append_sentence(alone, text, passages, read_numbers=read).text == whole.text
