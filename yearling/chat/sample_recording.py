"""Keeping what a model saw and emitted: one sample per pass through an engine.

Knows neither prompts nor clients. Whatever ends a pass, its sample is stored: an answer before it is acknowledged, a broken or
abandoned one in the background.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from yearling.chat.served_spec import SPEC_VERSION
from yearling.chat.structured_output import canonical_schema_json
from yearling.chat.tools import format_tool_call
from yearling.clock import now_utc
from yearling.inference import Delta, GenerationRequest, ServedModel
from yearling.records import FinishReason, Sample

_log = structlog.get_logger("yearling.chat")


class SampleSink(Protocol):
    """Where samples go. `add` returns once the sample is durable, and raises when it cannot be."""

    async def add(self, sample: Sample, /) -> object: ...


@dataclass(slots=True, kw_only=True)
class GenerationRecord:
    """Gathers one pass. `finish` tells how it ended once that is known."""

    request_id: str
    person_id: str
    served: ServedModel
    request: GenerationRequest
    messages: Sequence[dict[str, Any]]
    choice: int
    id: str
    finish: FinishReason | None = None
    handed_to_storage: bool = False
    """Whether its sample has been handed to the storage."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _output_ids: list[int] = field(default_factory=list)
    _logprobs: list[float] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _tool_calls: dict[int, dict[str, str]] = field(default_factory=dict)
    _started_s: float = field(default_factory=time.monotonic)

    def add_delta(self, delta: Delta) -> None:
        for token in delta.tokens:
            self._output_ids.append(token.id)
            self._logprobs.append(token.logprob)
        if delta.text:
            self._text.append(delta.text)
        for call in delta.tool_calls:
            whole = self._tool_calls.setdefault(call["index"], {"name": "", "arguments": ""})
            for part, text in (call.get("function") or {}).items():
                whole[part] = whole.get(part, "") + (text or "")
        if delta.finish_reason is not None:
            self.finish = delta.finish_reason
            self.prompt_tokens, self.completion_tokens = delta.prompt_tokens, delta.completion_tokens
        elif self.request.prompt_ids is not None:  # counts, should we stop before the engine does
            self.prompt_tokens, self.completion_tokens = len(self.request.prompt_ids), len(self._output_ids)

    @property
    def text(self) -> str:
        """What the model wrote. Calls that the engine has read already are written out again, in the form of `tools.py`."""
        return "".join(self._text) + "".join(
            format_tool_call(one["name"], one["arguments"]) for _, one in sorted(self._tool_calls.items())
        )

    @property
    def last_token_id(self) -> int | None:
        return self._output_ids[-1] if self._output_ids else None

    def to_sample(self, finish: FinishReason) -> Sample:
        engine = self.served.engine
        told = engine.capabilities.token_ids
        return Sample(
            id=self.id,
            request_id=self.request_id,
            person_id=self.person_id,
            created_utc=now_utc(),
            model=self.served.name,
            model_hash=engine.model_hash,
            adapter_hash=self.served.adapter_hash,
            engine=engine.name,
            spec_version=SPEC_VERSION,
            messages=tuple(dict(message) for message in self.messages),
            prompt_ids=self.request.prompt_ids or (),
            output_ids=tuple(self._output_ids) if told else (),
            logprobs=tuple(self._logprobs) if engine.capabilities.logprobs else (),
            output_text=self.text,
            finish_reason=finish,
            sampling=self.request.sampling,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            duration_s=time.monotonic() - self._started_s,
            grammar=canonical_schema_json(self.request.json_schema),
            choice=self.choice,
        )


class SampleRecorder:
    """The way to the storage: at once for answers, in the background for what nobody waits for (cancelled or failed passes)."""

    def __init__(self, sink: SampleSink) -> None:
        self._sink = sink
        self._tasks: set[asyncio.Task[None]] = set()

    async def store(self, record: GenerationRecord, finish: FinishReason) -> None:
        """Return once the pass is durable. Raises when it cannot be."""
        record.handed_to_storage = True
        await self._sink.add(record.to_sample(finish))

    @contextmanager
    def store_on_exit(self, record: GenerationRecord) -> Iterator[None]:
        """Whatever ends the block before `keep` was called, the pass is stored in the background."""
        finish: FinishReason = "error"
        try:
            yield
        except (GeneratorExit, asyncio.CancelledError):
            finish = "cancelled"
            raise
        finally:
            if not record.handed_to_storage:
                record.handed_to_storage = True
                task = asyncio.create_task(self._store_in_background(record.to_sample(finish)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _store_in_background(self, sample: Sample) -> None:
        try:
            await self._sink.add(sample)
        except Exception as error:
            _log.error("sample_lost", request_id=sample.request_id, finish_reason=sample.finish_reason, why=repr(error))

    async def drain(self) -> None:
        """Wait until all are stored or refused."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
