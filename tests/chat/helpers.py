"""Shared by the tests of turns: a sink that keeps samples in memory, and assistants over scripted engines."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from yearling.chat import Assistant, TurnRequest
from yearling.errors import StorageFailed
from yearling.inference import EnginePool, FakeChatTemplate, FakeEngine, fake_served_model
from yearling.records import Sample

ADD: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
            "additionalProperties": False,
        },
    },
}
CALL = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'


class RecordingSink:
    """Keeps samples in memory; raises StorageFailed while `full` is set."""

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self.samples: list[Sample] = []
        self.full = False
        self._delay_s = delay_s

    async def add(self, sample: Sample) -> None:
        await asyncio.sleep(self._delay_s)
        if self.full:
            raise StorageFailed("The disk is full.", advice="Free some space.")
        self.samples.append(sample)


def make_assistant(
    engine: FakeEngine,
    sink: RecordingSink | None = None,
    template: FakeChatTemplate | None = None,
    *,
    source_answers: Literal["auto", "quote", "write"] = "auto",
) -> Assistant:
    return Assistant(
        EnginePool.from_open_models([fake_served_model("fake-model", engine, template=template)]),
        sink or RecordingSink(),
        "person-1",
        source_answers=source_answers,
    )


def turn_request(content: str = "Hello", **fields: Any) -> TurnRequest:
    fields.setdefault("messages", ({"role": "user", "content": content},))
    return TurnRequest(request_id="request-1", **fields)


def prompt_of(engine: FakeEngine, at: int = -1) -> str:
    """The text of a prompt that the engine received."""
    ids = engine.requests[at].prompt_ids
    return fake_served_model().tokenizer.decode(list(ids or ()), skip_special=False)  # type: ignore[union-attr]
