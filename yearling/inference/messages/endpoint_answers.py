"""The answer of an OpenAI-compatible endpoint, with the habits of peers brought into one form.

Peers differ from OpenAI's form in ways that break a client which trusts it: several calls under one `index`, no `index` at all,
arguments as an object, a name that every piece repeats, `finish_reason: stop` beside calls, content in parts, thinking between
tags in the content, a whole message in place of deltas, half an emoji in each of two pieces. After this module every call has an
index of its own and an id, arguments are text, thinking is reasoning, and text has no halves of characters. What has none of
these forms is ignored or reported, never passed on. Independent of HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from yearling.errors import Unavailable
from yearling.inference.engine import Delta
from yearling.inference.messages.strict_json import read_json
from yearling.inference.messages.thinking import (
    MAX_UNOPENED_CHARS,
    SplitOutput,
    ThinkingSplitter,
    split_unopened_thinking,
)
from yearling.records import FinishReason
from yearling.unicode_repair import mend_surrogates

MAX_CALLS = 128
"""Tool calls in one answer."""
MAX_ANSWER_CHARS = 16 << 20
"""Characters of one answer: text, reasoning and arguments together."""
MAX_NAME_CHARS = 200
"""Characters of a call's id, and of its name."""

_FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "tool_calls": "tool_calls", "function_call": "tool_calls"}


class EndpointAnswer:
    """Reads the events of one answer in turn. Raises Unavailable above a limit.

    `begins_thinking`: an earlier answer of the model ended a thinking section that it had not opened, so this one is taken to
    begin inside one. If it ends by itself without closing it, it was none: all of it is passed on again, as the answer. After
    `end`, the attribute says how the next answer is to be taken.
    """

    def __init__(self, *, begins_thinking: bool = False) -> None:
        self.begins_thinking = begins_thinking
        self.is_finished = False
        """Whether the endpoint said why the answer ended."""
        self._finish: FinishReason = "stop"
        self._usage: Mapping[str, Any] = {}
        self._choice: object = None
        self._thinking = ThinkingSplitter(begins_inside=begins_thinking)
        self._beginning: list[str] = []
        """The answer so far, or its thoughts if it is taken to begin with them."""
        self._text, self._reasoning = HalfCharacters(), HalfCharacters()
        self._calls = EndpointToolCalls()
        self._num_chars = 0

    def read(self, event: Mapping[str, Any]) -> Delta | None:
        """What one event adds to the answer; None if nothing."""
        if isinstance(usage := event.get("usage"), Mapping):
            self._usage = usage
        text, reasoning, calls = "", "", []
        for choice in _dictionaries(event.get("choices")):
            index = choice.get("index") or 0
            if self._choice is None:
                self._choice = index
            if index != self._choice:
                continue  # one answer was asked for
            fields = choice.get("delta") or choice.get("message")
            if isinstance(fields, Mapping):
                plain, thoughts = _text_and_reasoning(fields.get("content"))
                text += plain
                reasoning += next((named for name in _REASONING_FIELDS if isinstance(named := fields.get(name), str)), "")
                reasoning += thoughts
                if reasoning and self.begins_thinking and not any(self._beginning):  # thoughts come separately
                    self.begins_thinking, self._thinking = False, ThinkingSplitter()
                calls += self._calls.read(fields)
            if isinstance(reason := choice.get("finish_reason"), str) and reason:
                self._finish, self.is_finished = _FINISH_REASONS.get(reason, "stop"), True
        return self._delta(self._thinking.push(self._text.push(text)), self._reasoning.push(reasoning), calls)

    def end(self) -> Iterator[Delta]:
        """What was held back, and the last delta."""
        held = self._delta(self._thinking.push(self._text.flush()), self._reasoning.flush(), self._calls.flush())
        is_unclosed = self._thinking.is_inside
        last = self._delta(self._thinking.flush(), "", [])
        yield from (delta for delta in (held, last) if delta is not None)
        is_call = self._calls.num_calls > 0 and self._finish == "stop"
        if not self.begins_thinking:
            text = "".join(self._beginning)
            self.begins_thinking = split_unopened_thinking(text)[1] != text
        elif is_unclosed and self._finish == "stop" and not is_call:
            self.begins_thinking = False
            yield Delta(text="".join(self._beginning))
        yield Delta(
            finish_reason="tool_calls" if is_call else self._finish,
            prompt_tokens=_count(self._usage.get("prompt_tokens")),
            completion_tokens=_count(self._usage.get("completion_tokens")),
        )

    def _delta(self, split: SplitOutput, reasoning: str, calls: list[dict[str, Any]]) -> Delta | None:
        reasoning += split.reasoning
        if self.begins_thinking or self._num_chars < MAX_UNOPENED_CHARS:
            self._beginning.append(split.reasoning if self.begins_thinking else split.text)
        self._num_chars += len(split.text) + len(reasoning) + sum(len(call["function"].get("arguments", "")) for call in calls)
        if self._num_chars > MAX_ANSWER_CHARS:
            raise Unavailable(f"The endpoint sent an answer of more than {MAX_ANSWER_CHARS} characters.")
        if not (split.text or reasoning or calls):
            return None
        return Delta(text=split.text, reasoning=reasoning, tool_calls=tuple(calls))


_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")


