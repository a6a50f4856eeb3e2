"""One assistant turn: messages in, an answer and its samples out.

This module checks and renders a request before any generation starts. `choice.py` then generates: it reasons if asked to, parses,
checks, stores the sample, and only then reports the answer as complete. Knows engines by their protocol, and nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from yearling.chat.choice import ChoiceGenerator
from yearling.chat.corrections.earlier_turn import UsedCorrection, question_of, shown_corrections, with_earlier_turns
from yearling.chat.json_types import ToolCallDict
from yearling.chat.lookup.answering import MAX_SENTENCE_TOKENS, quoting_events, sourced_events
from yearling.chat.lookup.prompting import with_quotes, with_sources
from yearling.chat.lookup.sources import AnswerSources
from yearling.chat.model_routing import DirectRouter, ModelRouter
from yearling.chat.output_parsing import TokenText
from yearling.chat.prompt_rendering import ChatPromptRenderer
from yearling.chat.request import PartialAnswer, TurnRequest, check_request, forced_function
from yearling.chat.sample_recording import DiscardingSampleSink, SampleRecorder, SampleSink
from yearling.chat.served_spec import with_spec_message
from yearling.chat.structured_output import OutputConstraint
from yearling.chat.turn_events import AssistantAnswer, ChoiceAnswer, TokenUsage, TurnEvent
from yearling.errors import ContextLengthExceeded, Unsupported
from yearling.inference import (
    GenerationRequest,
    ServedModel,
    TokenizerLike,
    messages_for_model,
    split_unopened_thinking,
    validate_request,
)
from yearling.records import SamplingSettings

DEFAULT_SAMPLING = SamplingSettings(temperature=0.2, top_p=0.9)
"""The sampling of local models unless a request overrides it: what the default model's authors recommend."""

_NUM_SEEDS = 2**31
_MAX_STOPS = 4

SourceUse = Literal["none", "quote", "write"]
"""How a turn uses its sources: not, by quoting them, or by showing them to the model, which writes the answer."""


class ServedModelProvider(Protocol):
    """Opens models by name, as an engine pool does."""

    async def get(self, name: str | None = None) -> ServedModel:
        """The opened model; None names the default model. Raises NotFound."""
        ...


