"""A turn as the events and the output items of `/v1/responses`.

One composer serves both forms: a stream sends every event, an answer at once is the response of the last one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from yearling.chat import TokenUsage, TurnEvent

ResponseEventJson = dict[str, Any]


def usage_json(usage: TokenUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def message_item(item_id: str, text: str, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": item_id, "role": "assistant", "status": status, "content": [part]}


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: str) -> dict[str, Any]:
    call = {"call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "function_call", "id": item_id, **call, "status": status}


def reasoning_item(item_id: str, text: str, status: str) -> dict[str, Any]:
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": item_id, "summary": [], "content": content, "status": status}


class ResponseEventComposer:
    """Turns the events of a turn with one choice into events of a response. `frame` is the response without its output."""

    def __init__(self, base: dict[str, Any]) -> None:
        self.response = {**base, "status": "in_progress", "output": [], "usage": None}
        self.usage = TokenUsage()
        self._sequence = 0
        self._open: _OutputItem | None = None

    async def compose(self, events: AsyncIterator[TurnEvent]) -> AsyncGenerator[ResponseEventJson, None]:
        """`response.created` first, `response.completed` last, or `response.incomplete` for an answer cut by its length."""
        yield self.make_event("response.created", response={**self.response, "output": []})
        yield self.make_event("response.in_progress", response={**self.response, "output": []})
        async for one in events:
            for event in self._events_for(one):
                yield event
            if one.finish_reason is not None:
                cut = one.finish_reason == "length"
                for event in self._close_item("incomplete" if cut else "completed"):
                    yield event
                yield self._final_event(one.usage or TokenUsage(), cut=cut)

    def make_event(self, kind: str, **fields: Any) -> ResponseEventJson:
        self._sequence += 1
        return {"type": kind, "sequence_number": self._sequence - 1, **fields}

    def _events_for(self, one: TurnEvent) -> Iterator[ResponseEventJson]:
        if one.reasoning:
            yield from self._ensure_open(_ReasoningItem)
            yield from self._append_delta(one.reasoning)
        if one.text:
            yield from self._ensure_open(_MessageItem)
            yield from self._append_delta(one.text)
        for call in one.tool_calls:
            if call.get("id"):
                yield from self._close_item("completed")
                yield from self._open_item(_FunctionCallItem(self._item_id("fc"), call["id"], call["function"]["name"]))
            yield from self._append_delta((call.get("function") or {}).get("arguments") or "")

    def _ensure_open(self, kind: type[_ReasoningItem] | type[_MessageItem]) -> Iterator[ResponseEventJson]:
        if not isinstance(self._open, kind):
            yield from self._close_item("completed")
            yield from self._open_item(kind(self._item_id(kind.prefix)))

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{str(self.response['id']).removeprefix('resp_')}{len(self.response['output'])}"

    def _open_item(self, item: _OutputItem) -> Iterator[ResponseEventJson]:
        self._open = item
        at = len(self.response["output"])
        yield self.make_event("response.output_item.added", output_index=at, item=item.initial_json())
        if item.part is not None:
            yield self.make_event(
                "response.content_part.added", item_id=item.id, output_index=at, content_index=0, part=item.part("")
            )

    def _append_delta(self, text: str) -> Iterator[ResponseEventJson]:
        if self._open is not None and text:
            self._open.text += text
            yield self.make_event(
                f"{self._open.event}.delta", delta=text, **self._open.location_fields(len(self.response["output"]))
            )

    def _close_item(self, status: str) -> Iterator[ResponseEventJson]:
        item, self._open = self._open, None
        if item is None:
            return
        at = len(self.response["output"])
        whole = item.final_json(status)
        yield self.make_event(f"{item.event}.done", **item.location_fields(at), **item.done_fields())
        if item.part is not None:
            yield self.make_event(
                "response.content_part.done", item_id=item.id, output_index=at, content_index=0, part=item.part(item.text)
            )
        yield self.make_event("response.output_item.done", output_index=at, item=whole)
        self.response["output"].append(whole)

    def _final_event(self, usage: TokenUsage, *, cut: bool) -> ResponseEventJson:
        self.usage = usage
        self.response["usage"] = usage_json(usage)
        self.response["status"] = "incomplete" if cut else "completed"
        self.response["incomplete_details"] = {"reason": "max_output_tokens"} if cut else None
        return self.make_event(f"response.{self.response['status']}", response=self.response)


class _OutputItem:
    """An output item that is being written."""

    prefix = ""
    event = ""
    part: Any = None

    def __init__(self, item_id: str) -> None:
        self.id = item_id
        self.text = ""

    def initial_json(self) -> dict[str, Any]:
        raise NotImplementedError

    def final_json(self, status: str) -> dict[str, Any]:
        raise NotImplementedError

    def location_fields(self, at: int) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": at, "content_index": 0}

    def done_fields(self) -> dict[str, Any]:
        return {"text": self.text}


class _MessageItem(_OutputItem):
    prefix = "msg"
    event = "response.output_text"

    def initial_json(self) -> dict[str, Any]:
        return {**message_item(self.id, "", "in_progress"), "content": []}

    def final_json(self, status: str) -> dict[str, Any]:
        return message_item(self.id, self.text, status)

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def location_fields(self, at: int) -> dict[str, Any]:
        return {**super().location_fields(at), "logprobs": []}


class _ReasoningItem(_OutputItem):
    prefix = "rs"
    event = "response.reasoning_text"

    def initial_json(self) -> dict[str, Any]:
        return {**reasoning_item(self.id, "", "in_progress"), "content": []}

    def final_json(self, status: str) -> dict[str, Any]:
        return reasoning_item(self.id, self.text, status)

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": text}


class _FunctionCallItem(_OutputItem):
    event = "response.function_call_arguments"

    def __init__(self, item_id: str, call_id: str, name: str) -> None:
        super().__init__(item_id)
        self._call_id = call_id
        self._name = name

    def initial_json(self) -> dict[str, Any]:
        return call_item(self.id, self._call_id, self._name, "", "in_progress")

    def final_json(self, status: str) -> dict[str, Any]:
        return call_item(self.id, self._call_id, self._name, self.text, status)

    def location_fields(self, at: int) -> dict[str, Any]:
        return {"item_id": self.id, "output_index": at}

    def done_fields(self) -> dict[str, Any]:
        return {"arguments": self.text, "name": self._name}
