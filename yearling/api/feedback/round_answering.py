"""Answers the questions of rounds while nobody else generates: one answer at a time, in the background of the server.

A request for generation interrupts the answer in progress, so nobody waits for a round. The tables hold all state: both answers
of a pair are stored at once, so after an interruption or a restart the pair is answered again, and nothing half-made remains.

The questions are nobody's chat. An answer gets the behaviour spec's system message and no memory, no personal settings, no tools.
Its sample is kept in full whatever the retention setting says, because lessons replay its token ids.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from yearling.api.idle_generation import GenerationActivity, GenerationInterruptedError, IdleGeneration
from yearling.chat import SPEC_SYSTEM_MESSAGE, Assistant, ServedModelProvider, TurnRequest
from yearling.clock import new_id
from yearling.errors import UserError
from yearling.feedback import WRITTEN_ANSWER_KIND, FeedbackLog, close_finished_rounds
from yearling.records import Sample
from yearling.store import Round, RoundAnswer, RoundPair, make_text
from yearling.tracebacks import describe_exception

_log = structlog.get_logger("yearling.api")

MAX_ATTEMPTS = 3
"""Attempts at the answers of a pair, after which it has failed."""
MAX_ANSWER_TOKENS = 1024
DISTINCT_TEMPERATURE = 0.8
"""The temperature of both answers where only chance makes them differ, and of any answer that repeated the other."""

STOPPED_ERROR = "The server stopped each time while it answered this question."
EQUAL_ERROR = "Both answers have the same words."
EMPTY_ERROR = "The model gave an empty answer."
CUT_OFF_ERROR = f"The answer did not end within {MAX_ANSWER_TOKENS} tokens."
INTERNAL_ERROR = "An unexpected error; the log of the server describes it."

ERROR_CODES = {
    STOPPED_ERROR: "server_stopped",
    EQUAL_ERROR: "equal_answers",
    EMPTY_ERROR: "empty_answer",
    CUT_OFF_ERROR: "answer_too_long",
    INTERNAL_ERROR: "internal_error",
}
"""Stable identifiers of our own reasons, for clients that translate them. A model's errors have none."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer as people see it, and its sample."""

    text: str
    sample: Sample


class _UnusableAnswerError(Exception):
    """An answer that nobody can judge. The message is for the maintainer of the round."""


class _PendingSamples:
    """Keeps samples in memory until both answers of a pair exist."""

    def __init__(self) -> None:
        self.samples: dict[str, Sample] = {}

    async def add(self, sample: Sample, /) -> object:
        """Keep the sample."""
        self.samples[sample.id] = sample
        return True


