"""Thinking sections in the output of a model: `<think>…</think>` at the beginning of an answer is reasoning, not answer.

Only the beginning counts, so that an answer may talk about the tags. Works on text in pieces. Independent of engines.
"""

from __future__ import annotations

from dataclasses import dataclass

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


@dataclass(frozen=True, slots=True)
class SplitOutput:
    """What one piece of output adds. `hidden_bytes` counts the UTF-8 bytes of output that are not part of the answer."""

    text: str = ""
    reasoning: str = ""
    hidden_bytes: int = 0


class ThinkingSplitter:
    """Separates the thinking section at the beginning of an output from the answer."""

    def __init__(self) -> None:
        self._state = "start"  # then `thinking`, `gap` (white space after the section), `answer`
        self._held = ""
        """Output that cannot be assigned yet."""

    def push(self, piece: str) -> SplitOutput:
        """Take the next piece of output."""
        if self._state == "answer":
            return SplitOutput(piece)
        self._held += piece
        hidden_bytes, reasoning = 0, ""
        if self._state == "start":
            begun = self._held.lstrip()
            if len(begun) < len(THINK_OPEN) and THINK_OPEN.startswith(begun):
                return SplitOutput()
            if not begun.startswith(THINK_OPEN):
                return self._release()
            hidden_bytes += len(self._held.encode(errors="replace")) - len(begun[len(THINK_OPEN) :].encode(errors="replace"))
            self._state, self._held = "thinking", begun[len(THINK_OPEN) :].lstrip("\n")
            hidden_bytes += len(begun) - len(THINK_OPEN) - len(self._held)
        if self._state == "thinking":
            before, close, after = self._held.partition(THINK_CLOSE)
            if close:
                self._state, self._held = "gap", after
                reasoning, hidden_bytes = before.rstrip("\n"), hidden_bytes + len((before + close).encode(errors="replace"))
            else:
                kept = _partial_close_length(before)
                reasoning, self._held = before[: len(before) - kept], before[len(before) - kept :]
                return SplitOutput("", reasoning, hidden_bytes + len(reasoning.encode(errors="replace")))
        answer = self._held.lstrip()
        hidden_bytes += len(self._held) - len(answer)
        self._held = ""
        if answer:
            self._state = "answer"
        return SplitOutput(answer, reasoning, hidden_bytes)

    def flush(self) -> SplitOutput:
        """What was held back, at the end of the output. A section that was never closed is reasoning."""
        if self._state == "thinking":
            held, self._held = self._held, ""
            return SplitOutput("", held.rstrip("\n"), len(held.encode(errors="replace")))
        return self._release()

    def _release(self) -> SplitOutput:
        text, self._held, self._state = self._held, "", "answer"
        return SplitOutput(text)


def _partial_close_length(text: str) -> int:
    """Length of the end of the text that may belong to the closing tag or to the line breaks before it."""
    tag = next((n for n in range(min(len(text), len(THINK_CLOSE) - 1), 0, -1) if THINK_CLOSE.startswith(text[-n:])), 0)
    return len(text) - len(text[: len(text) - tag].rstrip("\n"))
