"""Who sits an exam: the assistant as served (a full turn), or a bare engine with its own template. Knows no graders.

A remote endpoint sits through the same two doors: the pool serves its models like local ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Protocol

from yearling.chat import Assistant, TurnRequest
from yearling.clock import new_id
from yearling.errors import BadInput, Unavailable, Unsupported
from yearling.evals.case import Case, SubjectResponse
from yearling.inference import GenerationRequest, ServedModel
from yearling.records import Sample, SamplingSettings

MAX_ATTEMPTS = 3
"""How often an engine that is not there just now is asked before the run stops; it goes on from there at the next start."""

RETRY_PAUSE_S = 1.0

DEFAULT_CONCURRENCY = 16


class Subject(Protocol):
    """Answers cases."""

    @property
    def kind(self) -> str:
        """`assistant` or `engine`."""
        ...

    @property
    def model(self) -> str: ...

    @property
    def model_hash(self) -> str:
        """Names the weights, and the adapter on them."""
        ...

    @property
    def max_concurrency(self) -> int:
        """How many cases it is asked at once, unless told otherwise: as many as leave its answers what they are alone."""
        ...

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """Raises Unavailable when the engine stays away; whatever else goes wrong is in `Response.error`."""
        ...


class EngineSubject:
    """A model with nothing but its own chat template: what published figures are measured on."""

    kind = "engine"

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self.model = served.name
        self.model_hash = served_model_hash(served)
        self.max_concurrency = _max_concurrency(served)

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        return await _respond_with_retries(self._respond, case, sampling)

    async def _respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        served = self._served
        if served.template is None or served.tokenizer is None:
            request = GenerationRequest(messages=case.messages, sampling=sampling)
        else:
            ids = tuple(served.template.encode(served.tokenizer, case.messages))
            if case.options:
                return await score_options(served, ids, case)
            request = GenerationRequest(prompt_ids=ids, sampling=sampling)
        _require_scoring(case, served)
        done = await served.engine.generate(request)
        return SubjectResponse(
            text=done.text,
            finish_reason=done.finish_reason,
            prompt_ids=request.prompt_ids or (),
            output_ids=tuple(token.id for token in done.tokens),
            logprobs=tuple(token.logprob for token in done.tokens),
            messages=case.messages,
            prompt_tokens=done.prompt_tokens,
            completion_tokens=done.completion_tokens,
        )


class AssistantSubject:
    """The assistant as people meet it, system message and all. Its samples are caught here, and not stored as people's."""

    kind = "assistant"

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self._samples = _SampleCollector()
        self._assistant = Assistant(_SingleModelPool(served), self._samples, "exam")
        self.model = served.name
        self.model_hash = served_model_hash(served)
        self.max_concurrency = _max_concurrency(served)

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        return await _respond_with_retries(self._respond, case, sampling)

    async def _respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        given = {one.name: getattr(sampling, one.name) for one in fields(sampling)}
        turn = await self._assistant.prepare(TurnRequest(request_id=new_id(), messages=case.messages, sampling=given))
        if case.options:
            return await score_options(self._served, turn.choices[0].request.prompt_ids or (), case)
        try:
            choice = (await turn.answer()).choices[0]
        finally:
            samples = self._samples.pop_samples(turn.request.request_id)
        sample = next(one for one in samples if one.id == choice.sample_id)
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
    """The log-probability of each option as the answer to the prompt. Raises Unsupported where the engine tells none."""
    _require_scoring(case, served)
    if served.tokenizer is None or not prompt_ids:
        raise Unsupported("Options need an engine that takes token ids.")
    options = [tuple(served.tokenizer.encode(option)) for option in case.options]
    scores = await served.engine.score([(prompt_ids, ids) for ids in options], adapter_hash=served.adapter_hash)
    sums = tuple(sum(one) for one in scores)
    best = max(range(len(sums)), key=lambda at: sums[at])
    return SubjectResponse(
        text=case.options[best],
        option_logprobs=sums,
        option_tokens=tuple(len(ids) for ids in options),
        prompt_ids=prompt_ids,
        messages=case.messages,
        prompt_tokens=len(prompt_ids),
        completion_tokens=sum(len(ids) for ids in options),
    )


def served_model_hash(served: ServedModel) -> str:
    """Names what answers: the weights' hash, with the adapter's behind a plus sign."""
    return served.engine.model_hash + (f"+{served.adapter_hash}" if served.adapter_hash else "")


def _require_scoring(case: Case, served: ServedModel) -> None:
    if case.options and not served.engine.capabilities.score:
        raise Unsupported(
            f"{served.name} tells no log-probabilities of given answers, which this exam needs.",
            advice="Sit a generated exam instead.",
        )


async def _respond_with_retries(respond: Any, case: Case, sampling: SamplingSettings) -> SubjectResponse:
    """Engines that are away are waited for; a request that is wrong in itself is an answer that failed."""
    for attempt in range(MAX_ATTEMPTS):
        try:
            response: SubjectResponse = await respond(case, sampling)
        except Unsupported:
            raise
        except BadInput as error:  # a prompt too long for the context, above all
            return SubjectResponse(text="", finish_reason="error", messages=case.messages, error=str(error))
        except Unavailable:
            if attempt == MAX_ATTEMPTS - 1:
                raise
            await asyncio.sleep(RETRY_PAUSE_S * 2**attempt)
        else:
            return response
    raise RuntimeError("the last try neither returned nor raised")


class _SingleModelPool:
    """A pool of one model."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    async def get(self, name: str | None = None) -> ServedModel:
        return self._served


class _SampleCollector:
    """Keeps the samples of turns that are under way."""

    def __init__(self) -> None:
        self._by_request: dict[str, list[Sample]] = {}

    async def add(self, sample: Sample, /) -> None:
        self._by_request.setdefault(sample.request_id, []).append(sample)

    def pop_samples(self, request_id: str) -> Sequence[Sample]:
        return self._by_request.pop(request_id, [])
