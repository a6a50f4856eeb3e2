"""Which shapes of conversations a chat template renders, found by asking it, and how others are changed to fit.

Templates differ: some refuse system messages, two questions in a row, or two tool results; some drop a system message in
mid-conversation, or the text beside a call, without a word. So before a template renders a conversation of a new shape (the
order of its roles), it renders a probe: the same roles with marked texts. A shape is accepted if the template refuses nothing
and every text comes out, in order; a system message may come out elsewhere, since some templates move them on purpose.
Otherwise the changes below are tried, the fewest and slightest first. If none helps, the template's refusal is reported. No
message is lost in silence.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol

from yearling.errors import BadInput
from yearling.inference.messages.tool_text import tool_messages_as_text

Messages = list[dict[str, Any]]

MAX_SHAPES = 256
"""Shapes of conversations that are remembered for one template."""
MAX_SHAPE_CHANGES = 4
"""Changes that are combined to rewrite one shape."""

_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "probe_function",
        "description": "A probe.",
        "parameters": {
            "type": "object",
            "properties": {"key": {"type": "string", "description": "A text."}},
            "required": ["key"],
        },
    },
}
_REPEATS = re.compile(r"(.{1,6}?)\1{2,}")


class Renderer(Protocol):
    """Renders messages as text with one chat template."""

    def __call__(self, messages: Sequence[dict[str, Any]], *, tools: Sequence[dict[str, Any]] | None) -> str:
        """The text. Raises BadInput if the template refuses the messages."""
        ...


# Changes


def _move_system_messages(messages: Messages) -> Messages:
    """System messages after the first message join the question that follows, else the one before, else become a question."""
    moved: Messages = []
    waiting: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "system" and index:
            waiting.append(message["content"])
        elif message["role"] == "user" and waiting:
            moved.append({**message, "content": _joined([*waiting, message["content"]])})
            waiting = []
        else:
            if waiting and message["role"] == "assistant":
                _add_to_question(moved, waiting)
                waiting = []
            moved.append(message)
    if waiting:
        _add_to_question(moved, waiting)
    return moved


def _add_to_question(messages: Messages, texts: Sequence[str]) -> None:
    if messages and messages[-1]["role"] == "user":
        messages[-1] = {**messages[-1], "content": _joined([messages[-1]["content"], *texts])}
    else:
        messages.append({"role": "user", "content": _joined(texts)})


def _join_equal_roles(messages: Messages) -> Messages:
    """Neighbouring questions become one, and neighbouring answers without calls."""
    joined: Messages = []
    for message in messages:
        last = joined[-1] if joined else None
        is_joinable = message["role"] in ("user", "assistant") and not message.get("tool_calls")
        if last is not None and is_joinable and last["role"] == message["role"] and not last.get("tool_calls"):
            joined[-1] = {**last, "content": _joined([last["content"], message["content"]])}
        else:
            joined.append(message)
    return joined


def _fold_system_message(messages: Messages) -> Messages:
    """The leading system message joins the first question, or becomes one."""
    if not messages or messages[0]["role"] != "system":
        return messages
    system, *rest = messages
    for index, message in enumerate(rest):
        if message["role"] == "user":
            folded = {**message, "content": _joined([system["content"], message["content"]])}
            return [*rest[:index], folded, *rest[index + 1 :]]
        if message["role"] == "assistant":
            break
    return [{"role": "user", "content": system["content"]}, *rest]


def _join_tool_results(messages: Messages) -> Messages:
    """Neighbouring tool results become one."""
    joined: Messages = []
    for message in messages:
        if message["role"] == "tool" and joined and joined[-1]["role"] == "tool":
            joined[-1] = {**joined[-1], "content": _joined([joined[-1]["content"], message["content"]])}
        else:
            joined.append(message)
    return joined


def _separate_calls(messages: Messages) -> Messages:
    """The text beside calls becomes an answer of its own before them."""
    separated: Messages = []
    for message in messages:
        if message.get("tool_calls") and message["content"]:
            separated += [{"role": message["role"], "content": message["content"]}, {**message, "content": ""}]
        else:
            separated.append(message)
    return separated


def _call_one_at_a_time(messages: Messages) -> Messages:
    """Each of several calls in one message becomes a message of its own, followed by its result."""
    results = {message.get("tool_call_id"): message for message in messages if message["role"] == "tool"}
    separated: Messages = []
    placed: set[object] = set()
    for message in messages:
        calls = message.get("tool_calls") or ()
        if len(calls) > 1:
            for index, call in enumerate(calls):
                separated.append({**message, "content": "" if index else message["content"], "tool_calls": [call]})
                if call["id"] in results and call["id"] not in placed:
                    separated.append(results[call["id"]])
                    placed.add(call["id"])
        elif not (message["role"] == "tool" and message.get("tool_call_id") in placed):
            separated.append(message)
    return separated


def _quote_opening_answer(messages: Messages) -> Messages:
    """A conversation that the assistant opens gets its first answer as a question's text, which says so."""
    start = 1 if messages and messages[0]["role"] == "system" else 0
    if len(messages) <= start or messages[start]["role"] != "assistant" or messages[start].get("tool_calls"):
        return messages
    opening = f"You opened this conversation with:\n{messages[start]['content']}"
    return [*messages[:start], {"role": "user", "content": opening}, *messages[start + 1 :]]


def _write_tools_as_text(messages: Messages) -> Messages:
    """Calls and results become text."""
    return tool_messages_as_text(messages)


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(text for text in texts if text)