class RoundAnswering(IdleGeneration[tuple[Round, RoundPair]]):
    """The background task of one server. Use from one event loop."""

    failure_event = "round_answering_failed"

    def __init__(
        self,
        log: FeedbackLog,
        pool: ServedModelProvider,
        activity: GenerationActivity,
        *,
        owner_id: str,
        quiet_s: float = 2.0,
        retry_pause_s: float = 5.0,
        idle_poll_s: float = 30.0,
    ) -> None:
        """The timing is that of `IdleGeneration`. `retry_pause_s` is also the pause after a failed attempt at a pair."""
        self._feedback_log = log
        self._store = log.store
        self._pending = _PendingSamples()
        super().__init__(
            Assistant(pool, self._pending, owner_id),
            activity,
            quiet_s=quiet_s,
            retry_pause_s=retry_pause_s,
            idle_poll_s=idle_poll_s,
        )
        self._finished: tuple[str, dict[int, _Answer]] = ("", {})
        """The pair being answered, and those of its answers that exist."""

    def find_work(self) -> tuple[Round, RoundPair] | None:
        """The next pair to answer. Closes the rounds that need neither answers nor judgements any more."""
        close_finished_rounds(self._feedback_log)
        return self._store.rounds.next_waiting()

    async def do_work(self, work: tuple[Round, RoundPair]) -> None:
        """Answer a pair, or record that it failed. An attempt that was interrupted does not count."""
        record, pair = work
        if self._finished[0] != pair.id:
            self._finished = (pair.id, {})
        rounds = self._store.rounds
        try:
            number = await asyncio.to_thread(rounds.begin_attempt, pair.id)
            error = await self._attempt(record, pair) if number <= MAX_ATTEMPTS else STOPPED_ERROR
        except GenerationInterruptedError:
            await asyncio.to_thread(rounds.undo_attempt, pair.id)
            return
        except asyncio.CancelledError:
            await asyncio.to_thread(rounds.undo_attempt, pair.id)
            raise
        finally:
            self._pending.samples.clear()
        if not error:
            return
        _log.info("round_pair_not_answered", pair=pair.id, attempt=number)
        if number >= MAX_ATTEMPTS:
            await asyncio.to_thread(rounds.record_failure, pair.id, error)
        else:
            await asyncio.sleep(self.retry_pause_s)

    async def _attempt(self, record: Round, pair: RoundPair) -> str:
        """Answer a pair and store it. Returns why that was impossible, or an empty text."""
        try:
            answers = await self._answers_of_pair(record, pair)
        except GenerationInterruptedError:
            raise
        except _UnusableAnswerError as error:
            return str(error)
        except UserError as error:
            return error.message
        except Exception as error:  # a model can fail in ways that nobody has seen; the task must outlive them
            _log.error("round_answer_failed", pair=pair.id, **describe_exception(error))
            return INTERNAL_ERROR
        if secrets.randbelow(2):
            answers.reverse()
        await asyncio.to_thread(self._store.rounds.record_answers, pair.id, *answers)
        return ""

    async def _answers_of_pair(self, record: Round, pair: RoundPair) -> list[RoundAnswer]:
        """Both answers. The order in which two models answer is random, because ids tell it."""
        finished = self._finished[1]
        models: list[str | None] = [*record.models] if record.method == "models" else [None, None]
        numbers = [0] if record.method == "wanted" else [0, 1]
        if secrets.randbelow(2):
            numbers.reverse()
        for number in numbers:
            if number not in finished:
                others = {answer.text.strip() for answer in finished.values()} | {pair.wanted or None}
                finished[number] = await self._distinct_answer(record, pair, models[number], others)
        answers = [_model_answer(finished[number]) for number in numbers]
        if record.method == "wanted":
            content = {"messages": _messages(finished[0]), "text": pair.wanted}
            text = make_text(new_id(), WRITTEN_ANSWER_KIND, content, person_id=record.person_id)
            answers.append(RoundAnswer(text=text))
        return answers

    async def _distinct_answer(self, record: Round, pair: RoundPair, model: str | None, others: set[str | None]) -> _Answer:
        """An answer with other words than those. Raises _UnusableAnswerError if several seeds repeat them."""
        sampling: dict[str, Any] = {"temperature": DISTINCT_TEMPERATURE} if record.method == "sampling" else {}
        for _ in range(MAX_ATTEMPTS):
            answer = await self._generate(record, pair, model, sampling)
            if answer.text.strip() not in others:
                return answer
            sampling = {"temperature": DISTINCT_TEMPERATURE}
        raise _UnusableAnswerError(EQUAL_ERROR)

    async def _generate(self, record: Round, pair: RoundPair, model: str | None, sampling: Mapping[str, Any]) -> _Answer:
        """One answer. Raises GenerationInterruptedError if somebody asks for an answer meanwhile."""
        return await self.generate(lambda: self._answer_once(record, pair, model, sampling))

    async def _answer_once(self, record: Round, pair: RoundPair, model: str | None, sampling: Mapping[str, Any]) -> _Answer:
        request = TurnRequest(
            request_id=new_id(),
            # Also for remote models, which would see none otherwise: two answers make a lesson only after one prompt.
            messages=(
                {"role": "system", "content": SPEC_SYSTEM_MESSAGE, "source": "spec"},
                {"role": "user", "content": pair.question},
            ),
            model=model,
            sampling={"max_tokens": MAX_ANSWER_TOKENS, **sampling},
        )
        turn = await self._assistant.prepare(request, person_id=record.person_id)
        (choice,) = (await turn.answer()).choices
        if choice.finish_reason == "length":
            raise _UnusableAnswerError(CUT_OFF_ERROR)
        if not choice.text.strip():
            raise _UnusableAnswerError(EMPTY_ERROR)
        return _Answer(choice.text, self._pending.samples[choice.sample_id])


def _model_answer(answer: _Answer) -> RoundAnswer:
    content = {"messages": _messages(answer), "text": answer.text}
    return RoundAnswer(text=make_text(answer.sample.id, WRITTEN_ANSWER_KIND, content), sample=answer.sample)


def _messages(answer: _Answer) -> list[dict[str, Any]]:
    """What the model saw, which both texts of a pair carry."""
    return [dict(message) for message in answer.sample.messages]
