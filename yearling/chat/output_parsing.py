"""Turns the raw output of a model into what the client gets: text, reasoning, tool calls, log-probabilities of the text.

Works incrementally and holds back only text that may still become a tool call. Independent of engines and HTTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from yearling.chat.json_types import ToolDict
from yearling.chat.tools import ToolCall, ToolCallParser, parse_forced_call
from yearling.inference import SplitOutput, ThinkingSplitter, Token, TokenizerLike

_MIN_LOGPROB = -9999.0
"""Stands for minus infinity, which JSON cannot express."""


@dataclass(frozen=True, slots=True)
class TokenText:
    """A token of the answer as clients see it. `raw_bytes` may hold a part of a character; `logprob` is in nats."""

    text: str
    raw_bytes: bytes
    logprob: float
    top: tuple[TokenText, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedOutput:
    """The text, the reasoning and the complete tool calls that one step adds.

    `hidden_bytes` counts the UTF-8 bytes of output before the text that are no part of it: a thinking section.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    hidden_bytes: int = 0


class OutputParser(Protocol):
    """Turns pieces of raw output into text and tool calls."""

    @property
    def checks_schemas(self) -> bool:
        """Whether a piece may be checked against a schema that a user supplies, which belongs in a worker thread."""
        ...

    @property
    def ended(self) -> bool:
        """Whether generation can stop: no further output would be used."""
        ...

    def push(self, text: str) -> ParsedOutput:
        """Parse the next piece of output."""
        ...

    def flush(self) -> ParsedOutput:
        """Return what was held back, at the end of the output."""
        ...


class PlainTextParser:
    """Passes text through unchanged."""

    ended = False
    checks_schemas = False

    def push(self, text: str) -> ParsedOutput:
        return ParsedOutput(text)

    def flush(self) -> ParsedOutput:
        return ParsedOutput()


class OptionalToolCallParser:
    """Separates text from the tool calls that the model chose to make."""

    def __init__(self, tools: Sequence[ToolDict], *, parallel: bool) -> None:
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
    """Parses an output that a grammar forces to be one tool call. The call is returned by `flush`."""

    ended = False
    checks_schemas = False

    def __init__(self, called_name: str) -> None:
        """`called_name`: the function that the prompt names; empty if the output names it."""
        self._called_name = called_name
        self._text = ""

    def push(self, text: str) -> ParsedOutput:
        self._text += text
        return ParsedOutput()

    def flush(self) -> ParsedOutput:
        call = parse_forced_call(self._text, name=self._called_name)
        return ParsedOutput(tool_calls=() if call is None else (call,))


class ThinkingParser:
    """Separates a thinking section at the beginning of the output; another parser gets the rest."""

    def __init__(self, inner: OutputParser) -> None:
        self._inner = inner
        self._splitter = ThinkingSplitter()
        self.checks_schemas = inner.checks_schemas

    @property
    def ended(self) -> bool:
        return self._inner.ended

    def push(self, text: str) -> ParsedOutput:
        split = self._splitter.push(text)
        return self._combined(split, self._inner.push(split.text))

    def flush(self) -> ParsedOutput:
        split = self._splitter.flush()
        held = self._inner.push(split.text)
        last = self._inner.flush()
        return self._combined(split, ParsedOutput(held.text + last.text, (*held.tool_calls, *last.tool_calls)))

    @staticmethod
    def _combined(split: SplitOutput, parsed: ParsedOutput) -> ParsedOutput:
        return ParsedOutput(parsed.text, parsed.tool_calls, split.reasoning, split.hidden_bytes)


def output_parser_for(tools: Sequence[ToolDict], *, forced: bool, parallel: bool = True, called_name: str = "") -> OutputParser:
    """The parser for the output of a turn that offered these tools.

    `forced`: a tool call is enforced by a grammar; `called_name`: that of this function, which the prompt names.
    """
    if forced and tools:  # the grammar leaves no room for a thinking section
        return ForcedToolCallParser(called_name)
    return ThinkingParser(OptionalToolCallParser(tools, parallel=parallel) if tools else PlainTextParser())


class TokenTextAligner:
    """Releases tokens together with the text that they form.

    Text may arrive later than its tokens (an incomplete character, a possible stop string), and some tokens never become text (a
    stop string, a tool call, the end of the turn).
    """

    def __init__(self, tokenizer: TokenizerLike) -> None:
        self._tokenizer = tokenizer
        self._pending_tokens: deque[TokenText] = deque()
        self._unmatched_bytes = 0
        """Number of bytes of text that were released before their tokens."""
        self._hidden_bytes = 0
        """Number of bytes of output before the text whose tokens are still to be dropped."""

    def push(self, tokens: Sequence[Token], text: str, *, hidden_bytes: int = 0) -> tuple[TokenText, ...]:
        """Take the tokens and the text of one step; return the tokens whose text is complete.

        `hidden_bytes` of output come before the text and are no part of it.
        """
        stop_ids = self._tokenizer.stop_ids
        self._pending_tokens.extend(self._with_alternatives(token) for token in tokens if token.id not in stop_ids)
        self._hidden_bytes += hidden_bytes
        while self._hidden_bytes > 0 and self._pending_tokens:
            self._hidden_bytes -= len(self._pending_tokens.popleft().raw_bytes)
        self._unmatched_bytes += len(text.encode())
        ready = []
        while self._pending_tokens and len(self._pending_tokens[0].raw_bytes) <= self._unmatched_bytes:
            token = self._pending_tokens.popleft()
            self._unmatched_bytes -= len(token.raw_bytes)
            ready.append(token)
        return tuple(ready)

    def flush(self, *, all_tokens_are_text: bool) -> tuple[TokenText, ...]:
        """The pending tokens at the end of the output if all of them are text (bytes and text can differ).

        Otherwise they are not part of the text, but for the beginning of a token whose end belongs to a stop string.
        """
        pending, self._pending_tokens = tuple(self._pending_tokens), deque()
        if all_tokens_are_text:
            return pending
        if not pending or not self._unmatched_bytes:
            return ()
        raw_bytes = pending[0].raw_bytes[: self._unmatched_bytes]
        return (TokenText(raw_bytes.decode(errors="replace"), raw_bytes, pending[0].logprob, pending[0].top),)

    def _with_alternatives(self, token: Token) -> TokenText:
        top = tuple(self._token_text(token_id, logprob) for token_id, logprob in token.top_logprobs)
        return self._token_text(token.id, token.logprob, top)

    def _token_text(self, token_id: int, logprob: float, top: tuple[TokenText, ...] = ()) -> TokenText:
        raw_bytes = self._tokenizer.token_bytes(token_id)
        return TokenText(raw_bytes.decode(errors="replace"), raw_bytes, max(logprob, _MIN_LOGPROB), top)