class CorrectionSource(Protocol):
    """Finds what people corrected, as `CorrectionMemory` does."""

    async def find(self, question: str, person_id: str) -> list[UsedCorrection]:
        """The corrections that bear on a question of this person, the most similar first."""
        ...

    async def get_reader(self, model_name: str) -> str | None:
        """Content hash of the loaded adapter with which a model reads corrections; None if it has none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTurn:
    """A checked turn that can start. Call either `stream` or `answer`, and only once."""

    request: TurnRequest
    served: ServedModel
    person_id: str
    recorder: SampleRecorder
    choices: tuple[ChoiceGenerator, ...]
    corrections: tuple[UsedCorrection, ...] = ()
    """The entries of corrections memory that bear on the question; the model is shown all but reminders."""
    source_use: SourceUse = "none"

    @property
    def sources_so_far(self) -> AnswerSources | None:
        """The sources of an answer that does not come to its end: what is quoted stands there from the start."""
        sources = self.request.sources
        if sources is None:
            return None
        if self.source_use == "quote":
            return AnswerSources(found=sources.found, aligned=sources.quotes, has_model_text=False)
        return AnswerSources(found=sources.found)

    def _events_of(self, choice: ChoiceGenerator) -> AsyncGenerator[TurnEvent, None]:
        sources = self.request.sources
        if sources is None:
            return choice.events()
        if self.source_use == "quote" and sources.quotes is not None:
            return quoting_events(choice.events(), sources.found, sources.quotes, choice=choice.index)
        return sourced_events(choice.events(), sources, is_shown=self.source_use == "write")

    async def stream(self) -> AsyncGenerator[TurnEvent, None]:
        """The events of all choices in the order in which they occur. Closing the generator stops generation within one step.

        The last event of a choice follows once its sample is durable. Raises what the engine and the sample sink raise.
        """
        streams = [self._events_of(choice) for choice in self.choices]
        events = streams[0] if len(streams) == 1 else _merge_choices(streams)
        async with aclosing(events):
            async for event in events:
                yield event

    async def answer(self) -> AssistantAnswer:
        """The complete answer of the turn. Raises what `stream` raises."""
        accumulators = [_ChoiceAccumulator() for _ in self.choices]
        async with aclosing(self.stream()) as events:
            async for event in events:
                accumulators[event.choice].add(event)
        choices = [accumulator.to_answer(index) for index, accumulator in enumerate(accumulators)]
        if self.served.template is None:  # an endpoint may begin inside a thinking section that its prompt opens
            choices = [_without_unopened_thinking(choice) for choice in choices]
        return AssistantAnswer(choices=tuple(choices))


class Assistant:
    """Answers with the models of a pool. Samples belong to `person_id` unless a call names another person."""

    def __init__(
        self,
        pool: ServedModelProvider,
        writer: SampleSink,
        person_id: str,
        *,
        router: ModelRouter | None = None,
        corrections: CorrectionSource | None = None,
        source_answers: Literal["auto", "quote", "write"] = "auto",
    ) -> None:
        """`source_answers` says how answers use what was looked up: see `Settings.source_answers`."""
        self._pool = pool
        self._source_answers = source_answers
        self._corrections = corrections
        self._router = router or DirectRouter()
        self._recorder = SampleRecorder(writer)
        self._discarding_recorder = SampleRecorder(DiscardingSampleSink())
        self._person_id = person_id

    async def prepare(self, request: TurnRequest, *, person_id: str | None = None) -> PreparedTurn:
        """Check and render a request without generating anything. The samples will belong to `person_id`, if given.

        Raises BadInput for an invalid request, NotFound for an unknown model, ContextLengthExceeded for a prompt that is too
        long, Unsupported for what the model or its engine cannot do.
        """
        constraint = await asyncio.to_thread(check_request, request) if request.has_schemas else check_request(request)
        person_id = person_id or self._person_id
        served = await self._pool.get(await self._router.route(request.model, person_id))
        if served.template is not None:  # a remote endpoint has a default system message of its own
            request = with_spec_message(request)
        used = await self._find_corrections(request, person_id)
        is_shown = any(correction.kind == "correction" for correction in used)
        if is_shown:  # what people said is right outweighs what stands somewhere
            request = replace(request, sources=None)
        bare_request = request
        if used:
            request = replace(request, messages=with_earlier_turns(request.messages, used))
        source_use = self._source_use(request, served)
        request = _with_sources(request, source_use)
        if constraint is not None and constraint.named_call is not None and served.template is not None:
            prompter = ChatPromptRenderer(served)
            if await asyncio.to_thread(lambda: prompter.names_forced_calls):
                constraint = constraint.named_call
        engine_request = await self._engine_request(request, served, constraint)
        if is_shown and self._corrections is not None and _can_use_reader(request, served):
            engine_request = replace(engine_request, adapter_hash=await self._corrections.get_reader(served.name))
        try:
            available_tokens = validate_request(engine_request, served.engine.capabilities)
        except ContextLengthExceeded:
            if not used and source_use == "none":
                raise
            # An answer without corrections and sources is better than none.
            request, used, source_use = replace(bare_request, sources=None), [], "none"
            engine_request = await self._engine_request(request, served, constraint)
            available_tokens = validate_request(engine_request, served.engine.capabilities)
        if request.logprobs and (served.tokenizer is None or not served.engine.capabilities.logprobs):
            raise Unsupported("The engine of this model does not report log-probabilities.", param="logprobs")
        sampling = engine_request.sampling
        if request.partial_answer is not None:
            request = replace(request, messages=(*request.messages, request.partial_answer.message))
        recorder = self._recorder if request.store else self._discarding_recorder
        choices = tuple(
            ChoiceGenerator(
                turn_request=request,
                served=served,
                request=replace(engine_request, sampling=replace(sampling, seed=(sampling.seed + index) % _NUM_SEEDS)),
                available_tokens=available_tokens,
                index=index,
                person_id=person_id,
                recorder=recorder,
                constraint=constraint,
            )
            for index in range(request.n)
        )
        return PreparedTurn(
            request=request,
            served=served,
            person_id=person_id,
            recorder=recorder,
            choices=choices,
            corrections=tuple(used),
            source_use=source_use,
        )

    def _source_use(self, request: TurnRequest, served: ServedModel) -> SourceUse:
        """How the turn uses its sources. Only a plain answer can begin with quotations."""
        sources = request.sources
        if sources is None or sources.found.is_answered is False:
            return "none"
        is_plain = not (request.has_schemas or request.logprobs or request.partial_answer) and request.effort in (None, "none")
        quotes = self._source_answers == "quote" or (self._source_answers == "auto" and served.template is not None)
        return "quote" if quotes and is_plain and sources.quotes is not None else "write"

    async def _find_corrections(self, request: TurnRequest, person_id: str) -> list[UsedCorrection]:
        """The corrections that bear on the question of a request, if it ends with one."""
        question = question_of(request.messages)
        if self._corrections is None or not request.corrections or not question:
            return []
        return await self._corrections.find(question, person_id)

    async def context_tokens(self, model: str | None, *, person_id: str | None = None) -> int | None:
        """The most tokens of prompt and answer together; None for a remote endpoint, which does not say. Raises NotFound."""
        served = await self._pool.get(await self._router.route(model, person_id or self._person_id))
        return served.engine.capabilities.context_tokens if served.template is not None else None

    async def stream(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Prepare the request and yield the events of the turn. Raises what `prepare` and `PreparedTurn.stream` raise."""
        turn = await self.prepare(request)
        async with aclosing(turn.stream()) as events:
            async for event in events:
                yield event

    async def answer(self, request: TurnRequest) -> AssistantAnswer:
        """Prepare the request and return the complete answer. Raises what `prepare` and `PreparedTurn.answer` raise."""
        return await (await self.prepare(request)).answer()

    async def close(self) -> None:
        """Return once the samples of abandoned turns are stored."""
        await self._recorder.drain()
        await self._discarding_recorder.drain()

    async def _engine_request(
        self, request: TurnRequest, served: ServedModel, constraint: OutputConstraint | None
    ) -> GenerationRequest:
        sampling = _resolve_sampling(request, served)
        if served.template is None and not served.engine.capabilities.token_ids:
            if request.partial_answer is not None:
                raise Unsupported(
                    "The endpoint of this model cannot continue an answer.",
                    advice="Send a message that asks it to continue.",
                    param="kind",
                )
            return GenerationRequest(
                messages=tuple(messages_for_model(request.messages)),
                sampling=sampling,
                json_schema=request.json_schema,
                top_logprobs=request.top_logprobs,
                extra=_remote_options(request),
            )
        prompter = ChatPromptRenderer(served)
        forced_tool = forced_function(request, constraint)
        schema = constraint.grammar_forms[0] if constraint is not None else None

        def render() -> tuple[int, ...]:
            return prompter.render(
                request.messages,
                tools=request.offered_tools,
                forced_tool=forced_tool,
                json_schema=None if forced_tool else request.json_schema,
            )

        ids = await asyncio.to_thread(render)
        if request.partial_answer is not None:
            ids = _continuation_ids(ids, request, request.partial_answer, served, prompter.tokenizer)
        return GenerationRequest(prompt_ids=ids, sampling=sampling, json_schema=schema, top_logprobs=request.top_logprobs)


