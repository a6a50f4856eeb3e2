"""From the raw text of a model to what the client gets: words, tool calls, and the log-probabilities of the words.

Works piece by piece and holds back only what may still turn out to be something else. Knows nothing of engines or of HTTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from yearling.chat.tools import ToolCall, ToolCallParser, parse_forced_call
from yearling.inference import Token, TokenizerLike

_MIN_LOGPROB = -9999.0
"""What stands for minus infinity, which JSON does not have."""


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token of the answer as clients see it. `data` are its bytes, which need not be whole characters."""

    text: str
    raw_bytes: bytes
    logprob: float
    top: tuple[TokenText, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """What one step adds."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class OutputParser(Protocol):
    """Turns pieces of raw text into words and calls.

    `ended`: whatever else the model writes is not wanted. `checks_schemas`: a piece may be checked against a schema that a user
    supplies, which belongs in a worker thread.
    """

    @property
    def checks_schemas(self) -> bool: ...

    @property
    def ended(self) -> bool: ...

    def push(self, text: str) -> ParsedOutput: ...

    def flush(self) -> ParsedOutput: ...


class PlainTextParser:
    """Text as it is."""

    ended = False
    checks_schemas = False

    def push(self, text: str) -> ParsedOutput:
        return ParsedOutput(text)

    def flush(self) -> ParsedOutput:
        return ParsedOutput()


class OptionalToolCallParser:
    """Words, and tool calls where the model chose to make some."""

    def __init__(self, tools: Sequence[dict[str, Any]], *, parallel: bool) -> None:
        self._parser = ToolCallParser(tools, parallel=parallel)
        self.checks_schemas = any(tool["function"].get("strict") for tool in tools)

    @property
    def ended(self) -> bool:
        return self._parser.ended

    def push(self, text: str) -> ParsedOutput:
        return self._separate(list(self._parser.push(text)))

    def flush(self) -> ParsedOutput:
        return self._separate(list(self._parser.flush()))

    @staticmethod
    def _separate(pieces: list[str | ToolCall]) -> ParsedOutput:
        return ParsedOutput(
            "".join(piece for piece in pieces if isinstance(piece, str)),
            tuple(piece for piece in pieces if isinstance(piece, ToolCall)),
        )


class ForcedToolCallParser:
    """An output that a grammar makes one tool call; it is told when it is whole."""

    ended = False
    checks_schemas = False

    def __init__(self) -> None:
        self._text = ""

    def push(self, text: str) -> ParsedOutput:
        self._text += text
        return ParsedOutput()

    def flush(self) -> ParsedOutput:
        call = parse_forced_call(self._text)
        return ParsedOutput(tool_calls=() if call is None else (call,))


def output_parser_for(tools: Sequence[dict[str, Any]], *, forced: bool, parallel: bool = True) -> OutputParser:
    """What reads the output of a turn that offered these tools."""
    if not tools:
        return PlainTextParser()
    return ForcedToolCallParser() if forced else OptionalToolCallParser(tools, parallel=parallel)


class TokenTextAligner:
    """Hands out tokens with the words that they make up.

    Text may come later than its tokens (an unfinished character, a stop string that might be forming), and some tokens never
    become words (a stop string, a tool call, the end of the turn).
    """

    def __init__(self, tokenizer: TokenizerLike) -> None:
        self._tokenizer = tokenizer
        self._pending_tokens: deque[TokenText] = deque()
        self._unmatched_bytes = 0
        """Bytes of words that were handed out without their tokens, so far."""

    def push(self, tokens: Sequence[Token], text: str) -> tuple[TokenText, ...]:
        stop_ids = self._tokenizer.stop_ids
        self._pending_tokens.extend(self._with_alternatives(token) for token in tokens if token.id not in stop_ids)
        self._unmatched_bytes += len(text.encode())
        ready = []
        while self._pending_tokens and len(self._pending_tokens[0].raw_bytes) <= self._unmatched_bytes:
            token = self._pending_tokens.popleft()
            self._unmatched_bytes -= len(token.raw_bytes)
            ready.append(token)
        return tuple(ready)

    def flush(self, *, all_tokens_are_text: bool) -> tuple[TokenText, ...]:
        """What waits at the end: told when every token became words (bytes and text can differ), else dropped."""
        rest, self._pending_tokens = tuple(self._pending_tokens), deque()
        return rest if all_tokens_are_text else ()

    def _with_alternatives(self, token: Token) -> TokenText:
        top = tuple(self._token_text(token_id, logprob) for token_id, logprob in token.top_logprobs)
        return self._token_text(token.id, token.logprob, top)

    def _token_text(self, token_id: int, logprob: float, top: tuple[TokenText, ...] = ()) -> TokenText:
        data = self._tokenizer.token_bytes(token_id)
        return TokenText(data.decode(errors="replace"), data, max(logprob, _MIN_LOGPROB), top)
