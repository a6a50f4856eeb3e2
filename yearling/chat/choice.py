"""One of the answers of a turn: its thinking, its words and calls, its samples."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from yearling.chat.output_parsing import OutputParser, ParsedOutput, PlainTextParser, TokenTextAligner, output_parser_for
from yearling.chat.prompt_rendering import ChatPromptRenderer
from yearling.chat.reasoning_effort import THINK_CLOSE, final_answer_messages, reasoning_budget_tokens, reasoning_messages
from yearling.chat.request import TurnRequest
from yearling.chat.sample_recording import GenerationRecord, SampleRecorder
from yearling.chat.structured_output import SchemaNotSatisfied, json_text_violation
from yearling.chat.tools import ToolCall, tool_call_id
from yearling.chat.turn_events import TokenUsage, TurnEvent
from yearling.clock import new_id
from yearling.errors import Unavailable
from yearling.inference import Delta, GenerationRequest, ServedModel
from yearling.records import FinishReason

_MIN_REASONING_TOKENS = 16
"""Tokens below which a first pass of working would be no use."""


@dataclass(slots=True, kw_only=True)
class ChoiceGenerator:
    """Generates one choice. `room` is how many tokens working and answer may have together."""

    turn_request: TurnRequest
    served: ServedModel
    request: GenerationRequest
    available_tokens: int
    index: int
    person_id: str
    recorder: SampleRecorder
    sample_id: str = field(default_factory=new_id)
    """Of the pass that the client sees."""
    _prompt_tokens: int | None = None
    _reasoning_tokens: int = 0
    _reasoning_parts: list[str] = field(default_factory=list)
    _answer_messages: Sequence[dict[str, Any]] | None = None
    """What the second pass sees, where the working went into messages."""
    _num_tool_calls: int = 0

    async def events(self) -> AsyncGenerator[TurnEvent, None]:
        """Closing it stops generation within one step; what was emitted until then is stored all the same."""
        if self._should_think():
            async with aclosing(self._reasoning_pass()) as events:
                async for event in events:
                    yield event
        async with aclosing(self._answer_pass()) as events:
            async for event in events:
                yield event

    # Thinking

    def _should_think(self) -> bool:
        return self.request.prompt_ids is not None and self.turn_request.effort not in (None, "none")

    async def _reasoning_pass(self) -> AsyncGenerator[TurnEvent, None]:
        """The first pass. Leaves the request of the second in its place, with the working in its prompt."""
        prompter = ChatPromptRenderer(self.served)
        in_template = prompter.template.supports_thinking
        messages = self.turn_request.messages if in_template else reasoning_messages(self.turn_request.messages)
        prompt = self._render_prompt(prompter, messages, thinking=True) if in_template else prompter.render(messages)
        longest = (
            len(prompt)
            if in_template
            else len(self._render_prompt(prompter, final_answer_messages(self.turn_request.messages, "")))
        )
        room = min(self.available_tokens, self.served.engine.capabilities.context_tokens - longest)
        budget = reasoning_budget_tokens(self.turn_request.effort or "none", available_tokens=room)
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
        self._prepare_answer_pass("".join(self._reasoning_parts).strip(), prompter, prompt if in_template else None)

    def _prepare_answer_pass(
        self, reasoning: str, prompter: ChatPromptRenderer, thinking_prompt_ids: tuple[int, ...] | None
    ) -> None:
        if thinking_prompt_ids is not None:
            prompt = prompter.render_after_thinking(
                thinking_prompt_ids, reasoning, force_tool_call=self.turn_request.forced_tool is not None
            )
        elif reasoning:
            self._answer_messages = final_answer_messages(self.turn_request.messages, reasoning)
            prompt = self._render_prompt(prompter, self._answer_messages)
        else:
            return
        most = self.request.sampling.max_tokens
        left = None if most is None else max(1, most - self._reasoning_tokens)
        self.request = replace(self.request, prompt_ids=prompt, sampling=replace(self.request.sampling, max_tokens=left))

    def _render_prompt(
        self, prompter: ChatPromptRenderer, messages: Sequence[dict[str, Any]], *, thinking: bool = False
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
        """The pass that the client sees. The last event comes after the sample is durable."""
        shaper = self._output_parser()
        tokenizer = self.served.tokenizer
        alignment = TokenTextAligner(tokenizer) if self.turn_request.logprobs and tokenizer is not None else None
        messages = self.turn_request.messages if self._answer_messages is None else self._answer_messages
        record = self._new_record(self.request, messages, self.sample_id)
        with self.recorder.store_on_exit(record):
            async with aclosing(self._stream_deltas(record)) as deltas:
                async for delta in deltas:
                    event = self._turn_event(delta, await _parse(shaper, delta.text), alignment)
                    if event is not None:
                        yield event
                    if shaper.ended:
                        record.finish = record.finish or "stop"
                        break
            reason = _finish_reason_of(record)
            rest = self._turn_event(Delta(), await _parse(shaper, None), alignment)
            if rest is not None:
                yield rest
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
        if self.request.prompt_ids is None:  # such engines read tool calls themselves
            return PlainTextParser()
        forced = self.turn_request.forced_tool is not None
        return output_parser_for(self.turn_request.offered_tools, forced=forced, parallel=self.turn_request.parallel_tool_calls)

    def _turn_event(self, delta: Delta, parsed: ParsedOutput, alignment: TokenTextAligner | None) -> TurnEvent | None:
        tokens = alignment.push(delta.tokens, parsed.text) if alignment is not None else ()
        calls = (*map(self._with_sample_call_id, delta.tool_calls), *map(self._tool_call_delta, parsed.tool_calls))
        if not (parsed.text or calls or tokens or delta.reasoning):
            return None
        return TurnEvent(choice=self.index, text=parsed.text, reasoning=delta.reasoning, tool_calls=calls, tokens=tokens)

    def _tool_call_delta(self, call: ToolCall) -> dict[str, Any]:
        self._num_tool_calls += 1
        index = self._num_tool_calls - 1
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": index, "id": tool_call_id(self.sample_id, index), "type": "function", "function": function}

    def _with_sample_call_id(self, delta: dict[str, Any]) -> dict[str, Any]:
        """A remote engine's delta, under the id that the stored sample will yield."""
        return {**delta, "id": tool_call_id(self.sample_id, delta["index"])} if delta.get("id") else delta

    async def _check_schema_satisfied(self, record: GenerationRecord, reason: FinishReason) -> None:
        """No structured answer passes as one unless it is; one that was cut by its length does not claim to be."""
        schema = self.request.json_schema
        if schema is None or reason == "length":
            return
        problem = await asyncio.to_thread(json_text_violation, record.text, schema)
        if problem:
            raise SchemaNotSatisfied(
                f"The answer does not satisfy the JSON schema: {problem[:200]}.",
                advice="Not every keyword can be enforced, and a stop string can cut an answer short: simplify, or try again.",
                param="response_format" if self.turn_request.forced_tool is None else "tools",
            )

    def _was_cut_by_stop_string(self, record: GenerationRecord) -> bool:
        """Whether a stop string ended the text; its tokens are then no part of it."""
        tokenizer = self.served.tokenizer
        ended_itself = tokenizer is not None and record.last_token_id in tokenizer.stop_ids
        return bool(self.request.sampling.stop) and record.finish == "stop" and not ended_itself

    def _usage(self, record: GenerationRecord) -> TokenUsage:
        prompt = record.prompt_tokens if self._prompt_tokens is None else self._prompt_tokens
        return TokenUsage(prompt, self._reasoning_tokens + record.completion_tokens, self._reasoning_tokens)

    # Passes through the engine

    def _new_record(self, request: GenerationRequest, messages: Sequence[dict[str, Any]], sample_id: str) -> GenerationRecord:
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
        """What the engine emits in one pass, written down as it passes by."""
        async with aclosing(self.served.engine.stream(record.request)) as deltas:
            async for delta in deltas:
                record.add_delta(delta)
                yield delta
        if record.finish in (None, "error", "cancelled"):
            raise Unavailable("The engine stopped in the middle of the answer.", advice="Try again.")


async def _parse(parser: OutputParser, text: str | None) -> ParsedOutput:
    """What a piece of the output adds, or its end (None); in a worker thread where that may evaluate a user's schema."""
    step = parser.flush if text is None else partial(parser.push, text)
    return await asyncio.to_thread(step) if parser.checks_schemas else step()


def _finish_reason_of(record: GenerationRecord) -> FinishReason:
    if record.finish is None:
        raise RuntimeError("a pass ended without its last delta")
    return record.finish


def _only_id(ids: Sequence[int]) -> int | None:
    return ids[0] if len(ids) == 1 else None
