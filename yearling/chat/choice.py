"""One of the answers of a turn: its thinking, its words and calls, its samples."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from yearling.chat.output_parsing import Shaped, Shaper, TokenAlignment, Words, shaper_for
from yearling.chat.prompt_rendering import Prompter
from yearling.chat.reasoning_effort import THINK_CLOSE, answering_messages, budget_tokens, working_messages
from yearling.chat.request import TurnRequest
from yearling.chat.sample_recording import Keeper, PassRecord
from yearling.chat.structured_output import SchemaNotSatisfied, problem_with_text
from yearling.chat.tools import ToolCall, call_id
from yearling.chat.turn_events import TurnEvent, Usage
from yearling.clock import new_id
from yearling.errors import Unavailable
from yearling.inference import Delta, Request, Served
from yearling.records import FinishReason

_LEAST_BUDGET = 16
"""Tokens below which a first pass of working would be no use."""


@dataclass(slots=True, kw_only=True)
class Choice:
    """Generates one choice. `room` is how many tokens working and answer may have together."""

    turn: TurnRequest
    served: Served
    request: Request
    room: int
    index: int
    person_id: str
    keeper: Keeper
    sample_id: str = field(default_factory=new_id)
    """Of the pass that the client sees."""
    _prompt_tokens: int | None = None
    _reasoning_tokens: int = 0
    _working: list[str] = field(default_factory=list)
    _messages: Sequence[dict[str, Any]] | None = None
    """What the second pass sees, where the working went into messages."""
    _calls: int = 0

    async def events(self) -> AsyncGenerator[TurnEvent, None]:
        """Closing it stops generation within one step; what was emitted until then is stored all the same."""
        if self._thinks():
            async with aclosing(self._think()) as events:
                async for event in events:
                    yield event
        async with aclosing(self._speak()) as events:
            async for event in events:
                yield event

    # Thinking

    def _thinks(self) -> bool:
        return self.request.prompt_ids is not None and self.turn.effort not in (None, "none")

    async def _think(self) -> AsyncGenerator[TurnEvent, None]:
        """The first pass. Leaves the request of the second in its place, with the working in its prompt."""
        prompter = Prompter(self.served)
        in_template = prompter.template.thinking
        messages = self.turn.messages if in_template else working_messages(self.turn.messages)
        prompt = self._prompt_ids(prompter, messages, thinking=True) if in_template else prompter.ids(messages)
        longest = len(prompt) if in_template else len(self._prompt_ids(prompter, answering_messages(self.turn.messages, "")))
        room = min(self.room, self.served.engine.capabilities.context_tokens - longest)
        budget = budget_tokens(self.turn.effort or "none", room=room)
        if budget < _LEAST_BUDGET:
            return
        sampling = replace(self.request.sampling, max_tokens=budget, stop=(THINK_CLOSE,) if in_template else ())
        request = Request(prompt_ids=prompt, sampling=sampling)
        record = self._record(request, messages, new_id())
        close_id = _single(prompter.tokenizer.encode(THINK_CLOSE, special=True)) if in_template else None
        with self.keeper.keeping(record):
            async with aclosing(self._deltas(record)) as deltas:
                async for delta in deltas:
                    if delta.text:
                        self._working.append(delta.text)
                        yield TurnEvent(choice=self.index, reasoning=delta.text)
                    if close_id is not None and any(token.id == close_id for token in delta.tokens):
                        record.finish = record.finish or "stop"
                        break
            await self.keeper.keep(record, _ended(record))
        self._reasoning_tokens = record.completion_tokens
        self._prompt_tokens = len(self.request.prompt_ids or ())
        self._answer_after("".join(self._working).strip(), prompter, prompt if in_template else None)

    def _answer_after(self, working: str, prompter: Prompter, thought_in: tuple[int, ...] | None) -> None:
        if thought_in is not None:
            prompt = prompter.after_thinking(thought_in, working, must_call=self.turn.forced_tool is not None)
        elif working:
            self._messages = answering_messages(self.turn.messages, working)
            prompt = self._prompt_ids(prompter, self._messages)
        else:
            return
        most = self.request.sampling.max_tokens
        left = None if most is None else max(1, most - self._reasoning_tokens)
        self.request = replace(self.request, prompt_ids=prompt, sampling=replace(self.request.sampling, max_tokens=left))

    def _prompt_ids(self, prompter: Prompter, messages: Sequence[dict[str, Any]], *, thinking: bool = False) -> tuple[int, ...]:
        return prompter.ids(
            messages,
            tools=self.turn.offered_tools,
            must_call=None if thinking else self.turn.forced_tool,
            json_schema=None if self.turn.forced_tool else self.turn.json_schema,
            thinking=thinking,
        )

    # Answering

    async def _speak(self) -> AsyncGenerator[TurnEvent, None]:
        """The pass that the client sees. The last event comes after the sample is durable."""
        shaper = self._shaper()
        tokenizer = self.served.tokenizer
        alignment = TokenAlignment(tokenizer) if self.turn.logprobs and tokenizer is not None else None
        messages = self.turn.messages if self._messages is None else self._messages
        record = self._record(self.request, messages, self.sample_id)
        with self.keeper.keeping(record):
            async with aclosing(self._deltas(record)) as deltas:
                async for delta in deltas:
                    event = self._event(delta, shaper.push(delta.text), alignment)
                    if event is not None:
                        yield event
                    if shaper.ended:
                        record.finish = record.finish or "stop"
                        break
            reason = _ended(record)
            rest = self._event(Delta(), shaper.flush(), alignment)
            if rest is not None:
                yield rest
            if reason == "stop" and self._calls:
                reason = "tool_calls"
            await self.keeper.keep(record, reason)
        self._check(record, reason)
        tokens = alignment.flush(all_words=not self._calls and not self._cut_by_stop(record)) if alignment else ()
        yield TurnEvent(choice=self.index, tokens=tokens, finish_reason=reason, usage=self._usage(record), sample_id=record.id)

    def _shaper(self) -> Shaper:
        if self.request.prompt_ids is None:  # such engines read tool calls themselves
            return Words()
        forced = self.turn.forced_tool is not None
        return shaper_for(self.turn.offered_tools, forced=forced, parallel=self.turn.parallel_tool_calls)

    def _event(self, delta: Delta, shaped: Shaped, alignment: TokenAlignment | None) -> TurnEvent | None:
        tokens = alignment.push(delta.tokens, shaped.text) if alignment is not None else ()
        calls = (*map(self._own_id, delta.tool_calls), *map(self._call_delta, shaped.calls))
        if not (shaped.text or calls or tokens or delta.reasoning):
            return None
        return TurnEvent(choice=self.index, text=shaped.text, reasoning=delta.reasoning, tool_calls=calls, tokens=tokens)

    def _call_delta(self, call: ToolCall) -> dict[str, Any]:
        self._calls += 1
        index = self._calls - 1
        function = {"name": call.name, "arguments": call.arguments}
        return {"index": index, "id": call_id(self.sample_id, index), "type": "function", "function": function}

    def _own_id(self, delta: dict[str, Any]) -> dict[str, Any]:
        """A remote engine's delta, under the id that the stored sample will yield."""
        return {**delta, "id": call_id(self.sample_id, delta["index"])} if delta.get("id") else delta

    def _check(self, record: PassRecord, reason: FinishReason) -> None:
        """No structured answer passes as one unless it is; one that was cut by its length does not claim to be."""
        schema = self.request.json_schema
        if schema is None or reason == "length":
            return
        problem = problem_with_text(record.text, schema)
        if problem:
            raise SchemaNotSatisfied(
                f"The answer does not satisfy the JSON schema: {problem[:200]}.",
                advice="Not every keyword can be enforced, and a stop string can cut an answer short: simplify, or try again.",
                param="response_format" if self.turn.forced_tool is None else "tools",
            )

    def _cut_by_stop(self, record: PassRecord) -> bool:
        """Whether a stop string ended the text; its tokens are then no part of it."""
        tokenizer = self.served.tokenizer
        ended_itself = tokenizer is not None and record.last_id in tokenizer.stop_ids
        return bool(self.request.sampling.stop) and record.finish == "stop" and not ended_itself

    def _usage(self, record: PassRecord) -> Usage:
        prompt = record.prompt_tokens if self._prompt_tokens is None else self._prompt_tokens
        return Usage(prompt, self._reasoning_tokens + record.completion_tokens, self._reasoning_tokens)

    # Passes through the engine

    def _record(self, request: Request, messages: Sequence[dict[str, Any]], sample_id: str) -> PassRecord:
        return PassRecord(
            id=sample_id,
            request_id=self.turn.request_id,
            person_id=self.person_id,
            served=self.served,
            request=request,
            messages=[*self.turn.tool_record, *messages],
            choice=self.index,
        )

    async def _deltas(self, record: PassRecord) -> AsyncGenerator[Delta, None]:
        """What the engine emits in one pass, written down as it passes by."""
        async with aclosing(self.served.engine.stream(record.request)) as deltas:
            async for delta in deltas:
                record.take(delta)
                yield delta
        if record.finish in (None, "error", "cancelled"):
            raise Unavailable("The engine stopped in the middle of the answer.", advice="Try again.")


def _ended(record: PassRecord) -> FinishReason:
    if record.finish is None:
        raise RuntimeError("a pass ended without its last delta")
    return record.finish


def _single(ids: Sequence[int]) -> int | None:
    return ids[0] if len(ids) == 1 else None
