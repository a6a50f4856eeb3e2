"""The protocol between the server and an engine's process: one JSON object per line.

Both ends are this program, started by the same user. Only JSON is read: no pickle, no code. Frames to the engine: `{"id",
"stream": request}`, `{"id", "cancel": true}`, `{"id", "call": method, "arguments": {...}}`. Frames back: `{"ready": ...}`,
`{"id", "delta": ...}`, `{"id", "result": ...}`, `{"id", "error": ...}`, `{"id", "ended": true}`, and the heartbeat `{"steps":
n}`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from yearling import errors
from yearling.inference.engine import Delta, Engine, EngineCapabilities, GenerationRequest, Token
from yearling.records import SamplingSettings

WireFrame: TypeAlias = dict[str, Any]
"""One JSON object, or a part of one."""

MAX_FRAME_BYTES = 1 << 30
"""Longest frame that is read."""

_ERRORS: dict[str, type[errors.UserError]] = {
    kind.__name__: kind
    for kind in (
        errors.BadInput,
        errors.Unsupported,
        errors.ContextLengthExceeded,
        errors.NotFound,
        errors.Conflict,
        errors.Untrusted,
        errors.Unavailable,
        errors.StorageFailed,
    )
}


def encode_frame(frame: WireFrame) -> bytes:
    """One line of JSON; line breaks in strings are escaped."""
    return json.dumps(frame, separators=(",", ":")).encode() + b"\n"


def decode_frame(line: bytes) -> WireFrame:
    """The object of one line. Raises ValueError if it is not JSON."""
    frame: WireFrame = json.loads(line)
    return frame


def request_to_json(request: GenerationRequest) -> WireFrame:
    """A request as JSON values."""
    fields = {name: getattr(request, name) for name in GenerationRequest.__dataclass_fields__}
    return fields | {"sampling": asdict(request.sampling)}


def request_from_json(fields: WireFrame) -> GenerationRequest:
    """The inverse of `request_to_json`."""
    sampling = dict(fields["sampling"])
    sampling["logit_bias"] = tuple((int(token), float(bias)) for token, bias in sampling["logit_bias"])
    sampling["stop"] = tuple(sampling["stop"])
    rest: WireFrame = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items() if name != "sampling"
    }
    return GenerationRequest(sampling=SamplingSettings(**sampling), **rest)


def delta_to_json(delta: Delta) -> list[Any]:
    """A delta as a list of positional fields, short for the common case of one token, because one is sent per token."""
    tokens = tokens_to_json(delta.tokens)
    if delta.finish_reason is None and not delta.tool_calls and not delta.reasoning:
        return [delta.text, tokens]
    ending = [delta.finish_reason, delta.prompt_tokens, delta.completion_tokens]
    return [delta.text, tokens, *ending, delta.tool_calls, delta.reasoning]


def delta_from_json(fields: list[Any]) -> Delta:
    """The inverse of `delta_to_json`."""
    tokens = tuple(tokens_from_json(fields[1]))
    if len(fields) == 2:
        return Delta(text=fields[0], tokens=tokens)
    text, _, finish_reason, prompt_tokens, completion_tokens, tool_calls, reasoning = fields
    return Delta(
        text=text,
        tokens=tokens,
        finish_reason=finish_reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        tool_calls=tuple(tool_calls),
        reasoning=reasoning,
    )


def tokens_to_json(tokens: Sequence[Token]) -> list[list[Any]]:
    """Tokens as lists of positional fields."""
    return [
        [token.id, token.logprob, token.top_logprobs] if token.top_logprobs else [token.id, token.logprob] for token in tokens
    ]


def tokens_from_json(fields: Sequence[list[Any]]) -> list[Token]:
    """The inverse of `tokens_to_json`."""
    return [
        Token(id=token[0], logprob=token[1], top_logprobs=tuple((i, p) for i, p in token[2]) if len(token) > 2 else ())
        for token in fields
    ]


def engine_to_json(engine: Engine) -> WireFrame:
    """An engine's name, model hash and capabilities as JSON values."""
    return {"name": engine.name, "model_hash": engine.model_hash, "capabilities": asdict(engine.capabilities)}


def capabilities_from_json(fields: WireFrame) -> EngineCapabilities:
    """The capabilities that `engine_to_json` wrote."""
    return EngineCapabilities(**fields)


def error_to_json(error: errors.UserError) -> WireFrame:
    """A user-facing error as JSON values."""
    return {"kind": type(error).__name__, "message": error.message, "advice": error.advice, "param": error.param}


def error_from_json(fields: WireFrame) -> errors.UserError:
    """The inverse of `error_to_json`; Unavailable for a kind that is unknown here."""
    kind = _ERRORS.get(fields["kind"], errors.Unavailable)
    return kind(fields["message"], advice=fields["advice"], param=fields["param"])
