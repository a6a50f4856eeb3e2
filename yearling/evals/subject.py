"""What takes an exam: the assistant as served (a full turn), or a bare engine with its own chat template. Independent of graders.

A model on a remote endpoint takes exams in the same two ways, since the engine pool serves it like a local one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import Protocol

from yearling.chat import Assistant, CorrectionSource, TurnRequest
from yearling.clock import new_id
from yearling.errors import BadInput, Unavailable, Unsupported
from yearling.evals.case import Case, SubjectResponse
from yearling.inference import GenerationRequest, PromptRenderer, ServedModel
from yearling.records import Sample, SamplingSettings

MAX_ATTEMPTS = 3
"""Attempts at one answer while the engine is unavailable. After the last the run stops; running the exam again resumes it."""

RETRY_PAUSE_S = 1.0
"""Pause after the first attempt; it doubles after each further one."""

DEFAULT_CONCURRENCY = 16


class Subject(Protocol):
    """Answers the cases of an exam."""

    @property
    def kind(self) -> str:
        """`assistant` or `engine`."""
        ...

    @property
    def model(self) -> str:
        """The name of the model."""
        ...

    @property
    def model_hash(self) -> str:
        """Identifies the weights and the adapter on them."""
        ...

    @property
    def max_concurrency(self) -> int:
        """The default number of concurrent cases: as many as leave every answer what it is when asked alone."""
        ...

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """Answer one case. Raises Unavailable if the engine stays unavailable; other failures are in `SubjectResponse.error`."""
        ...


class EngineSubject:
    """A model with nothing but its own chat template, which is what published results are measured on.

    Its prompts are those of chat without the assistant's system message.
    """

    kind = "engine"

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self.model = served.name
        self.model_hash = served_model_hash(served)
        self.max_concurrency = _max_concurrency(served)

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """See `Subject.respond`. Raises Unsupported for options if the engine cannot score them."""
        return await _respond_with_retries(self._respond, case, sampling)

    async def _respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        served = self._served
        if served.template is None or served.tokenizer is None:
            request = GenerationRequest(messages=case.messages, sampling=sampling)
        else:
            ids = tuple(await asyncio.to_thread(PromptRenderer.for_model(served).encode, case.messages))
            if case.options:
                return await score_options(served, ids, case)
            request = GenerationRequest(prompt_ids=ids, sampling=sampling)
        _require_scoring(case, served)
        generation = await served.engine.generate(request)
        return SubjectResponse(
            text=generation.text,
            finish_reason=generation.finish_reason,
            prompt_ids=request.prompt_ids or (),
            output_ids=tuple(token.id for token in generation.tokens),
            logprobs=tuple(token.logprob for token in generation.tokens),
            messages=case.messages,
            prompt_tokens=generation.prompt_tokens,
            completion_tokens=generation.completion_tokens,
        )


class AssistantSubject:
    """The assistant as people use it, with its system message. Its samples are collected here and not stored among people's."""

    kind = "assistant"

    def __init__(self, served: ServedModel, corrections: CorrectionSource | None = None) -> None:
        """`corrections`: those that the exam has given to the assistant."""
        self._served = served
        self._samples = _SampleCollector()
        self._assistant = Assistant(_SingleModelPool(served), self._samples, "exam", corrections=corrections)
        self.model = served.name
        self.model_hash = served_model_hash(served)
        self.max_concurrency = _max_concurrency(served)

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """See `Subject.respond`. Raises Unsupported for options if the engine cannot score them."""
        return await _respond_with_retries(self._respond, case, sampling)

    async def _respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        settings = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
        turn = await self._assistant.prepare(TurnRequest(request_id=new_id(), messages=case.messages, sampling=settings))
        if case.options:
            return await score_options(self._served, turn.choices[0].request.prompt_ids or (), case)
        try:
            choice = (await turn.answer()).choices[0]
        finally:
            samples = self._samples.pop_samples(turn.request.request_id)
        sample = next(sample for sample in samples if sample.id == choice.sample_id)
        return SubjectResponse(
            text=choice.text,
            finish_reason=choice.finish_reason,
            prompt_ids=sample.prompt_ids,
            output_ids=sample.output_ids,
            logprobs=sample.logprobs,
            messages=sample.messages,
            prompt_tokens=sample.prompt_tokens,
            completion_tokens=sample.completion_tokens,
        )


def _max_concurrency(served: ServedModel) -> int:
    return 1 if served.engine.capabilities.repeats_only_alone else DEFAULT_CONCURRENCY


async def score_options(served: ServedModel, prompt_ids: tuple[int, ...], case: Case) -> SubjectResponse:
    """The log-probability of each option as the answer to the prompt. The text is the likeliest option.

    Raises Unsupported if the engine cannot score given answers or takes no token ids.
    """
    _require_scoring(case, served)
    if served.tokenizer is None or not prompt_ids:
        raise Unsupported("Options need an engine that accepts token ids.", advice="Run the exam on a local model.")
    options = [tuple(served.tokenizer.encode(option)) for option in case.options]
    scores = await served.engine.score([(prompt_ids, ids) for ids in options], adapter_hash=served.adapter_hash)
    logprobs = tuple(sum(token_logprobs) for token_logprobs in scores)
    best = max(range(len(logprobs)), key=lambda index: logprobs[index])
    return SubjectResponse(
        text=case.options[best],
        option_logprobs=logprobs,
        option_tokens=tuple(len(ids) for ids in options),
        prompt_ids=prompt_ids,
        messages=case.messages,
        prompt_tokens=len(prompt_ids),
        completion_tokens=sum(len(ids) for ids in options),
    )


def served_model_hash(served: ServedModel) -> str:
    """The hash that exam runs record for a served model."""
    model_hash = served.engine.model_hash
    return f"{model_hash}+{served.adapter_hash}" if served.adapter_hash else model_hash


def is_same_model(recorded: str, model: str) -> bool:
    """Whether a recorded hash is that of `model`, which is such a hash too, or the hash of an adapter whatever it lies on."""
    return recorded == model or recorded.endswith(f"+{model}")


def _require_scoring(case: Case, served: ServedModel) -> None:
    if case.options and not served.engine.capabilities.score:
        raise Unsupported(
            f"{served.name} cannot return the log-probabilities of given answers, which this exam needs.",
            advice="Run an exam with generated answers instead.",
        )


async def _respond_with_retries(
    respond: Callable[[Case, SamplingSettings], Awaitable[SubjectResponse]], case: Case, sampling: SamplingSettings
) -> SubjectResponse:
    """Retry while the engine is unavailable. A request that is invalid in itself becomes an answer that failed."""
    for attempt in range(MAX_ATTEMPTS):
        try:
            return await respond(case, sampling)
        except Unsupported:
            raise
        except BadInput as error:  # above all, a prompt that is too long for the context
            return SubjectResponse(text="", finish_reason="error", messages=case.messages, error=str(error))
        except Unavailable:
            if attempt == MAX_ATTEMPTS - 1:
                raise
            await asyncio.sleep(RETRY_PAUSE_S * 2**attempt)
    raise RuntimeError("the last attempt neither returned nor raised")


class _SingleModelPool:
    """An engine pool of one model."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    async def get(self, name: str | None = None) -> ServedModel:
        return self._served


class _SampleCollector:
    """Collects the samples of turns in progress, in place of the store."""

    def __init__(self) -> None:
        self._by_request: dict[str, list[Sample]] = {}

    async def add(self, sample: Sample, /) -> None:
        self._by_request.setdefault(sample.request_id, []).append(sample)

    def pop_samples(self, request_id: str) -> Sequence[Sample]:
        return self._by_request.pop(request_id, [])
