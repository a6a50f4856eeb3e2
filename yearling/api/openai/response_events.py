"""A turn as the events and output items of `/v1/responses`.

One composer serves both forms: a stream sends every event; without a stream, the response of the last event is returned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from yearling.api.http.json_response import JsonObject
from yearling.api.openai.answer_sources import response_annotations_json
from yearling.api.openai.generation import logprob_json
from yearling.chat import AnswerSources, TokenUsage, TurnEvent

ResponseEventJson = JsonObject
SearchItem = tuple[str, Callable[[str], JsonObject]]
"""The prefix of an output item's ID, and what makes the item from its ID."""


def usage_json(usage: TokenUsage) -> JsonObject:
    """A `ResponseUsage`."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def message_item(
    item_id: str, text: str, status: str, logprobs: Sequence[JsonObject] = (), annotations: Sequence[JsonObject] = ()
) -> JsonObject:
    """An `OutputMessage`."""
    content = [_text_part(text, logprobs, annotations)]
    return {"type": "message", "id": item_id, "role": "assistant", "status": status, "content": content}


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: str) -> JsonObject:
    """An `OutputFunctionCall`."""
    call = {"call_id": call_id, "name": name, "arguments": arguments}
    return {"type": "function_call", "id": item_id, **call, "status": status}


def _reasoning_item(item_id: str, text: str, status: str) -> JsonObject:
    content = [_reasoning_part(text)]
    return {"type": "reasoning", "id": item_id, "summary": [], "content": content, "status": status}


def _text_part(text: str, logprobs: Sequence[JsonObject] = (), annotations: Sequence[JsonObject] = ()) -> JsonObject:
    return {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": list(logprobs)}


def _reasoning_part(text: str) -> JsonObject:
    return {"type": "reasoning_text", "text": text}


class ResponseEventComposer:
    """Turns the events of a turn with one choice into events of a response.

    `base` is the response without its output; `searches` are the output items of what was looked up before.
    """

    def __init__(self, base: JsonObject, searches: Sequence[SearchItem] = ()) -> None:
        self._searches = searches
        self.response = {**base, "status": "in_progress", "output": [], "usage": None}
        self.usage = TokenUsage()
        self._next_sequence_number = 0
        self._num_items = dict.fromkeys(("msg", "rs", "fc", "fs", "ws"), 0)
        self._open: _OutputItem | None = None

    async def compose(self, events: AsyncIterator[TurnEvent]) -> AsyncGenerator[ResponseEventJson, None]:
        """`response.created` first, `response.completed` last, or `response.incomplete` if the answer reached its limit."""
        yield self.make_event("response.created", response={**self.response, "output": []})
        yield self.make_event("response.in_progress", response={**self.response, "output": []})
        for event in self._search_events():
            yield event
        async for turn_event in events:
            for event in self._events_for(turn_event):
                yield event
            if turn_event.finish_reason is not None:
                for event in self._source_events(turn_event.sources):
                    yield event
                is_cut = turn_event.finish_reason not in ("stop", "tool_calls")
                for event in self._close_item("incomplete" if is_cut else "completed"):
                    yield event
                yield self._final_event(turn_event.usage or TokenUsage(), is_cut=is_cut)

    def make_event(self, event_type: str, **fields: Any) -> ResponseEventJson:
        """An event with the next sequence number."""
        sequence_number = self._next_sequence_number
        self._next_sequence_number += 1
        return {"type": event_type, "sequence_number": sequence_number, **fields}

    def _events_for(self, turn_event: TurnEvent) -> Iterator[ResponseEventJson]:
        if turn_event.reasoning:
            yield from self._ensure_open(_ReasoningItem)
            yield from self._append_delta(turn_event.reasoning)
        if turn_event.text:
            yield from self._ensure_open(_MessageItem)
        if isinstance(self._open, _MessageItem):
            self._open.add_logprobs([logprob_json(token) for token in turn_event.tokens])
        if turn_event.text:
            yield from self._append_delta(turn_event.text)
        for call in turn_event.tool_calls:
            if call.get("id"):
                yield from self._close_item("completed")
                yield from self._open_item(_FunctionCallItem(self._item_id("fc"), call["id"], call["function"]["name"]))
            yield from self._append_delta((call.get("function") or {}).get("arguments") or "")

    def _source_events(self, sources: AnswerSources | None) -> Iterator[ResponseEventJson]:
        """The citations of the text that is complete now."""
        item = self._open
        if sources is None or not isinstance(item, _MessageItem):
            return
        item.annotations = response_annotations_json(sources)
        for index, annotation in enumerate(item.annotations):
            fields = {**item.location_fields(self._output_index), "annotation_index": index, "annotation": annotation}
            yield self.make_event("response.output_text.annotation.added", **fields)

    def _search_events(self) -> Iterator[ResponseEventJson]:
        """The searches, which are over before the answer begins."""
        for prefix, make_item in self._searches:
            item = make_item(self._item_id(prefix))
            yield self.make_event("response.output_item.added", output_index=self._output_index, item=item)
            yield self.make_event("response.output_item.done", output_index=self._output_index, item=item)
            self.response["output"].append(item)

    def _ensure_open(self, item_class: type[_ReasoningItem] | type[_MessageItem]) -> Iterator[ResponseEventJson]:
        if not isinstance(self._open, item_class):
            yield from self._close_item("completed")
            yield from self._open_item(item_class(self._item_id(item_class.prefix)))

    @property
    def _output_index(self) -> int:
        """Index of the open item, or of the next one."""
        return len(self.response["output"])

    def _item_id(self, prefix: str) -> str:
        """The ID of the next item of its kind. A stored response has the same IDs, although it lacks the reasoning."""
        number = self._num_items[prefix]
        self._num_items[prefix] += 1
        return f"{prefix}_{str(self.response['id']).removeprefix('resp_')}{number}"

    def _open_item(self, item: _OutputItem) -> Iterator[ResponseEventJson]:
        self._open = item
        yield self.make_event("response.output_item.added", output_index=self._output_index, item=item.initial_json())
        if item.has_part:
            yield self._part_event("response.content_part.added", item, "")

    def _append_delta(self, text: str) -> Iterator[ResponseEventJson]:
        item = self._open
        if item is not None and text:
            item.text += text
            fields = {**item.location_fields(self._output_index), **item.delta_fields()}
            yield self.make_event(f"{item.event_type}.delta", delta=text, **fields)

    def _close_item(self, status: str) -> Iterator[ResponseEventJson]:
        item, self._open = self._open, None
        if item is None:
            return
        final = item.final_json(status)
        yield self.make_event(f"{item.event_type}.done", **item.location_fields(self._output_index), **item.done_fields())
        if item.has_part:
            yield self._part_event("response.content_part.done", item, item.text)
        yield self.make_event("response.output_item.done", output_index=self._output_index, item=final)
        self.response["output"].append(final)

    def _part_event(self, event_type: str, item: _OutputItem, text: str) -> ResponseEventJson:
        index, part = self._output_index, item.part(text)
        return self.make_event(event_type, item_id=item.id, output_index=index, content_index=0, part=part)

    def _final_event(self, usage: TokenUsage, *, is_cut: bool) -> ResponseEventJson:
        self.usage = usage
        self.response["usage"] = usage_json(usage)
        self.response["status"] = "incomplete" if is_cut else "completed"
        self.response["incomplete_details"] = {"reason": "max_output_tokens"} if is_cut else None
        return self.make_event(f"response.{self.response['status']}", response=self.response)


class _OutputItem(ABC):
    """An output item in progress."""

    prefix = ""
    event_type = ""
    has_part = True

    def __init__(self, item_id: str) -> None:
        self.id = item_id
        self.text = ""

    @abstractmethod
    def initial_json(self) -> JsonObject:
        """The item before its first text."""

    @abstractmethod
    def final_json(self, status: str) -> JsonObject:
        """The complete item."""

    def part(self, text: str) -> JsonObject:
        """The content part with this text. Only for items that have parts."""
        raise TypeError(f"{type(self).__name__} has no content parts")

    def location_fields(self, output_index: int) -> JsonObject:
        """Fields that locate the item's text in the response."""
        return {"item_id": self.id, "output_index": output_index, "content_index": 0}

    def delta_fields(self) -> JsonObject:
        """Further fields of the item's next `delta` event."""
        return {}

    def done_fields(self) -> JsonObject:
        """Fields of the item's `done` event."""
        return {"text": self.text}