_REWRITES: tuple[tuple[Callable[[Messages], Messages], int], ...] = (
    # In the order in which they are made, with their weights.
    (_separate_calls, 3),
    (_call_one_at_a_time, 4),
    (_join_tool_results, 2),
    (_write_tools_as_text, 10),
    (_move_system_messages, 2),
    (_quote_opening_answer, 3),
    (_fold_system_message, 4),
    (_join_equal_roles, 1),
)


def _combinations() -> list[tuple[Callable[[Messages], Messages], ...]]:
    """The combinations of changes, the slightest first."""
    chosen = [subset for size in range(MAX_SHAPE_CHANGES + 1) for subset in combinations(_REWRITES, size)]
    chosen.sort(key=lambda subset: sum(weight for _, weight in subset))
    return [tuple(change for change, _ in subset) for subset in chosen]


_COMBINATIONS = _combinations()


# Probes


@dataclass(frozen=True, slots=True)
class _ShapeRewrite:
    """How conversations of one shape are changed; `refusal` if no change makes the template accept them."""

    changes: tuple[Callable[[Messages], Messages], ...] = ()
    refusal: str = ""


class ConversationShapes:
    """What one template does with the shapes of conversations. Remembers the answers; may be used by several threads."""

    def __init__(self, render: Renderer) -> None:
        self._render = render
        self._rewrites: OrderedDict[tuple[str, bool], _ShapeRewrite] = OrderedDict()
        self._lock = threading.Lock()

    def rewrite(self, messages: Messages, *, with_tools: bool) -> Messages:
        """The messages in a shape that the template renders completely.

        `with_tools`: tools are rendered as well. Raises BadInput, with the template's words, if there is no such shape.
        """
        key = (_shape(messages), with_tools)
        with self._lock:
            rewrite = self._rewrites.get(key)
            if rewrite is not None:
                self._rewrites.move_to_end(key)
        if rewrite is None:
            rewrite = self._find_rewrite(key[0], with_tools=with_tools)
            with self._lock:
                self._rewrites[key] = rewrite
                if len(self._rewrites) > MAX_SHAPES:
                    self._rewrites.popitem(last=False)
        if rewrite.refusal:
            raise BadInput(
                f"The model's chat template cannot render a conversation of this form: {rewrite.refusal}",
                advice="Check roles and their order, or use another model.",
                param="messages",
            )
        return apply_changes(messages, rewrite.changes)

    def _find_rewrite(self, shape: str, *, with_tools: bool) -> _ShapeRewrite:
        probe, texts, system_texts = _probe(shape)
        tools = [_TOOL] if with_tools else None
        tried: set[str] = set()
        refusal = ""
        for changes in _COMBINATIONS:
            changed = apply_changes(probe, changes)
            if (form := repr(changed)) in tried:
                continue
            tried.add(form)
            try:
                rendered = self._render(changed, tools=tools)
            except BadInput as error:
                refusal = refusal or error.message
                continue
            if _contains_in_order(rendered, sorted(texts, key=form.find)) and all(text in rendered for text in system_texts):
                return _ShapeRewrite(changes)
            refusal = refusal or "it leaves out some of the messages."
        return _ShapeRewrite(refusal=refusal)


def apply_changes(messages: Messages, changes: Sequence[Callable[[Messages], Messages]]) -> Messages:
    """The messages after all changes."""
    for change in changes:
        messages = change(messages)
    return messages


def _shape(messages: Sequence[Mapping[str, Any]]) -> str:
    """The roles in order, one letter each; of a group that repeats, two repetitions stand for all."""
    letters = "".join(_letter(message) for message in messages)
    while (shorter := _REPEATS.sub(r"\1\1", letters)) != letters:
        letters = shorter
    return letters


def _letter(message: Mapping[str, Any]) -> str:
    """`S`ystem, `U`ser, `A`ssistant, `T`ool; calls are digits: their number, and 5 more if text stands beside them."""
    num_calls = min(len(message.get("tool_calls") or ()), 3)
    if num_calls:
        return str(num_calls + (5 if message["content"] else 0))
    letter = {"system": "S", "user": "U", "assistant": "A", "tool": "T"}.get(message["role"], "?")
    return letter if message["content"] else letter.lower()


def _probe(shape: str) -> tuple[Messages, list[str], list[str]]:
    """(messages of a shape, the texts that have to come out in order, those of system messages). Empty messages have none."""
    messages: Messages = []
    texts: list[str] = []
    system_texts: list[str] = []
    call_ids: list[str] = []
    for index, letter in enumerate(shape):
        text = f"Qz{index}w"
        if letter.isdigit():
            num_calls, has_text = (int(letter) - 5, True) if int(letter) > 5 else (int(letter), False)
            call_ids = [f"call{index:03}{number:02}" for number in range(num_calls)]
            calls = [_call(call_id, f"{text}{number}x") for number, call_id in enumerate(call_ids)]
            messages.append({"role": "assistant", "content": text if has_text else "", "tool_calls": calls})
            texts += [text] if has_text else []
            texts += [f"{text}{number}x" for number in range(num_calls)]
            continue
        role = {"S": "system", "U": "user", "A": "assistant", "T": "tool"}.get(letter.upper(), "user")
        message: dict[str, Any] = {"role": role, "content": text if letter.isupper() else ""}
        if role == "tool":
            message |= {"tool_call_id": call_ids.pop(0) if call_ids else f"call{index:03}00", "name": "probe_function"}
        messages.append(message)
        if letter.isupper():
            (system_texts if role == "system" else texts).append(text)
    return messages, texts, system_texts


def _call(call_id: str, text: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": "probe_function", "arguments": {"key": text}}}


def _contains_in_order(rendered: str, texts: Sequence[str]) -> bool:
    position = 0
    for text in texts:
        position = rendered.find(text, position)
        if position < 0:
            return False
        position += len(text)
    return True
