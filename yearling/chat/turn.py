"""One assistant turn: messages in, an answer and its samples out.

Here a request is checked and rendered, before any work is done; `choice.py` then thinks if asked to, generates, shapes, checks
again, stores, and only then acknowledges. Knows nothing of HTTP, and of engines only their protocol.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from yearling.chat.choice import ChoiceGenerator
from yearling.chat.prompt_rendering import ChatPromptRenderer, messages_for_model
from yearling.chat.request import PartialAnswer, TurnRequest, check_request
from yearling.chat.sample_recording import SampleRecorder, SampleSink
from yearling.chat.served_spec import with_spec_message
from yearling.chat.tools import forced_call_schema
from yearling.chat.turn_events import AssistantAnswer, ChoiceAnswer, TokenUsage, TurnEvent
from yearling.errors import Unsupported
from yearling.inference import GenerationRequest, ServedModel, TokenizerLike, validate_request
from yearling.records import SamplingSettings

DEFAULT_SAMPLING = SamplingSettings(temperature=0.2, top_p=0.9)
"""How local models are sampled when the request does not say: what the authors of the default model recommend for it."""

_NUM_SEEDS = 2**31
_LONG_PROMPT_CHARS = 20_000


class ServedModelProvider(Protocol):
    """Finds the engine for a model's name; `None` is the default."""

    async def get(self, name: str | None = None) -> ServedModel: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedTurn:
    """A turn that has been checked and may start. `stream` and `answer` are alternatives; call one of them once."""

    request: TurnRequest
    served: ServedModel
    person_id: str
    recorder: SampleRecorder
    choices: tuple[ChoiceGenerator, ...]

    async def stream(self) -> AsyncGenerator[TurnEvent, None]:
        """The events of all choices as they come. Closing it stops generation within one step.

        The last event of a choice comes after its sample is durable. Raises what engines and the storage raise.
        """
        events = self.choices[0].events() if len(self.choices) == 1 else _merge_choices(self.choices)
        async with aclosing(events):
            async for event in events:
                yield event

    async def answer(self) -> AssistantAnswer:
        """The whole turn at once; raises what `stream` raises."""
        gathered = [_ChoiceAccumulator() for _ in self.choices]
        async with aclosing(self.stream()) as events:
            async for event in events:
                gathered[event.choice].add(event)
        return AssistantAnswer(choices=tuple(one.to_answer(index) for index, one in enumerate(gathered)))