class _MessageItem(_OutputItem):
    prefix = "msg"
    event_type = "response.output_text"

    def __init__(self, item_id: str) -> None:
        super().__init__(item_id)
        self.annotations: list[JsonObject] = []
        self._logprobs: list[JsonObject] = []
        self._num_sent_logprobs = 0

    def add_logprobs(self, logprobs: Sequence[JsonObject]) -> None:
        """Add the tokens of the text that follows."""
        self._logprobs.extend(logprobs)

    def initial_json(self) -> JsonObject:
        return {**message_item(self.id, "", "in_progress"), "content": []}

    def final_json(self, status: str) -> JsonObject:
        return message_item(self.id, self.text, status, self._logprobs, self.annotations)

    def part(self, text: str) -> JsonObject:
        return _text_part(text, self._logprobs if text else (), self.annotations)

    def delta_fields(self) -> JsonObject:
        start, self._num_sent_logprobs = self._num_sent_logprobs, len(self._logprobs)
        return {"logprobs": self._logprobs[start:]}

    def done_fields(self) -> JsonObject:
        return {**super().done_fields(), "logprobs": self._logprobs}


class _ReasoningItem(_OutputItem):
    prefix = "rs"
    event_type = "response.reasoning_text"

    def initial_json(self) -> JsonObject:
        return {**_reasoning_item(self.id, "", "in_progress"), "content": []}

    def final_json(self, status: str) -> JsonObject:
        return _reasoning_item(self.id, self.text, status)

    def part(self, text: str) -> JsonObject:
        return _reasoning_part(text)


class _FunctionCallItem(_OutputItem):
    event_type = "response.function_call_arguments"
    has_part = False

    def __init__(self, item_id: str, call_id: str, name: str) -> None:
        super().__init__(item_id)
        self._call_id = call_id
        self._name = name

    def initial_json(self) -> JsonObject:
        return call_item(self.id, self._call_id, self._name, "", "in_progress")

    def final_json(self, status: str) -> JsonObject:
        return call_item(self.id, self._call_id, self._name, self.text, status)

    def location_fields(self, output_index: int) -> JsonObject:
        return {"item_id": self.id, "output_index": output_index}

    def done_fields(self) -> JsonObject:
        return {"arguments": self.text, "name": self._name}
