"""From the raw text of a model to what the client gets: words, tool calls, and the log-probabilities of the words.

Works piece by piece and holds back only what may still turn out to be something else. Knows nothing of engines or of HTTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from yearling.chat.tools import ToolCall, ToolCallParser, forced_call
from yearling.inference import Token, Tokenizer

_LEAST_LOGPROB = -9999.0
"""What stands for minus infinity, which JSON does not have."""


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token of the answer as clients see it. `data` are its bytes, which need not be whole characters."""

    text: str
    data: bytes
    logprob: float
    top: tuple[TokenText, ...] = ()


@dataclass(frozen=True, slots=True)
class Shaped:
    """What one step adds."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


class Shaper(Protocol):
    """Turns pieces of raw text into words and calls. `ended`: whatever else the model writes is not wanted."""

    @property
    def ended(self) -> bool: ...

    def push(self, text: str) -> Shaped: ...

    def flush(self) -> Shaped: ...


class Words:
    """Text as it is."""

    ended = False

    def push(self, text: str) -> Shaped:
        return Shaped(text)

    def flush(self) -> Shaped:
        return Shaped()


class ChosenCalls:
    """Words, and tool calls where the model chose to make some."""

    def __init__(self, tools: Sequence[dict[str, Any]], *, parallel: bool) -> None:
        self._parser = ToolCallParser(tools, parallel=parallel)

    @property
    def ended(self) -> bool:
        return self._parser.ended

    def push(self, text: str) -> Shaped:
        return self._sorted(list(self._parser.push(text)))

    def flush(self) -> Shaped:
        return self._sorted(list(self._parser.flush()))

    @staticmethod
    def _sorted(pieces: list[str | ToolCall]) -> Shaped:
        return Shaped(
            "".join(piece for piece in pieces if isinstance(piece, str)),
            tuple(piece for piece in pieces if isinstance(piece, ToolCall)),
        )


class ForcedCall:
    """An output that a grammar makes one tool call; it is told when it is whole."""

    ended = False

    def __init__(self) -> None:
        self._text = ""

    def push(self, text: str) -> Shaped:
        self._text += text
        return Shaped()

    def flush(self) -> Shaped:
        call = forced_call(self._text)
        return Shaped(calls=() if call is None else (call,))


def shaper_for(tools: Sequence[dict[str, Any]], *, forced: bool, parallel: bool = True) -> Shaper:
    """What reads the output of a turn that offered these tools."""
    if not tools:
        return Words()
    return ForcedCall() if forced else ChosenCalls(tools, parallel=parallel)


class TokenAlignment:
    """Hands out tokens with the words that they make up.

    Text may come later than its tokens (an unfinished character, a stop string that might be forming), and some tokens never
    become words (a stop string, a tool call, the end of the turn).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._waiting: deque[TokenText] = deque()
        self._open_bytes = 0
        """Bytes of words that were handed out without their tokens, so far."""

    def push(self, tokens: Sequence[Token], words: str) -> tuple[TokenText, ...]:
        stop_ids = self._tokenizer.stop_ids
        self._waiting.extend(self._described(token) for token in tokens if token.id not in stop_ids)
        self._open_bytes += len(words.encode())
        ready = []
        while self._waiting and len(self._waiting[0].data) <= self._open_bytes:
            token = self._waiting.popleft()
            self._open_bytes -= len(token.data)
            ready.append(token)
        return tuple(ready)

    def flush(self, *, all_words: bool) -> tuple[TokenText, ...]:
        """What waits at the end: told when every token became words (bytes and text can differ), else dropped."""
        rest, self._waiting = tuple(self._waiting), deque()
        return rest if all_words else ()

    def _described(self, token: Token) -> TokenText:
        top = tuple(self._one(token_id, logprob) for token_id, logprob in token.top)
        return self._one(token.id, token.logprob, top)

    def _one(self, token_id: int, logprob: float, top: tuple[TokenText, ...] = ()) -> TokenText:
        data = self._tokenizer.token_bytes(token_id)
        return TokenText(data.decode(errors="replace"), data, max(logprob, _LEAST_LOGPROB), top)