class Assistant:
    """Answers with the models of a pool, for one person unless told otherwise."""

    def __init__(self, pool: ServedModelProvider, writer: SampleSink, person_id: str) -> None:
        self._pool = pool
        self._recorder = SampleRecorder(writer)
        self._person_id = person_id

    async def prepare(self, request: TurnRequest, *, person_id: str | None = None) -> PreparedTurn:
        """Everything that can be refused, before any work is done. The samples are `person_id`'s, where given.

        Raises NotFound for an unknown model, ContextExceeded, Unsupported for what model or engine cannot do, BadInput.
        """
        if request.has_schemas:
            await asyncio.to_thread(check_request, request)
        else:
            check_request(request)
        served = await self._pool.get(request.model)
        if served.template is not None:  # a remote endpoint has habits of its own
            request = with_spec_message(request)
        first = await self._engine_request(request, served)
        room = validate_request(first, served.engine.capabilities)
        if request.logprobs and (served.tokenizer is None or not served.engine.capabilities.logprobs):
            raise Unsupported("The engine of this model does not tell log-probabilities.", param="logprobs")
        seed = first.sampling.seed
        if request.partial_answer is not None:
            request = replace(request, messages=(*request.messages, request.partial_answer.message))
        person_id = person_id or self._person_id
        choices = tuple(
            ChoiceGenerator(
                turn_request=request,
                served=served,
                request=replace(first, sampling=replace(first.sampling, seed=(seed + index) % _NUM_SEEDS)),
                available_tokens=room,
                index=index,
                person_id=person_id,
                recorder=self._recorder,
            )
            for index in range(request.n)
        )
        return PreparedTurn(request=request, served=served, person_id=person_id, recorder=self._recorder, choices=choices)

    async def context_tokens(self, model: str | None) -> int | None:
        """The longest prompt and answer together; None where only the endpoint knows. Raises NotFound."""
        served = await self._pool.get(model)
        return served.engine.capabilities.context_tokens if served.template is not None else None

    async def stream(self, request: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
        """Check the request, then yield the events of the turn."""
        turn = await self.prepare(request)
        async with aclosing(turn.stream()) as events:
            async for event in events:
                yield event

    async def answer(self, request: TurnRequest) -> AssistantAnswer:
        return await (await self.prepare(request)).answer()

    async def close(self) -> None:
        """Wait until the samples of abandoned turns are stored."""
        await self._recorder.drain()

    async def _engine_request(self, request: TurnRequest, served: ServedModel) -> GenerationRequest:
        sampling = _resolve_sampling(request, served)
        if served.template is None and not served.engine.capabilities.token_ids:
            if request.partial_answer is not None:
                raise Unsupported("This model's endpoint cannot go on with an answer.", advice="Ask it to go on.", param="kind")
            return GenerationRequest(
                messages=tuple(messages_for_model(request.messages)),
                sampling=sampling,
                json_schema=request.json_schema,
                top_logprobs=request.top_logprobs,
                extra=_remote_options(request),
            )
        prompter = ChatPromptRenderer(served)
        must_call = request.forced_tool
        schema = forced_call_schema(request.forced_tools) if must_call else request.json_schema

        def render() -> tuple[int, ...]:
            return prompter.render(
                request.messages,
                tools=request.offered_tools,
                forced_tool=must_call,
                json_schema=None if must_call else request.json_schema,
            )

        # A long text takes long to encode: other requests go on meanwhile.
        long = sum(len(str(message.get("content"))) for message in request.messages) > _LONG_PROMPT_CHARS
        ids = await asyncio.to_thread(render) if long else render()
        if request.partial_answer is not None:
            ids = _continuation_ids(ids, request.partial_answer, served, prompter.tokenizer)
        return GenerationRequest(prompt_ids=ids, sampling=sampling, json_schema=schema, top_logprobs=request.top_logprobs)


def _continuation_ids(
    ids: tuple[int, ...], partial_answer: PartialAnswer, served: ServedModel, tokenizer: TokenizerLike
) -> tuple[int, ...]:
    """The prompt of an answer that goes on: by its own ids where this model gave it, else by its words."""
    if partial_answer.prompt_ids and partial_answer.model_hash == served.engine.model_hash:
        emitted = partial_answer.output_ids
        if emitted and emitted[-1] in tokenizer.stop_ids:
            emitted = emitted[:-1]
        return (*partial_answer.prompt_ids, *emitted)
    return (*ids, *tokenizer.encode(partial_answer.text))


def _remote_options(request: TurnRequest) -> dict[str, Any]:
    """What a remote endpoint renders and parses by itself."""
    extra: dict[str, Any] = {}
    if request.tools:
        named = request.tool_choice.partition("function:")[2]
        extra["tools"] = list(request.tools)
        extra["tool_choice"] = {"type": "function", "function": {"name": named}} if named else request.tool_choice
        extra["parallel_tool_calls"] = request.parallel_tool_calls
    if request.effort is not None:
        extra["reasoning_effort"] = request.effort
    return extra


def _resolve_sampling(request: TurnRequest, served: ServedModel) -> SamplingSettings:
    base = DEFAULT_SAMPLING if served.template is not None else SamplingSettings()
    sampling = replace(base, **request.sampling)
    seed = secrets.randbelow(_NUM_SEEDS) if "seed" not in request.sampling else sampling.seed % _NUM_SEEDS
    return replace(sampling, seed=seed)


async def _merge_choices(choices: tuple[ChoiceGenerator, ...]) -> AsyncGenerator[TurnEvent, None]:
    """The events of several choices in the order in which they come."""
    queue: asyncio.Queue[TurnEvent | BaseException | None] = asyncio.Queue(maxsize=2 * len(choices))

    async def feed(choice: ChoiceGenerator) -> None:
        try:
            async with aclosing(choice.events()) as events:
                async for event in events:
                    await queue.put(event)
            await queue.put(None)
        except Exception as error:
            await queue.put(error)

    tasks = [asyncio.create_task(feed(choice)) for choice in choices]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _ChoiceAccumulator:
    """One choice, added up."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: dict[int, dict[str, Any]] = {}
        self._tokens: list[Any] = []
        self._last_event: TurnEvent | None = None

    def add(self, event: TurnEvent) -> None:
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
        if self._last_event is None or self._last_event.finish_reason is None:
            raise RuntimeError("a choice ended without its last event")
        return ChoiceAnswer(
            index=index,
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=tuple(self._tool_calls[at] for at in sorted(self._tool_calls)),
            tokens=tuple(self._tokens),
            finish_reason=self._last_event.finish_reason,
            usage=self._last_event.usage or TokenUsage(),
            sample_id=self._last_event.sample_id,
        )
