"""Generates one answer (choice) of a turn: its reasoning, its text and tool calls, its samples.

A choice takes one or two passes through the engine: an optional reasoning pass, then the answer pass, which alone the client sees
as the answer. Each pass leaves a sample. Knows engines by their protocol only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from yearling.chat.json_types import MessageDict, ToolCallDict
from yearling.chat.output_parsing import OutputParser, ParsedOutput, PlainTextParser, TokenTextAligner, output_parser_for
from yearling.chat.prompt_rendering import ChatPromptRenderer
from yearling.chat.reasoning_effort import final_answer_messages, reasoning_budget_tokens, reasoning_messages
from yearling.chat.request import TurnRequest, forced_function
from yearling.chat.sample_recording import GenerationRecord, SampleRecorder
from yearling.chat.structured_output import OutputConstraint, SchemaNotSatisfied, json_text_violation
from yearling.chat.tools import ToolCall, tool_call_id
from yearling.chat.turn_events import TokenUsage, TurnEvent
from yearling.clock import new_id
from yearling.errors import Unavailable, Unsupported
from yearling.inference import THINK_CLOSE, Delta, GenerationRequest, ServedModel
from yearling.records import FinishReason

_MIN_REASONING_TOKENS = 16
"""With a smaller budget, reasoning is skipped: it would be cut off before it helps."""

MAX_ATTEMPTS = 3
"""Attempts at an output whose schema no grammar enforces as a whole."""
_MAX_CALL_PREAMBLE_CHARS = 200
"""Longest text before a tool call, where the model chooses between a call and an answer that satisfies a schema."""
_MIN_RETRY_TEMPERATURE = 0.7
"""A greedy attempt would repeat itself."""


@dataclass(slots=True, kw_only=True)
class ChoiceGenerator:
    """Generates one choice. `available_tokens` bounds reasoning and answer together."""

    turn_request: TurnRequest
    served: ServedModel
    request: GenerationRequest
    available_tokens: int
    index: int
    person_id: str
    recorder: SampleRecorder
    constraint: OutputConstraint | None = None
    sample_id: str = field(default_factory=new_id)
    """Id of the answer pass's sample."""
    _prompt_tokens: int | None = None
    _reasoning_tokens: int = 0
    _reasoning_parts: list[str] = field(default_factory=list)
    _answer_messages: Sequence[MessageDict] | None = None
    """The messages of the answer pass, if the reasoning was added to them."""
    _num_tool_calls: int = 0
    _called_name: str | None = None
    _is_answered: bool = False
    _num_refused_forms: int = 0
    """How many of the constraint's forms the engine's grammar cannot enforce."""

    async def events(self) -> AsyncGenerator[TurnEvent, None]:
        """The events of this choice. Closing the generator stops generation within one step and stores what was emitted.

        Raises Unavailable if the engine breaks off, SchemaNotSatisfied, and what storing a sample raises.
        """
        if self._should_think():
            async with aclosing(self._reasoning_pass()) as events:
                async for event in events:
                    yield event
        async with aclosing(self._answer_pass()) as events:
            async for event in events:
                yield event

    # Reasoning

    def _should_think(self) -> bool:
        return self.request.prompt_ids is not None and self.turn_request.effort not in (None, "none")

    async def _reasoning_pass(self) -> AsyncGenerator[TurnEvent, None]:
        """The reasoning pass. Replaces `request` by that of the answer pass, whose prompt contains the reasoning."""
        prompter = ChatPromptRenderer(self.served)
        in_template = prompter.template.supports_thinking
        messages = self.turn_request.messages if in_template else reasoning_messages(self.turn_request.messages)
        if in_template:
            prompt = await asyncio.to_thread(self._render_prompt, prompter, messages, thinking=True)
            longest = len(prompt)
        else:
            prompt = await asyncio.to_thread(prompter.render, messages)
            final_messages = final_answer_messages(self.turn_request.messages, "")
            longest = len(await asyncio.to_thread(self._render_prompt, prompter, final_messages))
        available_tokens = min(self.available_tokens, self.served.engine.capabilities.context_tokens - longest)
        budget = reasoning_budget_tokens(self.turn_request.effort or "none", available_tokens=available_tokens)
        if budget < _MIN_REASONING_TOKENS:
            return
        sampling = replace(self.request.sampling, max_tokens=budget, stop=(THINK_CLOSE,) if in_template else ())
        request = GenerationRequest(prompt_ids=prompt, sampling=sampling)
        record = self._new_record(request, messages, new_id())
        close_id = _only_id(prompter.tokenizer.encode(THINK_CLOSE, special=True)) if in_template else None
        with self.recorder.store_on_exit(record):
            async with aclosing(self._stream_deltas(record)) as deltas:
                async for delta in deltas:
                    if delta.text:
                        self._reasoning_parts.append(delta.text)
                        yield TurnEvent(choice=self.index, reasoning=delta.text)
                    if close_id is not None and any(token.id == close_id for token in delta.tokens):
                        record.finish = record.finish or "stop"
                        break
            await self.recorder.store(record, _finish_reason_of(record))
        self._reasoning_tokens = record.completion_tokens
        self._prompt_tokens = len(self.request.prompt_ids or ())
        reasoning = "".join(self._reasoning_parts).strip()
        await asyncio.to_thread(self._prepare_answer_pass, reasoning, prompter, prompt if in_template else None)

    def _prepare_answer_pass(
        self, reasoning: str, prompter: ChatPromptRenderer, thinking_prompt_ids: tuple[int, ...] | None
    ) -> None:
        """Put the reasoning into the prompt of the answer pass and subtract its tokens from `max_tokens`."""
        if thinking_prompt_ids is not None:
            prompt = prompter.render_after_thinking(
                thinking_prompt_ids, reasoning, forced_tool=forced_function(self.turn_request, self.constraint)
            )
        elif reasoning:
            self._answer_messages = final_answer_messages(self.turn_request.messages, reasoning)
            prompt = self._render_prompt(prompter, self._answer_messages)
        else:
            return
        max_tokens = self.request.sampling.max_tokens
        if max_tokens is not None:
            max_tokens = max(1, max_tokens - self._reasoning_tokens)
        self.request = replace(self.request, prompt_ids=prompt, sampling=replace(self.request.sampling, max_tokens=max_tokens))

    def _render_prompt(
        self, prompter: ChatPromptRenderer, messages: Sequence[MessageDict], *, thinking: bool = False
    ) -> tuple[int, ...]:
        return prompter.render(
            messages,
            tools=self.turn_request.offered_tools,
            forced_tool=None if thinking else forced_function(self.turn_request, self.constraint),
            json_schema=None if self.turn_request.forced_tool else self.turn_request.json_schema,
            thinking=thinking,
        )

    # Answering

    async def _answer_pass(self) -> AsyncGenerator[TurnEvent, None]:
        """The answer: a call if the model chooses to make one, else a text, in as many attempts as its schema needs."""
        if self.turn_request.may_call_or_answer and self.request.prompt_ids is not None:
            unconstrained = replace(self.request, json_schema=None)
            async with aclosing(self._attempt(unconstrained, self._optional_call_parser(), only_calls=True)) as events:
                async for event in events:
                    yield event
        for number in range(MAX_ATTEMPTS):
            if self._is_answered:
                return
            request = self.request
            if number:
                sampling = request.sampling
                temperature = max(sampling.temperature, _MIN_RETRY_TEMPERATURE)
                request = replace(request, sampling=replace(sampling, seed=sampling.seed + number, temperature=temperature))
            is_last = number == MAX_ATTEMPTS - 1
            async with aclosing(self._attempt(request, self._output_parser(), is_last=is_last)) as events:
                async for event in events:
                    yield event

    async def _attempt(
        self, request: GenerationRequest, parser: OutputParser, *, only_calls: bool = False, is_last: bool = False
    ) -> AsyncGenerator[TurnEvent, None]:
        """One attempt at the answer. Its last event follows once the sample is durable.

        An attempt that can be rejected yields nothing before it is accepted: if its schema is not enforced as a whole, and with
        `only_calls`, which rejects any text but a call.
        """
        tokenizer = self.served.tokenizer
        alignment = TokenTextAligner(tokenizer) if self.turn_request.logprobs and tokenizer is not None else None
        messages = self.turn_request.messages if self._answer_messages is None else self._answer_messages
        record = self._new_record(request, messages, self.sample_id)
        self._num_tool_calls = 0
        held_back: list[TurnEvent] = []
        with self.recorder.store_on_exit(record):
            async with aclosing(self._stream_deltas(record)) as deltas:
                async for delta in deltas:
                    event = self._turn_event(delta, await _parse(parser, delta.text), alignment)
                    if event is not None:
                        if only_calls or self._can_be_rejected(record):
                            held_back.append(event)
                        else:
                            yield event
                    if parser.ended:
                        record.finish = record.finish or "stop"
                        break
                    if only_calls and not self._num_tool_calls and _is_answer(held_back):
                        record.finish = "cancelled"
                        break
            reason = _finish_reason_of(record)
            final_event = self._turn_event(Delta(), await _parse(parser, None), alignment)
            if final_event is not None:
                held_back.append(final_event)
            if reason == "stop" and self._num_tool_calls:
                reason = "tool_calls"
            problem = "" if only_calls else await self._schema_problem(record, reason)
            is_rejected = not self._num_tool_calls if only_calls else problem and not is_last and self._can_be_rejected(record)
            if is_rejected:
                record.id = new_id()  # the answer's own sample follows
            await self.recorder.store(record, reason)
        if is_rejected:
            return
        if problem:
            self._require_satisfied(problem)
        for event in held_back:
            yield event
        tokens = (
            alignment.flush(all_tokens_are_text=not self._num_tool_calls and not self._was_cut_by_stop_string(record))
            if alignment
            else ()
        )
        self._is_answered = True
        yield TurnEvent(choice=self.index, tokens=tokens, finish_reason=reason, usage=self._usage(record), sample_id=record.id)

    def _can_be_rejected(self, record: GenerationRecord) -> bool:
        """Whether the grammar of this pass enforces less than the schema."""
        if self.constraint is None or record.request.prompt_ids is None:
            return False
        return record.request.json_schema != self.constraint.schema

    def _optional_call_parser(self) -> OutputParser:
        return output_parser_for(self.turn_request.offered_tools, forced=False, parallel=self.turn_request.parallel_tool_calls)

    def _output_parser(self) -> OutputParser:
        if self.request.prompt_ids is None:  # remote engines parse tool calls themselves
            return PlainTextParser()
        if self.turn_request.forced_tool is not None:
            called_name = self.constraint.called_name if self.constraint is not None else ""
            return output_parser_for(self.turn_request.offered_tools, forced=True, called_name=called_name)
        return PlainTextParser() if self.request.json_schema is not None else self._optional_call_parser()

    def _turn_event(self, delta: Delta, parsed: ParsedOutput, alignment: TokenTextAligner | None) -> TurnEvent | None:
        tokens = alignment.push(delta.tokens, parsed.text, hidden_bytes=parsed.hidden_bytes) if alignment is not None else ()
        reasoning = delta.reasoning + parsed.reasoning
        calls = (*map(self._with_sample_call_id, delta.tool_calls), *map(self._tool_call_delta, parsed.tool_calls))
        if not (parsed.text or calls or tokens or reasoning):
            return None
        return TurnEvent(choice=self.index, text=parsed.text, reasoning=reasoning, tool_calls=calls, tokens=tokens)

    def _tool_call_delta(self, call: ToolCall) -> ToolCallDict:
        self._num_tool_calls += 1
        self._called_name = call.name
        index = self._num_tool_calls - 1
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": index, "id": tool_call_id(self.sample_id, index), "type": "function", "function": function}

    def _with_sample_call_id(self, delta: ToolCallDict) -> ToolCallDict:
        """A remote engine's delta with the call id that `answer_message` derives from the stored sample."""
        return {**delta, "id": tool_call_id(self.sample_id, delta["index"])} if delta.get("id") else delta

    async def _schema_problem(self, record: GenerationRecord, reason: FinishReason) -> str:
        """Why the output does not satisfy its schema, empty if it does. An output cut by its length is reported as cut."""
        is_remote_call = record.request.prompt_ids is None and (
            self.turn_request.forced_tool is not None or reason == "tool_calls" or record.has_tool_calls
        )
        if self.constraint is None or reason == "length" or is_remote_call:
            return ""
        return await asyncio.to_thread(json_text_violation, record.text, self.constraint.schema)

    def _require_satisfied(self, problem: str) -> None:
        """Raises SchemaNotSatisfied for an answer that must satisfy its schema. Others are passed on, as OpenAI does."""
        forced_tool = self.turn_request.forced_tool
        if forced_tool is None:
            is_strict = self.turn_request.strict
        else:
            is_strict = self._called_name is None or self.turn_request.is_strict_tool(self._called_name)
        if is_strict:
            raise SchemaNotSatisfied(
                f"The answer does not satisfy the JSON schema: {problem[:200]}.",
                advice="Simplify it or try again: some keywords cannot be enforced, and a stop string can cut the answer.",
                param="response_format" if forced_tool is None else "tools",
            )

    def _was_cut_by_stop_string(self, record: GenerationRecord) -> bool:
        """Whether a stop string ended the text. The stop string's tokens are then not part of the answer."""
        tokenizer = self.served.tokenizer
        ended_itself = tokenizer is not None and record.last_token_id in tokenizer.stop_ids
        return bool(self.request.sampling.stop) and record.finish == "stop" and not ended_itself

    def _usage(self, record: GenerationRecord) -> TokenUsage:
        prompt = record.prompt_tokens if self._prompt_tokens is None else self._prompt_tokens
        return TokenUsage(prompt, self._reasoning_tokens + record.completion_tokens, self._reasoning_tokens)

    # Passes through the engine

    def _new_record(self, request: GenerationRequest, messages: Sequence[MessageDict], sample_id: str) -> GenerationRecord:
        return GenerationRecord(
            id=sample_id,
            request_id=self.turn_request.request_id,
            person_id=self.person_id,
            served=self.served,
            request=request,
            messages=[*self.turn_request.offered_tools_messages, *messages],
            choice=self.index,
        )

    async def _stream_deltas(self, record: GenerationRecord) -> AsyncGenerator[Delta, None]:
        """The deltas of one pass; each is added to the record first. Raises Unavailable if the engine breaks off.

        If the engine's grammar cannot enforce the schema, a weaker form is tried. Raises Unsupported if it enforces none.
        """
        while True:
            try:
                async with aclosing(self.served.engine.stream(record.request)) as deltas:
                    async for delta in deltas:
                        record.add_delta(delta)
                        yield delta
                break
            except Unsupported as error:
                if error.param != "response_format" or record.has_output:
                    raise
                self._weaken_grammar(record, error)
        if record.finish in (None, "error", "cancelled"):
            raise Unavailable("The engine stopped in the middle of an answer.", advice="Try again.")

    def _weaken_grammar(self, record: GenerationRecord, refusal: Unsupported) -> None:
        """Replace the schema of a pass by the next weaker form. Raises the refusal if there is none."""
        forms = self.constraint.grammar_forms if self.constraint is not None else ()
        self._num_refused_forms += 1
        if record.request.json_schema is None or self._num_refused_forms >= len(forms):
            param = "response_format" if self.turn_request.forced_tool is None else "tools"
            raise Unsupported(refusal.message, advice=refusal.advice, param=param) from None
        form = forms[self._num_refused_forms]
        self.request = replace(self.request, json_schema=form)
        record.request = replace(record.request, json_schema=form)


async def _parse(parser: OutputParser, text: str | None) -> ParsedOutput:
    """What a piece of the output adds, or its end (None); in a worker thread where that may evaluate a user's schema."""
    step = parser.flush if text is None else partial(parser.push, text)
    return await asyncio.to_thread(step) if parser.checks_schemas else step()


def _is_answer(events: Sequence[TurnEvent]) -> bool:
    """Whether a text that could lead up to a tool call is an answer: it begins as JSON does, or is too long."""
    text = "".join(event.text for event in events).lstrip()
    return text.startswith(("{", "[", "`")) or len(text) > _MAX_CALL_PREAMBLE_CHARS


def _finish_reason_of(record: GenerationRecord) -> FinishReason:
    if record.finish is None:
        raise RuntimeError("the engine's stream ended without a finish reason")
    return record.finish


def _only_id(ids: Sequence[int]) -> int | None:
    return ids[0] if len(ids) == 1 else None
