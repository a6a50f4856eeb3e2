"""What looking things up is worth: the same questions asked of a model alone, and of the model with an index.

    python -m benchmarks.open_book DATA --models FOLDER [--questions 200]

DATA has the folders `cmrc2018` and `xquad`; FOLDER is a data folder with the default model and the embedding model. An answer
counts as right if one of the published answers stands in it, whatever the case and the spaces.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import unicodedata
from pathlib import Path

import numpy as np

from yearling.chat import Assistant, TurnRequest, TurnSources
from yearling.chat.sample_recording import DiscardingSampleSink
from yearling.config import Settings
from yearling.evals.lookup.indexed_set import IndexedQuestionSet
from yearling.evals.lookup.question_sets import AnsweredQuestion, QuestionSet, read_cmrc, read_xquad
from yearling.evals.paired_tests import difference_interval
from yearling.inference import EnginePool
from yearling.models import ModelLibrary

SEED = 17
MAX_TOKENS = 48


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Closed book against open book.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=200)
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.data, arguments.models, arguments.questions))


async def _run(data: Path, models: Path, num_questions: int) -> None:
    settings = Settings(data_dir=models)
    pool = EnginePool(settings, ModelLibrary(settings.models_dir))
    assistant = Assistant(pool, DiscardingSampleSink(), "nobody")
    try:
        embedder = await pool.get_embedder()
        for questions in (read_xquad(data, "en"), read_cmrc(data)):
            indexed = await IndexedQuestionSet.open(questions, embedder)
            try:
                await _compare(questions, indexed, assistant, num_questions)
            finally:
                await indexed.close()
    finally:
        await assistant.close()
        await pool.close()


async def _compare(questions: QuestionSet, indexed: IndexedQuestionSet, assistant: Assistant, num_questions: int) -> None:
    asked = random.Random(SEED).sample(list(questions.questions), min(num_questions, len(questions.questions)))
    closed: list[float] = []
    opened: list[float] = []
    num_abstained = 0
    for question in asked:
        sources = await indexed.look_up(question.text)
        num_abstained += sources is None
        closed.append(_is_right(await _answer(assistant, question), question))
        opened.append(_is_right(await _answer(assistant, question, sources), question) if sources is not None else closed[-1])
    passages = [str(question.passage) for question in asked]
    interval = difference_interval(closed, opened, passages, seed=SEED)
    print(
        f"{questions.name}: {len(asked)} questions, closed book {np.mean(closed):.3f}, open book {np.mean(opened):.3f}, "
        f"gain {np.mean(opened) - np.mean(closed):+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]; not found {num_abstained}",
        flush=True,
    )


async def _answer(assistant: Assistant, question: AnsweredQuestion, sources: TurnSources | None = None) -> str:
    request = TurnRequest(
        request_id="open-book",
        messages=({"role": "user", "content": question.text},),
        sampling={"temperature": 0.0, "max_tokens": MAX_TOKENS},
        sources=sources,
    )
    return (await assistant.answer(request)).text


def _is_right(answer: str, question: AnsweredQuestion) -> float:
    given = _plain(answer)
    return float(any(_plain(text) in given for text, _ in question.answers))


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


if __name__ == "__main__":
    main()
