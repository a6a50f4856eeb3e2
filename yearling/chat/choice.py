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
from yearling.chat.request import TurnRequest
from yearling.chat.sample_recording import GenerationRecord, SampleRecorder
from yearling.chat.structured_output import SchemaNotSatisfied, json_text_violation
from yearling.chat.tools import ToolCall, tool_call_id
from yearling.chat.turn_events import TokenUsage, TurnEvent
from yearling.clock import new_id
from yearling.errors import Unavailable
from yearling.inference import THINK_CLOSE, Delta, GenerationRequest, ServedModel
from yearling.records import FinishReason

_MIN_REASONING_TOKENS = 16
"""With a smaller budget, reasoning is skipped: it would be cut off before it helps."""


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
    sample_id: str = field(default_factory=new_id)
    """Id of the answer pass's sample."""
    _prompt_tokens: int | None = None
    _reasoning_tokens: int = 0
    _reasoning_parts: list[str] = field(default_factory=list)
    _answer_messages: Sequence[MessageDict] | None = None
    """The messages of the answer pass, if the reasoning was added to them."""
    _num_tool_calls: int = 0

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
                thinking_prompt_ids, reasoning, force_tool_call=self.turn_request.forced_tool is not None
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
            forced_tool=None if thinking else self.turn_request.forced_tool,
            json_schema=None if self.turn_request.forced_tool else self.turn_request.json_schema,
            thinking=thinking,
        )

    # Answering

    async def _answer_pass(self) -> AsyncGenerator[TurnEvent, None]:
        """The answer pass. Its last event follows once the sample is durable."""
        parser = self._output_parser()
        tokenizer = self.served.tokenizer
        alignment = TokenTextAligner(tokenizer) if self.turn_request.logprobs and tokenizer is not None else None
        messages = self.turn_request.messages if self._answer_messages is None else self._answer_messages
        record = self._new_record(self.request, messages, self.sample_id)
        with self.recorder.store_on_exit(record):
            async with aclosing(self._stream_deltas(record)) as deltas:
                async for delta in deltas:
                    event = self._turn_event(delta, await _parse(parser, delta.text), alignment)
                    if event is not None:
                        yield event
                    if parser.ended:
                        record.finish = record.finish or "stop"
                        break
            reason = _finish_reason_of(record)
            final_event = self._turn_event(Delta(), await _parse(parser, None), alignment)
            if final_event is not None:
                yield final_event
            if reason == "stop" and self._num_tool_calls:
                reason = "tool_calls"
            await self.recorder.store(record, reason)
        await self._check_schema_satisfied(record, reason)
        tokens = (
            alignment.flush(all_tokens_are_text=not self._num_tool_calls and not self._was_cut_by_stop_string(record))
            if alignment
            else ()
        )
        yield TurnEvent(choice=self.index, tokens=tokens, finish_reason=reason, usage=self._usage(record), sample_id=record.id)

    def _output_parser(self) -> OutputParser:
        if self.request.prompt_ids is None:  # remote engines parse tool calls themselves
            return PlainTextParser()
        forced = self.turn_request.forced_tool is not None
        return output_parser_for(self.turn_request.offered_tools, forced=forced, parallel=self.turn_request.parallel_tool_calls)

    def _turn_event(self, delta: Delta, parsed: ParsedOutput, alignment: TokenTextAligner | None) -> TurnEvent | None:
        tokens = alignment.push(delta.tokens, parsed.text, hidden_bytes=parsed.hidden_bytes) if alignment is not None else ()
        reasoning = delta.reasoning + parsed.reasoning
        calls = (*map(self._with_sample_call_id, delta.tool_calls), *map(self._tool_call_delta, parsed.tool_calls))
        if not (parsed.text or calls or tokens or reasoning):
            return None
        return TurnEvent(choice=self.index, text=parsed.text, reasoning=reasoning, tool_calls=calls, tokens=tokens)

    def _tool_call_delta(self, call: ToolCall) -> ToolCallDict:
        self._num_tool_calls += 1
        index = self._num_tool_calls - 1
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": index, "id": tool_call_id(self.sample_id, index), "type": "function", "function": function}

    def _with_sample_call_id(self, delta: ToolCallDict) -> ToolCallDict:
        """A remote engine's delta with the call id that `answer_message` derives from the stored sample."""
        return {**delta, "id": tool_call_id(self.sample_id, delta["index"])} if delta.get("id") else delta

    async def _check_schema_satisfied(self, record: GenerationRecord, reason: FinishReason) -> None:
        """Raises SchemaNotSatisfied unless the answer satisfies its schema. An answer cut by its length is reported as cut."""
        schema = self.request.json_schema
        if schema is None or reason == "length":
            return
        problem = await asyncio.to_thread(json_text_violation, record.text, schema)
        if problem:
            raise SchemaNotSatisfied(
                f"The answer does not satisfy the JSON schema: {problem[:200]}.",
                advice="Simplify it or try again: some keywords cannot be enforced, and a stop string can cut the answer.",
                param="response_format" if self.turn_request.forced_tool is None else "tools",
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
        """The deltas of one pass; each is added to the record first. Raises Unavailable if the engine breaks off."""
        async with aclosing(self.served.engine.stream(record.request)) as deltas:
            async for delta in deltas:
                record.add_delta(delta)
                yield delta
        if record.finish in (None, "error", "cancelled"):
            raise Unavailable("The engine stopped in the middle of an answer.", advice="Try again.")


async def _parse(parser: OutputParser, text: str | None) -> ParsedOutput:
    """What a piece of the output adds, or its end (None); in a worker thread where that may evaluate a user's schema."""
    step = parser.flush if text is None else partial(parser.push, text)
    return await asyncio.to_thread(step) if parser.checks_schemas else step()


def _finish_reason_of(record: GenerationRecord) -> FinishReason:
    if record.finish is None:
        raise RuntimeError("the engine's stream ended without a finish reason")
    return record.finish


def _only_id(ids: Sequence[int]) -> int | None:
    return ids[0] if len(ids) == 1 else None