def _with_sources(request: TurnRequest, use: SourceUse) -> TurnRequest:
    """The request whose messages show the sources, if it uses them."""
    sources = request.sources
    if sources is None or use == "none":
        return request
    if use == "write" or sources.quotes is None:
        return replace(request, messages=with_sources(request.messages, sources.found))
    stops = tuple(request.sampling.get("stop", ()))
    limit = request.sampling.get("max_tokens") or MAX_SENTENCE_TOKENS
    sampling = {
        **request.sampling,
        "max_tokens": min(limit, MAX_SENTENCE_TOKENS),
        "stop": (*stops[: _MAX_STOPS - 1], "\n"),
    }
    quoted = [citation.quote for citation in sources.quotes.citations]
    return replace(request, messages=with_quotes(request.messages, quoted), sampling=sampling)


def _can_use_reader(request: TurnRequest, served: ServedModel) -> bool:
    """Whether an adapter that only learnt to read corrections may give this answer: a plain text of the bare model."""
    reasons = request.effort not in (None, "none")
    return served.engine.capabilities.adapters and served.adapter_hash is None and not request.has_schemas and not reasons


def _continuation_ids(
    ids: tuple[int, ...],
    request: TurnRequest,
    partial_answer: PartialAnswer,
    served: ServedModel,
    tokenizer: TokenizerLike,
) -> tuple[int, ...]:
    """The prompt of a continued answer: the exact ids if the same model gave it, else `ids` and the text of the answer.

    A correction that was deleted, reworded or switched off since then must not be shown again.
    """
    is_same_model = partial_answer.model_hash == served.engine.model_hash
    if partial_answer.prompt_ids and is_same_model and partial_answer.corrections == shown_corrections(request.messages):
        emitted = partial_answer.output_ids
        if emitted and emitted[-1] in tokenizer.stop_ids:
            emitted = emitted[:-1]
        return (*partial_answer.prompt_ids, *emitted)
    return (*ids, *tokenizer.encode(partial_answer.text))


