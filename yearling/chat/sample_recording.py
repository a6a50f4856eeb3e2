"""Records what a model saw and emitted: one sample per pass through an engine.

Every pass is stored however it ends: an answer before it is acknowledged, a failed or abandoned one in the background.
Independent of prompts and clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from yearling.chat.json_types import MessageDict
from yearling.chat.served_spec import SPEC_VERSION
from yearling.chat.structured_output import canonical_schema_json
from yearling.clock import now_utc
from yearling.errors import ModelStopped
from yearling.inference import Delta, GenerationRequest, ServedModel, format_tool_call
from yearling.records import FinishReason, Sample

_log = structlog.get_logger("yearling.chat")


class SampleSink(Protocol):
    """Stores samples."""

    async def add(self, sample: Sample, /) -> object:
        """Return once the sample is durable; raise if it cannot be stored."""
        ...


class DiscardingSampleSink:
    """Discards every sample, for turns of which nothing may be kept."""

    async def add(self, sample: Sample, /) -> object:
        """Store nothing."""
        return False


@dataclass(slots=True, kw_only=True)
class GenerationRecord:
    """Accumulates one pass through an engine. `finish` is None until the engine reports how the pass ended."""

    request_id: str
    person_id: str
    served: ServedModel
    request: GenerationRequest
    messages: Sequence[MessageDict]
    choice: int
    id: str
    finish: FinishReason | None = None
    handed_to_storage: bool = False
    """Whether the sample was passed to the sink."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _output_ids: list[int] = field(default_factory=list)
    _logprobs: list[float] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _tool_calls: dict[int, dict[str, str]] = field(default_factory=dict)
    _started_s: float = field(default_factory=time.monotonic)

    def add_delta(self, delta: Delta) -> None:
        """Add what one step of the engine emitted."""
        for token in delta.tokens:
            self._output_ids.append(token.id)
            self._logprobs.append(token.logprob)
        if delta.text:
            self._text.append(delta.text)
        for call in delta.tool_calls:
            function = self._tool_calls.setdefault(call["index"], {"name": "", "arguments": ""})
            for key, text in (call.get("function") or {}).items():
                function[key] = function.get(key, "") + (text or "")
        if delta.finish_reason is not None:
            self.finish = delta.finish_reason
            self.prompt_tokens, self.completion_tokens = delta.prompt_tokens, delta.completion_tokens
        elif self.request.prompt_ids is not None:  # the counts in case we stop before the engine does
            self.prompt_tokens, self.completion_tokens = len(self.request.prompt_ids), len(self._output_ids)

    @property
    def text(self) -> str:
        """The output of the model. Tool calls that a remote engine parsed are appended as text."""
        return "".join(self._text) + "".join(
            format_tool_call(function["name"], function["arguments"]) for _, function in sorted(self._tool_calls.items())
        )

    @property
    def has_output(self) -> bool:
        """Whether the engine has emitted anything."""
        return bool(self._output_ids or self._text or self._tool_calls)

    @property
    def has_tool_calls(self) -> bool:
        """Whether a remote engine has parsed tool calls."""
        return bool(self._tool_calls)

    @property
    def last_token_id(self) -> int | None:
        """The last emitted token id, None before the first."""
        return self._output_ids[-1] if self._output_ids else None

    def to_sample(self, finish: FinishReason) -> Sample:
        """The pass as a record. Token ids and log-probabilities are empty for engines that do not report them."""
        engine = self.served.engine
        return Sample(
            id=self.id,
            request_id=self.request_id,
            person_id=self.person_id,
            created_utc=now_utc(),
            model=self.served.name,
            model_hash=engine.model_hash,
            adapter_hash=self.request.adapter_hash or self.served.adapter_hash,
            engine=engine.name,
            spec_version=SPEC_VERSION,
            messages=tuple(dict(message) for message in self.messages),
            prompt_ids=self.request.prompt_ids or (),
            output_ids=tuple(self._output_ids) if engine.capabilities.token_ids else (),
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
    """Stores samples: completed passes at once, cancelled and failed ones in background tasks."""

    def __init__(self, sink: SampleSink) -> None:
        self._sink = sink
        self._tasks: set[asyncio.Task[None]] = set()

    async def store(self, record: GenerationRecord, finish: FinishReason) -> None:
        """Return once the sample is durable. Raises what the sink raises if it cannot be stored."""
        record.handed_to_storage = True
        await self._sink.add(record.to_sample(finish))

    @contextmanager
    def store_on_exit(self, record: GenerationRecord) -> Iterator[None]:
        """Store the pass in the background if the block ends before `store` was called.

        It counts as cancelled, not as failed, if its client left or a key-holder stopped the model.
        """
        finish: FinishReason = "error"
        try:
            yield
        except (GeneratorExit, asyncio.CancelledError, ModelStopped):
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
            _log.error("sample_store_failed", request_id=sample.request_id, finish_reason=sample.finish_reason, error=repr(error))

    async def drain(self) -> None:
        """Return once every background task has ended."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
