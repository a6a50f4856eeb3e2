"""A deterministic in-memory engine over a byte tokenizer and a small chat template, for tests.

It follows the same protocol as the real engines: stop strings, held-back text, log-probabilities, ContextLengthExceeded, a
limited number of concurrent sequences, cancellation. Its answers are scripted:

    engine = FakeEngine(["Paris.", ScriptedAnswer("slow", delay_s=0.05), ScriptedAnswer("fails", fail_after=2)])

The answers are given in turn and the last one repeats. A function may take their place; it gets the request and the text of the
prompt. Without a script, the engine repeats the user's last message. Log-probabilities are a fixed function of the token and
its position.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yearling.errors import NotFound, Unavailable, Unsupported
from yearling.files.reading import hash_file
from yearling.inference.detokenizer import IncrementalDetokenizer
from yearling.inference.engine import (
    Completion,
    Delta,
    EngineCapabilities,
    GenerationRequest,
    Token,
    collect_completion,
    require_scorable,
    validate_request,
)
from yearling.inference.served_model import ServedModel
from yearling.json_schemas import check_schema, schema_violation
from yearling.records import FinishReason

SPECIAL_TOKENS = {"<|im_start|>": 256, "<|im_end|>": 257, "<|endoftext|>": 258}
VOCAB_SIZE = 256 + len(SPECIAL_TOKENS)


class ByteStreamDecoder:
    """Decodes bytes one at a time. Special tokens have no text."""

    def __init__(self) -> None:
        self._bytes = b""

    def push(self, token_id: int, /) -> str:
        """The characters that this byte completes."""
        if token_id < 256:
            self._bytes += bytes([token_id])
        try:
            text, self._bytes = self._bytes.decode(), b""
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                text, self._bytes = self._bytes[: error.start].decode(), self._bytes[error.start :]
            else:
                text, self._bytes = self._bytes.decode(errors="replace"), b""
        return text

    def flush(self) -> str:
        """The incomplete rest, with U+FFFD in place of what is missing."""
        text, self._bytes = self._bytes.decode(errors="replace"), b""
        return text


class ByteTokenizer:
    """One token per UTF-8 byte, and three special tokens (ChatML)."""

    stop_ids = frozenset({SPECIAL_TOKENS["<|im_end|>"], SPECIAL_TOKENS["<|endoftext|>"]})
    bos_id: int | None = None
    adds_bos = False
    vocab_size = VOCAB_SIZE

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """As `TokenizerLike.encode`."""
        if special:
            for name, special_id in SPECIAL_TOKENS.items():
                before, separator, after = text.partition(name)
                if separator:
                    return [*self.encode(before, special=True), special_id, *self.encode(after, special=True)]
        return list(text.encode())

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """As `TokenizerLike.decode`."""
        pieces = b"".join(b"" if skip_special and i >= 256 else self.token_bytes(i) for i in ids)
        return pieces.decode(errors="replace")

    def new_stream_decoder(self) -> ByteStreamDecoder:
        """A decoder for one answer."""
        return ByteStreamDecoder()

    def token_bytes(self, token_id: int, /) -> bytes:
        """The byte of the token, or the name of a special token."""
        if token_id < 256:
            return bytes([token_id])
        return next(name for name, special_id in SPECIAL_TOKENS.items() if special_id == token_id).encode()


class FakeChatTemplate:
    """ChatML, with tools described in the system message, and their results in the user's turn, as Qwen does."""

    def __init__(self, *, supports_tools: bool = True, supports_thinking: bool = False) -> None:
        self.supports_tools = supports_tools
        self.supports_thinking = supports_thinking

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: object,
    ) -> str:
        """The prompt as text."""
        return "".join(
            special_token + text for special_token, text in self._pieces(messages, tools, add_generation_prompt, kwargs)
        )

    def encode(
        self,
        tokenizer: Any,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        add_generation_prompt: bool = True,
        **kwargs: object,
    ) -> list[int]:
        """The prompt as token ids; text in messages never becomes a special token."""
        ids: list[int] = []
        for special_token, text in self._pieces(messages, tools, add_generation_prompt, kwargs):
            ids += tokenizer.encode(special_token, special=True) + tokenizer.encode(text)
        return ids

    def _pieces(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, object]] | None,
        add_generation_prompt: bool,
        kwargs: Mapping[str, object],
    ) -> list[tuple[str, str]]:
        """Pairs of a special token and the text that follows it."""
        pieces: list[tuple[str, str]] = []
        if tools:
            tool_lines = "\n".join(json.dumps(tool, sort_keys=True) for tool in tools)
            pieces += [("<|im_start|>", f"system\n<tools>\n{tool_lines}\n</tools>"), ("<|im_end|>", "\n")]
        for message in messages:
            content = message.get("content")
            text = content if isinstance(content, str) else "" if content is None else json.dumps(content)
            for call in message.get("tool_calls") or ():
                text += f"<tool_call>\n{json.dumps(call.get('function', call), sort_keys=True)}\n</tool_call>"
            role = message["role"]
            if role == "tool" and self.supports_tools:
                role, text = "user", f"<tool_response>\n{text}\n</tool_response>"
            pieces += [("<|im_start|>", f"{role}\n{text}"), ("<|im_end|>", "\n")]
        if add_generation_prompt:
            skips_thinking = self.supports_thinking and kwargs.get("enable_thinking") is False
            pieces.append(("<|im_start|>", "assistant\n" + ("<think>\n\n</think>\n\n" if skips_thinking else "")))
        return pieces


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer of the fake engine: its text, its timing and its failure."""

    text: str
    delay_s: float = 0.0
    """Delay before each token."""
    first_delay_s: float = 0.0
    """Delay before the first token, as a long prompt would cause."""
    fail_after: int | None = None
    """Number of tokens after which the engine raises Unavailable."""
    end_of_turn: bool = True
    """Whether the answer ends with its text; otherwise it repeats from its beginning until `max_tokens`."""


AnswerScript = Sequence[str | ScriptedAnswer] | Callable[[GenerationRequest, str], str | ScriptedAnswer]


class FakeEngine:
    """An `Engine` with scripted answers. `requests` lists the requests so far; `active` counts those that are running, and
    `num_adapter_loads` the calls of `load_adapter`."""

    name = "fake"

    def __init__(
        self,
        answers: AnswerScript = (),
        *,
        context_tokens: int = 4096,
        max_sequences: int = 32,
        model_hash: str = hashlib.sha256(b"fake").hexdigest(),
        embed_size: int = 16,
    ) -> None:
        self._answers = answers
        self._tokenizer = ByteTokenizer()
        self._free = asyncio.Semaphore(max_sequences)
        self._adapters: set[str] = set()
        self._embed_size = embed_size
        self.model_hash = model_hash
        self.capabilities = EngineCapabilities(
            token_ids=True,
            logprobs=True,
            score=True,
            embed=True,
            adapters=True,
            grammar=True,
            context_tokens=context_tokens,
            max_sequences=max_sequences,
        )
        self.requests: list[GenerationRequest] = []
        self.num_adapter_loads = 0
        self.active = 0
        self.cancelled = 0
        self.closed = False

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        """As `Engine.stream`."""
        max_new_tokens = validate_request(request, self.capabilities)
        self._check_open(request.adapter_hash)
        self.requests.append(request)
        script = self._script(request)
        async with self._free:
            self.active += 1
            try:
                async for delta in self._stream_answer(request, script, max_new_tokens):
                    yield delta
            except (GeneratorExit, asyncio.CancelledError):
                self.cancelled += 1
                raise
            finally:
                self.active -= 1

    async def generate(self, request: GenerationRequest) -> Completion:
        """As `Engine.generate`."""
        return await collect_completion(self.stream(request))

    async def score(
        self, sequences: Sequence[tuple[Sequence[int], Sequence[int]]], *, adapter_hash: str | None = None
    ) -> list[list[float]]:
        """As `Engine.score`; equals the log-probabilities that `stream` reports for the same tokens."""
        self._check_open(adapter_hash)
        return [[_logprob(token, position) for position, token in enumerate(answer)] for _, answer in sequences]

    async def score_tokens(
        self, ids: Sequence[int], *, first: int = 1, num_top: int = 0, adapter_hash: str | None = None
    ) -> list[Token]:
        """As `Engine.score_tokens`; equals what `stream` reports for the same tokens after `ids[:first]`."""
        require_scorable(first)
        self._check_open(adapter_hash)
        return [
            Token(id=token, logprob=_logprob(token, position), top_logprobs=_top(token, position, num_top))
            for position, token in enumerate(ids[first:])
        ]

    async def embed(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """Normalised counts of the ids modulo the size: texts with similar bytes have similar vectors."""
        self._check_open(None)
        vectors = []
        for ids in sequences:
            counts = [1e-3] * self._embed_size
            for i in ids:
                counts[i % self._embed_size] += 1.0
            norm = math.sqrt(sum(count * count for count in counts))
            vectors.append([count / norm for count in counts])
        return vectors

    async def load_adapter(self, path: Path) -> str:
        """Returns the SHA-256 of the file; its content has no effect."""
        adapter_hash = await asyncio.to_thread(hash_file, path)
        self.num_adapter_loads += 1
        self._adapters.add(adapter_hash)
        return adapter_hash

    async def unload_adapter(self, adapter_hash: str) -> None:
        """As `Engine.unload_adapter`."""
        self._adapters.discard(adapter_hash)

    async def close(self) -> None:
        """Refuse further requests."""
        self.closed = True

    def _check_open(self, adapter_hash: str | None) -> None:
        if self.closed:
            raise Unavailable("The engine is closed.")
        if adapter_hash is not None and adapter_hash not in self._adapters:
            raise NotFound(f"The adapter {adapter_hash} is not loaded.")

    def _script(self, request: GenerationRequest) -> ScriptedAnswer:
        prompt = self._tokenizer.decode(request.prompt_ids or (), skip_special=False)
        if request.json_schema is not None:
            return ScriptedAnswer(json.dumps(example_for_schema(request.json_schema)))
        answer: str | ScriptedAnswer
        if callable(self._answers):
            answer = self._answers(request, prompt)
        elif self._answers:
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        else:
            user_text = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
            answer = f"You said: {user_text}"
        return answer if isinstance(answer, ScriptedAnswer) else ScriptedAnswer(answer)

    async def _stream_answer(
        self, request: GenerationRequest, script: ScriptedAnswer, max_new_tokens: int
    ) -> AsyncGenerator[Delta, None]:
        ids = self._tokenizer.encode(script.text)
        detokenizer = IncrementalDetokenizer(self._tokenizer.new_stream_decoder(), request.sampling.stop)
        prompt_tokens = len(request.prompt_ids or ())
        finish: FinishReason | None = None
        emitted = 0
        await asyncio.sleep(script.first_delay_s)
        while finish is None:
            await asyncio.sleep(script.delay_s)
            if script.fail_after == emitted:
                raise Unavailable("The model stopped unexpectedly and has been restarted.", advice="Try again.")
            is_last = emitted >= len(ids) and (script.end_of_turn or not ids)
            token = SPECIAL_TOKENS["<|im_end|>"] if is_last else ids[emitted % len(ids)]
            piece = "" if is_last else detokenizer.push(token)
            emitted += 1
            if is_last or detokenizer.is_stopped:
                finish = "stop"
            elif emitted == max_new_tokens:
                finish = "length"
            if finish is not None:
                piece += detokenizer.flush()
            yield Delta(
                text=piece,
                tokens=(
                    Token(
                        id=token,
                        logprob=_logprob(token, emitted - 1),
                        top_logprobs=_top(token, emitted - 1, request.top_logprobs),
                    ),
                ),
                finish_reason=finish,
                prompt_tokens=prompt_tokens if finish else 0,
                completion_tokens=emitted if finish else 0,
            )


def fake_served_model(
    name: str = "fake-model",
    engine: FakeEngine | None = None,
    *,
    template: FakeChatTemplate | None = None,
    created_unix_s: int = 1_700_000_000,
) -> ServedModel:
    """A fake engine with its tokenizer and template, ready for `EnginePool.from_open_models`."""
    return ServedModel(
        name=name,
        engine=engine or FakeEngine(),
        tokenizer=ByteTokenizer(),
        template=template or FakeChatTemplate(),
        owned_by="yearling",
        created_unix_s=created_unix_s,
    )


_MAX_EXAMPLE_LENGTH = 10_000
"""Items or characters of an example, whatever its schema demands."""


def example_for_schema(schema: dict[str, Any]) -> Any:
    """A small instance of the schema. Raises Unsupported if the fake engine cannot build one."""
    check_schema(schema, param="response_format")
    try:
        example = _example(schema, schema)
    except RecursionError:
        raise Unsupported("The schema has no finite example.", param="response_format") from None
    if problem := schema_violation(example, schema):
        raise Unsupported(f"The schema cannot be used: {problem}", param="response_format")
    return example


def _example(schema: Any, root: dict[str, Any]) -> Any:
    if not isinstance(schema, dict):
        return None
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target.get(part, {})
        return _example(target, root)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "enum" in schema:
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf", "allOf"):
        if schema.get(keyword):
            return _example(schema[keyword][0], root)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind or ("object" if "properties" in schema else "string")
    if kind == "object":
        required = schema.get("required", ())
        return {name: _example(part, root) for name, part in schema.get("properties", {}).items() if name in required}
    if kind == "array":
        return [_example(schema.get("items", {}), root)] * min(_MAX_EXAMPLE_LENGTH, int(schema.get("minItems", 1)))
    minimum = schema.get("minimum", 0)
    examples = {
        "string": "x" * min(_MAX_EXAMPLE_LENGTH, max(1, schema.get("minLength", 1))),
        "integer": minimum,
        "number": minimum,
        "boolean": True,
    }
    return examples.get(kind)


def _logprob(token_id: int, position: int) -> float:
    return -0.05 - 0.01 * ((token_id * 7 + position * 3) % 60)


def _top(token_id: int, position: int, count: int) -> tuple[tuple[int, float], ...]:
    """The token itself, then its neighbours in the vocabulary, each one nat less likely."""
    first = _logprob(token_id, position)
    return tuple(((token_id + rank) % VOCAB_SIZE, first - rank) for rank in range(count))