def _remote_options(request: TurnRequest) -> dict[str, Any]:
    """The options that a remote endpoint handles itself: tools, a schema that is not strict, and reasoning effort."""
    extra: dict[str, Any] = {}
    if request.tools:
        function_name = request.tool_choice.partition("function:")[2]
        extra["tools"] = list(request.tools)
        extra["tool_choice"] = {"type": "function", "function": {"name": function_name}} if function_name else request.tool_choice
        extra["parallel_tool_calls"] = request.parallel_tool_calls
    if request.json_schema is not None and not request.strict:
        answer = {"name": "answer", "schema": request.json_schema, "strict": False}
        extra["response_format"] = {"type": "json_schema", "json_schema": answer}
    if request.effort is not None:
        extra["reasoning_effort"] = request.effort
    return extra


def _resolve_sampling(request: TurnRequest, served: ServedModel) -> SamplingSettings:
    """The defaults with the request's fields; a random seed unless the request has one."""
    base = DEFAULT_SAMPLING if served.template is not None else SamplingSettings()
    sampling = replace(base, **request.sampling)
    seed = secrets.randbelow(_NUM_SEEDS) if "seed" not in request.sampling else sampling.seed % _NUM_SEEDS
    return replace(sampling, seed=seed)


async def _merge_choices(choices: Sequence[AsyncGenerator[TurnEvent, None]]) -> AsyncGenerator[TurnEvent, None]:
    """The events of several choices, generated concurrently. The first error cancels the other choices."""
    queue: asyncio.Queue[TurnEvent | BaseException | None] = asyncio.Queue(maxsize=2 * len(choices))

    async def feed(choice: AsyncGenerator[TurnEvent, None]) -> None:
        try:
            async with aclosing(choice) as events:
                async for event in events:
                    await queue.put(event)
            await queue.put(None)
        except Exception as error:
            await queue.put(error)

    tasks = [asyncio.create_task(feed(choice)) for choice in choices]
    try:
        num_running = len(tasks)
        while num_running:
            item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                num_running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _without_unopened_thinking(choice: ChoiceAnswer) -> ChoiceAnswer:
    """The choice with thoughts that end in its text, without having been opened there, as reasoning."""
    thoughts, text = split_unopened_thinking(choice.text)
    return replace(choice, reasoning=choice.reasoning + thoughts, text=text)


class _ChoiceAccumulator:
    """Collects the events of one choice into its answer."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: dict[int, ToolCallDict] = {}
        self._tokens: list[TokenText] = []
        self._last_event: TurnEvent | None = None

    def add(self, event: TurnEvent) -> None:
        """Add the next event of the choice."""
        self._text.append(event.text)
        self._reasoning.append(event.reasoning)
        self._tokens.extend(event.tokens)
        for delta in event.tool_calls:
            call = self._tool_calls.setdefault(
                delta.get("index", 0), {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
            )
            call["id"] = delta.get("id") or call["id"]
            for key, piece in (delta.get("function") or {}).items():
                call["function"][key] = call["function"].get(key, "") + (piece or "")
        if event.finish_reason is not None:
            self._last_event = event

    def to_answer(self, index: int) -> ChoiceAnswer:
        """The complete choice. Raises RuntimeError if the last event is missing."""
        if self._last_event is None or self._last_event.finish_reason is None:
            raise RuntimeError("a choice ended without a finish reason")
        return ChoiceAnswer(
            index=index,
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(self._tool_calls[position] for position in sorted(self._tool_calls)),
            tokens=tuple(self._tokens),
            finish_reason=self._last_event.finish_reason,
            usage=self._last_event.usage or TokenUsage(),
            sample_id=self._last_event.sample_id,
            sources=self._last_event.sources,
        )
