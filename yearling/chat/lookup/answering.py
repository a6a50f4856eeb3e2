"""Answers from sources: the quotation at once, then what the model adds, aligned before anybody takes it for the source's words.

Wraps the events of a choice. The last event carries what was looked up, and what of the answer stands where.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from yearling.chat.lookup.sources import AnswerSources, TurnSources
from yearling.chat.turn_events import TurnEvent
from yearling.checks import ReadNumber, read_numbers
from yearling.retrieval import (
    AlignedAnswer,
    FoundSources,
    SourcePassage,
    align_answer,
    alignment_rule,
    append_sentence,
    quote_texts,
)

MAX_SENTENCE_TOKENS = 80
"""Tokens of the sentence that a model adds to quotations."""


async def quoting_events(
    events: AsyncGenerator[TurnEvent, None], found: FoundSources, quotes: AlignedAnswer, *, choice: int
) -> AsyncGenerator[TurnEvent, None]:
    """The quotations, then the first sentence of the choice if they support all of it.

    The model's sentence is held back until it is compared. Raises what the choice raises; a failure after the quotations leaves
    them as they are.
    """
    text = ""
    async with aclosing(events):
        yield TurnEvent(choice=choice, text=quotes.text)
        async for event in events:
            text += event.text
            if event.finish_reason is None:
                continue
            whole = await asyncio.to_thread(complete_quotes, quotes, text, found.passages)
            if len(whole.text) > len(quotes.text):
                yield TurnEvent(choice=choice, text=whole.text[len(quotes.text) :])
            reason = "stop" if event.finish_reason == "length" else event.finish_reason
            answer = AnswerSources(found=found, aligned=whole, has_model_text=whole is not quotes)
            yield replace(event, text="", finish_reason=reason, sources=answer)


async def sourced_events(
    events: AsyncGenerator[TurnEvent, None], sources: TurnSources, *, is_shown: bool
) -> AsyncGenerator[TurnEvent, None]:
    """The events of a choice, whose last one carries the sources. `is_shown` says whether the model was shown them."""
    parts: list[str] = []
    async with aclosing(events):
        async for event in events:
            parts.append(event.text)
            if event.finish_reason is None:
                yield event
                continue
            aligned = await _align("".join(parts), sources) if is_shown else None
            yield replace(event, sources=AnswerSources(found=sources.found, aligned=aligned))


def complete_quotes(quotes: AlignedAnswer, text: str, passages: Sequence[SourcePassage]) -> AlignedAnswer:
    """The quotations with what the model wrote beside them, if they support it."""
    return append_sentence(quotes, text, passages, read_numbers=_read_numbers)


def completed_text(quoted: Sequence[str], text: str) -> str:
    """The text of a quoting answer, from the quoted sentences and what the model wrote, as a sample has them."""
    quotes, passages = quote_texts(quoted)
    return complete_quotes(quotes, text, passages).text


async def _align(text: str, sources: TurnSources) -> AlignedAnswer:
    return await align_answer(
        text,
        sources.found.passages,
        read_numbers=_read_numbers,
        rule=alignment_rule(sources.embedder),
        embedder=sources.embedder,
    )


def _read_numbers(text: str) -> Sequence[ReadNumber]:
    return read_numbers(text, with_words=True)
