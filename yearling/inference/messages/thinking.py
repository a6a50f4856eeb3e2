"""Thinking sections in the output of a model: `<think>…</think>` at the beginning of an answer is reasoning, not answer.

So are the channels of gpt-oss (`channels.py`). Only the beginning counts, so that an answer may talk about the tags. Works on
text in pieces. Independent of engines.

Some endpoints open the section in the prompt, so that an answer begins inside it and only closes it. A `</think>` on a line of
its own that nothing opened shows that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from yearling.inference.messages.channels import ChannelSplitter, begins_with_channel, num_bytes

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"

MAX_UNOPENED_CHARS = 1 << 18
"""How much of an answer is searched for the end of a section that it did not open."""

_CLOSING_LINE = re.compile(rf"(?:\A|\n)[ \t]*{THINK_CLOSE}[ \t]*(?:\n|\Z)")


def split_unopened_thinking(text: str) -> tuple[str, str]:
    """(the thoughts, the answer) of an output that ends a thinking section on a line of its own without having opened one; no
    thoughts and the whole output if it does not.
    """
    match = _CLOSING_LINE.search(text, 0, MAX_UNOPENED_CHARS)
    if match is None or THINK_OPEN in text[: match.start()]:
        return "", text
    return text[: match.start()].strip(), text[match.end() :].lstrip()


@dataclass(frozen=True, slots=True)
class SplitOutput:
    """What one piece of output adds.

    `hidden_bytes` counts the UTF-8 bytes of output that are not part of the answer, less those that the answer has beside it.
    """

    text: str = ""
    reasoning: str = ""
    hidden_bytes: int = 0


class ThinkingSplitter:
    """Separates the thinking section at the beginning of an output from the answer."""

    def __init__(self, *, begins_inside: bool = False) -> None:
        """`begins_inside`: an output that does not open a section begins inside one."""
        self._begins_inside = begins_inside
        self._state = "start"  # then `opened`, `thinking`, `closed`, `answer`; or `channels`
        self._channels = ChannelSplitter()
        self._held = ""
        """Output that cannot be assigned yet."""

    @property
    def is_inside(self) -> bool:
        """Whether a section has begun that is not closed."""
        return self._state in ("opened", "thinking")

    def push(self, piece: str) -> SplitOutput:
        """Take the next piece of output."""
        if self._state == "answer":
            return SplitOutput(piece)
        if self._state == "channels":
            return SplitOutput(*self._channels.push(piece))
        self._held += piece
        num_input_bytes = num_bytes(self._held)
        reasoning = self._take_reasoning()
        if self._state == "channels":
            begun, self._held = self._held, ""
            return SplitOutput(*self._channels.push(begun))
        text = self._take_text()
        return SplitOutput(text, reasoning, num_input_bytes - num_bytes(text) - num_bytes(self._held))

    def flush(self) -> SplitOutput:
        """What was held back, at the end of the output. A section that was never closed is reasoning."""
        held, self._held = self._held, ""
        if self._state == "channels":
            return SplitOutput(*self._channels.flush())
        if self._state == "thinking":
            return SplitOutput("", held.rstrip("\n"), num_bytes(held))
        return SplitOutput(held)

    def _take_reasoning(self) -> str:
        if self._state == "start":
            begun, has_channels = self._held.lstrip(), begins_with_channel(self._held)
            if begun.startswith(THINK_OPEN):
                self._state, self._held = "opened", begun[len(THINK_OPEN) :]
            elif has_channels:
                self._state = "channels"
            elif has_channels is False and not THINK_OPEN.startswith(begun):
                self._state = "opened" if self._begins_inside else "answer"
        if self._state == "opened":
            self._held = self._held.lstrip("\n")
            if self._held:
                self._state = "thinking"
        if self._state != "thinking":
            return ""
        before, close, after = self._held.partition(THINK_CLOSE)
        if close:
            self._state, self._held = "closed", after
            return before.rstrip("\n")
        kept = _partial_close_length(before)
        reasoning, self._held = before[: len(before) - kept], before[len(before) - kept :]
        return reasoning

    def _take_text(self) -> str:
        if self._state == "closed":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "answer"
        if self._state != "answer":
            return ""
        text, self._held = self._held, ""
        return text


def _partial_close_length(text: str) -> int:
    """Length of the end of the text that may belong to the closing tag or to the line breaks before it."""
    tag = next((n for n in range(min(len(text), len(THINK_CLOSE) - 1), 0, -1) if THINK_CLOSE.startswith(text[-n:])), 0)
    return len(text) - len(text[: len(text) - tag].rstrip("\n"))
