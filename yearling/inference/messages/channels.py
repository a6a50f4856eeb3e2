"""The channels of gpt-oss (OpenAI's harmony format) in the output of a model: reasoning, answer, and calls.

    <|channel|>analysis<|message|>THOUGHTS<|end|><|start|>assistant<|channel|>final<|message|>ANSWER
    <|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>

`analysis` becomes reasoning. `final`, and `commentary` that is addressed to nobody, become the answer. A call becomes a part of
the answer, in the one form that the chat template writes, whatever the order of its header; `tool_calls.py` reads it there.
Whatever else comes is passed on as it is. Works on text in pieces. Independent of engines. The format is described in OpenAI's
cookbook, "OpenAI harmony response format".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

MAX_HEADER_CHARS = 600
"""Longest header of a part. A longer one is text."""

FINAL_CHANNEL = "<|channel|>final<|message|>"
"""What stands before an answer."""

_START, _CHANNEL, _MESSAGE, _CALL = "<|start|>", "<|channel|>", "<|message|>", "<|call|>"
_ENDS = ("<|end|>", "<|return|>", _CALL, _START, _CHANNEL)
_END = re.compile("|".join(map(re.escape, _ENDS)))
_END_OR_STRING = re.compile(rf'{_END.pattern}|"|\\.', re.DOTALL)
_CHANNEL_NAME = re.compile(r"<\|channel\|>\s*(\w{1,40})")
_RECIPIENT = re.compile(r"\bto=([^\s<]{1,200})")
_ADDRESSED = re.compile(r"to=[^\s<]{1,200}\s{0,4}<\|channel\|>")
_MAY_BE_ADDRESSED = re.compile(r"to=[^\s<]{0,200}\s{0,4}(?P<mark>(?:<[|a-z>]{0,10})?)")


def begins_with_channel(text: str) -> bool | None:
    """Whether an output that begins with `text` consists of channels; None if more of it has to be seen."""
    begun = text.lstrip()
    if begun.startswith((_CHANNEL, _START)) or _ADDRESSED.match(begun):
        return True
    if any(mark.startswith(begun) for mark in (_CHANNEL, _START, "to=")):
        return None
    partial = _MAY_BE_ADDRESSED.fullmatch(begun)
    return None if partial and _CHANNEL.startswith(partial["mark"]) else False


@dataclass(slots=True)
class ChannelSplitter:
    """Separates the parts of an output that consists of channels."""

    _held: str = ""
    _kind: Literal["header", "reasoning", "text", "call", "other"] = "header"
    """What the held text belongs to."""
    _in_string: bool = False
    """Whether the arguments of a call have arrived up to the inside of a string."""
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _has_text: bool = False
    _has_reasoning: bool = False

    def push(self, piece: str) -> tuple[str, str, int]:
        """(text, reasoning, hidden bytes) of the next piece.

        The hidden bytes are those of output that did not become text, less those of text that is added, in UTF-8.
        """
        before = num_bytes(self._held) + num_bytes(piece)
        self._held += piece
        while self._take_header() if self._kind == "header" else self._take_body():
            pass
        return self._taken(before)

    def flush(self) -> tuple[str, str, int]:
        """What was held back, at the end of the output."""
        before = num_bytes(self._held)
        if self._held.strip() or self._kind != "header":
            self._emit(self._held)
        if self._kind == "call":  # the end mark ends the output, so it has no text
            self._emit(_CALL)
        self._held, self._kind = "", "header"
        return self._taken(before)

    def _taken(self, num_input_bytes: int) -> tuple[str, str, int]:
        text, reasoning = "".join(self._text), "".join(self._reasoning)
        self._text.clear()
        self._reasoning.clear()
        return text, reasoning, num_input_bytes - num_bytes(text) - num_bytes(self._held)

    def _take_header(self) -> bool:
        end = self._held.find(_MESSAGE, 0, MAX_HEADER_CHARS + len(_MESSAGE))
        if end < 0:
            if len(self._held) < MAX_HEADER_CHARS + len(_MESSAGE):
                return False
            begun, self._held = self._held[:MAX_HEADER_CHARS], self._held[MAX_HEADER_CHARS:]
            self._kind = "other"
            self._emit(begun)
            return True
        header, rest = self._held[:end], self._held[end + len(_MESSAGE) :]
        channel, recipient = _CHANNEL_NAME.search(header), _RECIPIENT.search(header)
        function = recipient[1].removeprefix("functions.") if recipient and recipient[1].startswith("functions.") else ""
        if not channel or (recipient and not function):
            self._kind, self._held = "other", rest
            self._emit(header + _MESSAGE)
        elif function:
            self._kind, self._held, self._in_string = "call", rest, False
            self._emit(f"{_START}assistant to=functions.{function}{_CHANNEL}commentary json{_MESSAGE}")
        else:
            self._kind, self._held = "reasoning" if channel[1] == "analysis" else "text", rest
            if self._kind == "reasoning" and self._has_reasoning:
                self._reasoning.append("\n\n")
            if self._kind == "text" and self._has_text:
                self._text.append("\n\n")
        return True

    def _take_body(self) -> bool:
        end = self._find_end()
        if end is None:
            kept = _partial_end_length(self._held)
            self._emit(self._held[: len(self._held) - kept])
            self._held = self._held[len(self._held) - kept :]
            return False
        self._emit(self._held[: end.start()])
        if self._kind == "call":
            self._emit(_CALL)
        elif self._kind == "other" and end[0] not in (_START, _CHANNEL):
            self._emit(end[0])
        # A part that is not closed ends where the next one begins.
        self._held = self._held[end.start() if end[0] in (_START, _CHANNEL) else end.end() :]
        self._kind = "header"
        return True

    def _find_end(self) -> re.Match[str] | None:
        if self._kind != "call":
            return _END.search(self._held)
        for match in _END_OR_STRING.finditer(self._held):
            if match[0] == '"':
                self._in_string = not self._in_string
            elif match[0][0] == "<" and not self._in_string:
                return match
        return None

    def _emit(self, text: str) -> None:
        if not text:
            return
        if self._kind == "reasoning":
            self._reasoning.append(text)
            self._has_reasoning = True
        else:
            self._text.append(text)
            self._has_text = True


def num_bytes(text: str) -> int:
    """Length of the text in UTF-8; half a character counts as one byte."""
    return len(text.encode(errors="replace"))


def _partial_end_length(text: str) -> int:
    """Length of the end of the text that may become an end mark, or of a backslash whose character has not arrived."""
    if (len(text) - len(text.rstrip("\\"))) % 2:
        return 1
    start = text.rfind("<", max(0, len(text) - max(map(len, _ENDS)) + 1))
    return len(text) - start if start >= 0 and any(mark.startswith(text[start:]) for mark in _ENDS) else 0