@dataclass(slots=True)
class _PeerCall:
    """A call that is arriving. `peer_id` is the endpoint's id for it; empty if it gave none."""

    index: int
    peer_id: str
    name: str
    arguments: list[str] = field(default_factory=list)
    characters: HalfCharacters = field(default_factory=lambda: HalfCharacters())
    _brackets: _OpenBrackets = field(default_factory=lambda: _OpenBrackets())
    _is_no_json: bool = False

    def add_arguments(self, text: str) -> None:
        """Add a piece of the arguments."""
        self.arguments.append(text)
        self._brackets.push(text)

    @property
    def is_complete(self) -> bool:
        """Whether the arguments so far are a JSON value. They are read once: when their brackets are closed."""
        if self._is_no_json or not self.arguments or self._brackets.are_open:
            return False
        try:
            read_json("".join(self.arguments))
        except ValueError:
            self._is_no_json = True
        return not self._is_no_json


class _OpenBrackets:
    """Counts the brackets and quotation marks that are open in a JSON text that arrives in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_quoted = self._is_escaped = False

    @property
    def are_open(self) -> bool:
        return self._is_quoted or self._depth > 0

    def push(self, text: str) -> None:
        rest = text[1:] if self._is_escaped else text
        self._is_escaped = False
        for mark in _JSON_MARK.findall(rest):
            if mark[0] == "\\":
                self._is_escaped = len(mark) == 1
            elif mark == '"':
                self._is_quoted = not self._is_quoted
            elif not self._is_quoted:
                self._depth += 1 if mark in "[{" else -1


_JSON_MARK = re.compile(r'\\.?|["\[\]{}]', re.DOTALL)


class EndpointToolCalls:
    """Assigns the pieces of tool calls to calls: by id, else by index, else by their order."""

    def __init__(self) -> None:
        self._calls: list[_PeerCall] = []
        self._by_id: dict[str, _PeerCall] = {}
        self._by_index: dict[int, _PeerCall] = {}

    @property
    def num_calls(self) -> int:
        """How many calls have begun."""
        return len(self._calls)

    def read(self, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The deltas of the calls in one delta or message, in OpenAI's form."""
        items = _dictionaries(fields.get("tool_calls"))
        if isinstance(legacy := fields.get("function_call"), Mapping):
            items.append({"index": 0, "function": legacy})
        return [delta for item in items if (delta := self._read_item(item)) is not None]

    def flush(self) -> list[dict[str, Any]]:
        """What was held back of arguments."""
        held = [(call, call.characters.flush()) for call in self._calls]
        return [{"index": call.index, "function": {"arguments": text}} for call, text in held if text]

    def _read_item(self, item: Mapping[str, Any]) -> dict[str, Any] | None:
        function = item.get("function")
        if not isinstance(function, Mapping):
            function = item
        name = mend_surrogates(_string(function.get("name")))[:MAX_NAME_CHARS]
        peer_id = mend_surrogates(_string(item.get("id")))[:MAX_NAME_CHARS]
        index = item.get("index")
        call = self._find(index if isinstance(index, int) else None, peer_id, name)
        if call is not None:
            arguments = self._add_arguments(call, function.get("arguments"))
            continued = name[: MAX_NAME_CHARS - len(call.name)] if not call.arguments and name != call.name else ""
            call.name += continued
            if not (arguments or continued):
                return None
            return {"index": call.index, "function": {"arguments": arguments} | ({"name": continued} if continued else {})}
        if not (name or peer_id):
            return None
        if len(self._calls) == MAX_CALLS:
            raise Unavailable(f"The endpoint sent more than {MAX_CALLS} tool calls in one answer.")
        call = _PeerCall(len(self._calls), peer_id, name)
        self._calls.append(call)
        if peer_id:
            self._by_id[peer_id] = call
        if isinstance(index, int):
            self._by_index[index] = call
        arguments = self._add_arguments(call, function.get("arguments"))
        own_id = peer_id or f"call_{call.index}"
        return {"index": call.index, "id": own_id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _find(self, index: int | None, peer_id: str, name: str) -> _PeerCall | None:
        """The call that a piece belongs to; None if it begins a call."""
        if peer_id and (known := self._by_id.get(peer_id)) is not None:
            return known
        if not self._calls:
            return None
        if index is None:
            if peer_id and name:
                return None
            last = self._calls[-1]
        elif (at_index := self._by_index.get(index)) is None:
            return None
        else:
            last = at_index
        if not name:  # a piece of arguments; some peers give each piece an id of its own
            return last
        if peer_id and last.peer_id:
            return None
        return None if last.is_complete else last

    def _add_arguments(self, call: _PeerCall, value: object) -> str:
        if value is None:
            return ""
        text = call.characters.push(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        if text:
            call.add_arguments(text)
        return text


class HalfCharacters:
    """Joins the halves of a character (a surrogate pair) that arrive in two pieces; a half without its partner becomes U+FFFD."""

    def __init__(self) -> None:
        self._half = ""

    def push(self, text: str) -> str:
        """The text that is complete."""
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return mend_surrogates(text[: len(text) - len(self._half)])

    def flush(self) -> str:
        """What was held back."""
        half, self._half = self._half, ""
        return mend_surrogates(half)


def _text_and_reasoning(content: object) -> tuple[str, str]:
    """The text of a message's content, which may come in parts, and the reasoning among the parts."""
    if isinstance(content, str):
        return content, ""
    text, reasoning = "", ""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            text += part
        elif isinstance(part, Mapping):
            kind = part.get("type")
            if kind in ("thinking", "reasoning"):
                plain, more = _text_and_reasoning(part.get("thinking", part.get("text")))
                reasoning += plain + more
            elif isinstance(piece := part.get("text"), str):
                text += piece
    return text, reasoning


def _dictionaries(value: object) -> list[Mapping[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, Mapping)]


def _string(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0
